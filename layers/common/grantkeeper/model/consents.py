"""What users let clients use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grantkeeper.model.connections import Connection


@dataclass(frozen=True, slots=True)
class Consent:
    """That a user lets a client use a connection, with what he saw when he said so."""

    sub: str
    client_id: str
    connection_id: str
    created_at: int
    service: str | None = None
    provider: str | None = None
    label: str | None = None
    scopes: tuple[str, ...] = ()
    withdrawn_at: int | None = None


def consent_of(connection: Connection, *, client_id: str, now: int) -> Consent:
    """That its user lets a client use a connection as it is now."""
    return Consent(
        sub=connection.sub,
        client_id=client_id,
        connection_id=connection.id,
        created_at=now,
        service=connection.service,
        provider=connection.provider,
        label=connection.label,
        scopes=connection.scopes,
    )
