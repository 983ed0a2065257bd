"""The erasure of a user: that it was begun, and what stands of him still."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from grantkeeper.model.connections import Connection

# What a user leaves behind, by where it stands. `other`: a row of his that this version knows no name for.
TraceKind = Literal[
    "sessions", "api_keys", "identities", "consents", "pictures", "connections", "past_connections", "one_time",
    "other",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Erased:
    """A user who is erased, or about to be: `finished` once nothing is left but this."""

    sub: str
    erased_at: int
    finished: bool


@dataclass(frozen=True, slots=True)
class Trace:
    """
    One thing of a user's.

    Args:
        kind: What it is.
        name: Its id or the hash it stands under; never a value of the user's.
        beside: The id of what stands with it: of a session, its family.
        looked_at: When it was last looked at, of a past connection; 0 before.
    """

    kind: TraceKind
    name: str
    beside: str = ""
    looked_at: int = 0


@dataclass(frozen=True, slots=True)
class Remains:
    """
    What is left of a connection; nothing in here is sealed.

    Args:
        connection: Its public half, if that is there.
        places: Sort keys of its partition.
        waits: For its provider to be told, or for unconfirmed tokens to be thrown away.
    """

    connection_id: str
    connection: Connection | None
    places: tuple[str, ...]
    waits: bool
