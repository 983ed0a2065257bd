"""
All providers of a deployment: the built-in records, and the deployment's own on top.

Records are modules, imported one by one when first asked for, so that a function that refreshes a Google grant never
reads the others. What a deployment brings is checked when it is loaded, and loaded once as long as it does not change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from grantkeeper.errors import InvalidProviderRecord, UnknownProvider, UnknownService

if TYPE_CHECKING:
    from grantkeeper.providers.record import Provider, Service

# id → module and name of the record. `openid` is a base to start from, no provider.
BUILT_IN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "asana": ("grantkeeper.providers.asana", "ASANA"),
        "atlassian": ("grantkeeper.providers.atlassian", "ATLASSIAN"),
        "box": ("grantkeeper.providers.box", "BOX"),
        "discord": ("grantkeeper.providers.discord", "DISCORD"),
        "dropbox": ("grantkeeper.providers.dropbox", "DROPBOX"),
        "figma": ("grantkeeper.providers.figma", "FIGMA"),
        "github": ("grantkeeper.providers.github", "GITHUB"),
        "github-app": ("grantkeeper.providers.github", "GITHUB_APP"),
        "gitlab": ("grantkeeper.providers.gitlab", "GITLAB"),
        "google": ("grantkeeper.providers.google", "GOOGLE"),
        "heygen": ("grantkeeper.providers.heygen", "HEYGEN"),
        "hubspot": ("grantkeeper.providers.hubspot", "HUBSPOT"),
        "linear": ("grantkeeper.providers.linear", "LINEAR"),
        "linkedin": ("grantkeeper.providers.linkedin", "LINKEDIN"),
        "microsoft": ("grantkeeper.providers.microsoft", "MICROSOFT"),
        "notion": ("grantkeeper.providers.notion", "NOTION"),
        "salesforce": ("grantkeeper.providers.salesforce", "SALESFORCE"),
        "slack": ("grantkeeper.providers.slack", "SLACK"),
        "slack-signin": ("grantkeeper.providers.slack", "SLACK_SIGNIN"),
        "spotify": ("grantkeeper.providers.spotify", "SPOTIFY"),
        "trello": ("grantkeeper.providers.trello", "TRELLO"),
        "trello-oauth1": ("grantkeeper.providers.trello_oauth1", "TRELLO_OAUTH1"),
        "x": ("grantkeeper.providers.x", "X"),
        "zoom": ("grantkeeper.providers.zoom", "ZOOM"),
        "demo": ("grantkeeper.providers.demo", "DEMO"),
    }
)
GENERIC = "openid"

# service id → provider id, so that a service is found without importing every record. A test keeps it true.
BUILT_IN_SERVICES: Mapping[str, str] = MappingProxyType(
    {
        "gmail": "google",
        "google-drive": "google",
        "google-calendar": "google",
        "youtube": "google",
        "github": "github",
        "github-app": "github-app",
        "outlook-mail": "microsoft",
        "outlook-calendar": "microsoft",
        "teams": "microsoft",
        "asana": "asana",
        "box": "box",
        "confluence": "atlassian",
        "discord": "discord",
        "dropbox": "dropbox",
        "figma": "figma",
        "gitlab": "gitlab",
        "heygen": "heygen",
        "hubspot": "hubspot",
        "jira": "atlassian",
        "linear": "linear",
        "linkedin": "linkedin",
        "notion": "notion",
        "salesforce": "salesforce",
        "slack": "slack",
        "spotify": "spotify",
        "trello": "trello",
        "trello-oauth1": "trello-oauth1",
        "x": "x",
        "zoom": "zoom",
        "demo": "demo",
    }
)

# Who can sign users in, so that the chooser does not import those who cannot. A test keeps it true.
BUILT_IN_SIGNIN = frozenset(
    {"demo", "discord", "github", "gitlab", "google", "linkedin", "microsoft", "slack-signin", "spotify", "x"}
)

_NONE: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
_loaded: dict[tuple[str, bool], tuple[Mapping[str, Any], Provider]] = {}


class Catalog:
    """Records by provider and by service id. Cheap to make; loaded records are kept by the process."""

    def __init__(
        self, overrides: Mapping[str, Mapping[str, Any]] = _NONE, *, allow_private_addresses: bool = False
    ) -> None:
        """
        Args:
            overrides: Provider id → record fields added or changed (see `providers.load`).
            allow_private_addresses: True on the local run: http and loopback providers exist.
        """
        self._overrides = overrides
        self._allow_private = allow_private_addresses

    def get(self, provider_id: str) -> Provider:
        """
        Return the record of a provider.

        Raises:
            UnknownProvider: There is none, or it is for local use only.
            InvalidProviderRecord: The deployment's own record is not sound; `field` says where.
        """
        own = self._overrides.get(provider_id)
        provider = _built_in(provider_id) if own is None else self._own(provider_id, own)
        if provider is None or (provider.allow_private_addresses and not self._allow_private):
            raise UnknownProvider("There is no such provider.")
        return provider

    def service(self, service_id: str) -> tuple[Provider, Service]:
        """
        Find a service and its provider; a deployment's own comes before a built-in of the same id.

        Raises:
            UnknownService: There is none.
        """
        candidates = list(self._overrides)
        built_in = BUILT_IN_SERVICES.get(service_id)
        if built_in is not None and built_in not in self._overrides:
            candidates.append(built_in)
        for provider_id in candidates:
            provider = self._usable(provider_id)
            service = None if provider is None else provider.service(service_id)
            if provider is not None and service is not None:
                return provider, service
        raise UnknownService("There is no such service.")

    def ids(self) -> Sequence[str]:
        """Every id there is a record for, sound or not."""
        return sorted({*BUILT_IN, *self._overrides})

    def all(self) -> Sequence[Provider]:
        """Every usable provider, by id. A record that is not sound is left out; `get` says what is wrong with it."""
        return [provider for provider_id in self.ids() if (provider := self._usable(provider_id)) is not None]

    def signin(self) -> Sequence[Provider]:
        """The providers that can sign users in, by id."""
        usable = map(self._usable, sorted({*BUILT_IN_SIGNIN, *self._overrides}))
        return [provider for provider in usable if provider is not None and provider.signin_scopes]

    def _usable(self, provider_id: str) -> Provider | None:
        try:
            return self.get(provider_id)
        except (UnknownProvider, InvalidProviderRecord):
            return None

    def _own(self, provider_id: str, mapping: Mapping[str, Any]) -> Provider:
        from grantkeeper.providers.load import load_record  # noqa: PLC0415 - only where a deployment has its own

        key = (provider_id, self._allow_private)
        kept = _loaded.get(key)
        if kept is not None and kept[0] == mapping:
            return kept[1]
        base = base_record(mapping, provider_id)
        provider = load_record(provider_id, mapping, base, allow_private_addresses=self._allow_private)
        _loaded[key] = (dict(mapping), provider)
        return provider


def base_record(mapping: Mapping[str, Any], provider_id: str) -> Provider | None:
    """
    Choose the record to start from: the one `base` names, the built-in of the same id, or the generic OpenID provider.

    Returns:
        None for another protocol than OpenID Connect: such a record starts from the defaults of RFC 6749.

    Raises:
        InvalidProviderRecord: `base` names no built-in record.
    """
    base_id = mapping.get("base")
    if base_id is None:
        if provider_id in BUILT_IN:
            return _built_in(provider_id)
        return _generic() if mapping.get("protocol", "oidc") == "oidc" else None
    base = _generic() if base_id == GENERIC else _built_in(base_id) if isinstance(base_id, str) else None
    if base is None:
        raise InvalidProviderRecord("base: There is no such built-in record.", field="base")
    return base


def _built_in(provider_id: str) -> Provider | None:
    place = BUILT_IN.get(provider_id)
    if place is None:
        return None
    record: Provider = getattr(import_module(place[0]), place[1])
    return record


def _generic() -> Provider:
    from grantkeeper.providers.openid import OPENID  # noqa: PLC0415 - a record like any other

    return OPENID
