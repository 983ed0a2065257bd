"""How far a revocation at the provider reaches (refresh.md, Upstream revocation)."""

from __future__ import annotations

from collections.abc import Iterable

from grantkeeper.model import Connection
from grantkeeper.ports import Connections
from grantkeeper.providers.record import Provider


def reaches_others(provider: Provider, others: Iterable[str]) -> bool:
    """
    Tell whether revoking one grant would cut off other live connections.

    Args:
        provider: Its record says what a revocation takes with it.
        others: Ids of the live connections under the same credentials and provider account, this one left out.
    """
    return provider.revocation.effect != "token" and any(True for _ in others)


def others_sharing(connection: Connection, *, connections: Connections) -> tuple[str, ...]:
    """Ids of the other live connections that share this one's grant at the provider."""
    sharing = connections.sharing(connection.credentials_id, connection.account_id)
    return tuple(other for other in sharing if other != connection.id)
