"""What becomes of one record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from grantkeeper.stores.items import Item

Outcome = Literal["imported", "parked", "there", "refused"]


@dataclass(frozen=True, slots=True)
class Done:
    """
    What was done with a record, and what the operator should know of it.

    `imported`: it stands. `parked`: so does it, but its user has to connect again. `there`: the stack had it, and keeps
    its own. `refused`: it could not be, and why.
    """

    outcome: Outcome
    note: str | None = None


def refused(reason: str) -> Done:
    """It was not imported, for this reason."""
    return Done("refused", reason)


def imported_by(archive_id: str) -> Item:
    """The mark on what an import wrote, by which another run knows it."""
    return {"imported_by": {"S": archive_id}}


def is_imported_by(item: Item | None, archive_id: str) -> bool:
    """Tell whether this archive's import wrote it."""
    return item is not None and item.get("imported_by") == {"S": archive_id}
