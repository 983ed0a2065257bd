"""Registrations without their secrets: all that is needed to send a browser away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from grantkeeper.stores.credentials import RegisteredCredentials

if TYPE_CHECKING:
    from grantkeeper.model import ProviderCredentials
    from grantkeeper.ports import Providers


class PublicCredentials:
    """`ports.Credentials` for functions that may see no secret; `client_secret` is None in what it returns."""

    def __init__(self, providers: Providers) -> None:
        self._registered = RegisteredCredentials(providers, _Withheld())

    def active(self, provider: str) -> ProviderCredentials:
        """
        The newest live registration.

        Raises:
            ProviderNotConfigured: There is none.
        """
        return replace(self._registered.active(provider), client_secret=None)

    def by_client_id(self, provider: str, client_id: str) -> ProviderCredentials:
        """
        A live registration, also a retiring one.

        Raises:
            ProviderNotConfigured: It is gone.
        """
        return replace(self._registered.by_client_id(provider, client_id), client_secret=None)

    def client_ids(self, provider: str) -> Sequence[str]:
        """Those of all registrations, the retiring ones too."""
        return self._registered.client_ids(provider)


class _Withheld:
    """Reads no parameter."""

    def get(self, _parameter: str) -> str:
        return ""

    def put(self, _parameter: str, _value: str) -> None:
        raise NotImplementedError("secrets are not written here")
