"""How far a revocation at the provider reaches (refresh.md, Upstream revocation)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from grantkeeper.model import Connection
from grantkeeper.ports import Connections, Credentials
from grantkeeper.providers.record import Provider


class Sharing(Protocol):
    """Who stands under one provider account."""

    def sharing(self, credentials_id: str, account_id: str, *, now: int) -> Sequence[str]:
        """Ids of the connections under the same credentials and account, live or to be confirmed."""


def reaches_others(provider: Provider, others: Iterable[str]) -> bool:
    """
    Tell whether revoking one grant would cut off other live connections.

    Args:
        provider: Its record says what a revocation takes with it.
        others: Ids of the connections under the same credentials and provider account, live or about to be confirmed,
            this one left out.
    """
    return provider.revocation.effect != "token" and any(True for _ in others)


def others_sharing(connection: Connection, *, connections: Sharing, now: int) -> tuple[str, ...]:
    """
    Ids of the others that share this one's grant at the provider: live, or consented to and not confirmed yet.

    What this connection's own user is confirming for itself does not count: a revoked connection is never confirmed.
    """
    sharing = connections.sharing(connection.credentials_id, connection.account_id, now=now)
    return tuple(other for other in sharing if other != connection.id)


def within_reach(
    connection: Connection, *, provider: Provider, connections: Connections, credentials: Credentials, now: int
) -> tuple[str, ...]:
    """
    Ids of all whom a revocation of this connection's grant would reach, itself among them while it is live.

    Where it takes what the user gave to a whole project (Google), those of our other registrations count as well: an
    operator who replaces one client by another mostly does it within the project.

    Raises:
        StoreUnavailable: It cannot be told, so nobody may be revoked.
    """
    circle = {connection.credentials_id}
    if provider.revocation.effect == "project_user":
        circle |= set(credentials.client_ids(provider.credentials_id))
    found = [connections.sharing(each, connection.account_id, now=now) for each in sorted(circle)]
    return tuple(each for sharing in found for each in sharing)
