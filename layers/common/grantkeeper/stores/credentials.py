"""Provider credentials: our registrations joined with their secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from grantkeeper.errors import ProviderNotConfigured
from grantkeeper.model import ProviderCredentials

if TYPE_CHECKING:
    from grantkeeper.ports import Providers, Secrets


class RegisteredCredentials:
    """`ports.Credentials`."""

    def __init__(self, providers: Providers, secrets: Secrets) -> None:
        self._providers = providers
        self._secrets = secrets

    def active(self, provider: str) -> ProviderCredentials:
        """
        The newest live registration: what new trips are made with.

        Raises:
            ProviderNotConfigured: There is none.
            StoreUnavailable: Its secret cannot be read.
        """
        for registration in self._providers.registrations().get(provider, ()):
            if registration.get("state", "active") == "active":
                return self._joined(provider, registration)
        raise ProviderNotConfigured("The deployment has no credentials for this provider.", provider=provider)

    def by_client_id(self, provider: str, client_id: str) -> ProviderCredentials:
        """
        The registration a grant was made with, also a retiring one.

        Raises:
            ProviderNotConfigured: It is gone.
            StoreUnavailable: Its secret cannot be read.
        """
        for registration in self._providers.registrations().get(provider, ()):
            if registration["client_id"] == client_id:
                return self._joined(provider, registration)
        raise ProviderNotConfigured("The deployment no longer has these credentials.", provider=provider)

    def client_ids(self, provider: str) -> Sequence[str]:
        """Those of all registrations, the retiring ones too."""
        return [registration["client_id"] for registration in self._providers.registrations().get(provider, ())]

    def _joined(self, provider: str, registration: Mapping[str, Any]) -> ProviderCredentials:
        parameter = registration.get("secret_parameter")
        return ProviderCredentials(
            provider=provider,
            client_id=registration["client_id"],
            client_secret=None if parameter is None else self._secrets.get(parameter),
            auth_method=registration.get("auth_method"),
            state=registration.get("state", "active"),
        )
