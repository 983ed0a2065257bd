# ruff: noqa: D102 - names and types say all
"""The part of the wiring that a callback uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from grantkeeper.ports import (
        AuditTrail,
        AuthorizationRequests,
        Avatars,
        Breakers,
        Clients,
        Codes,
        Connections,
        ConnectSessions,
        Credentials,
        Errands,
        ProviderHttp,
        Providers,
        Sealer,
        Users,
        WorkQueue,
    )
    from grantkeeper.providers.catalog import Catalog
    from grantkeeper.services.provider_keys import ProviderKeys


class CallbackPorts(Protocol):
    """What a callback may need; each part is made when first asked for, so a sign-in pays for no sealing."""

    @property
    def authorization_requests(self) -> AuthorizationRequests: ...
    @property
    def catalog(self) -> Catalog: ...
    @property
    def credentials(self) -> Credentials: ...
    @property
    def provider_http(self) -> ProviderHttp: ...
    @property
    def provider_keys(self) -> ProviderKeys: ...
    @property
    def clients(self) -> Clients: ...
    @property
    def users(self) -> Users: ...
    @property
    def avatars(self) -> Avatars: ...
    @property
    def codes(self) -> Codes: ...
    @property
    def audit(self) -> AuditTrail: ...
    @property
    def connect_sessions(self) -> ConnectSessions: ...
    @property
    def errands(self) -> Errands: ...
    @property
    def provider_items(self) -> Providers: ...
    @property
    def connections(self) -> Connections: ...
    @property
    def sealer(self) -> Sealer: ...
    @property
    def work_queue(self) -> WorkQueue: ...
    @property
    def breakers(self) -> Breakers: ...
    @property
    def count_misconfigured(self) -> Callable[[], None]: ...
