"""
How far an import has come, kept in the table it writes to.

One item, `IMPORT#<archive>`: the number of records that are done, and what became of them. Written after every few
records on condition that it has not moved, so of two imports of one archive at once one stops. A record that was
written and not yet noted is met again and found to be there.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from cli import operator
from cli.archive.outcomes import Done
from grantkeeper.errors import Conflict
from grantkeeper.stores.items import from_value
from grantkeeper.stores.retrying import ConditionFailed
from grantkeeper.stores.table import Table, is_own, new_write_id

EVERY = 25  # records
MOST_PROBLEMS = 500  # told and kept; an item holds 400 KB


@dataclass(slots=True)
class Journal:
    """Of one archive in one stack."""

    table: Table
    archive_id: str
    done: int = 0  # records
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[dict[str, str]] = field(default_factory=list)
    finished: bool = False
    dry: bool = False  # nothing is written down
    _noted: int = 0
    _seen: str = ""  # the write_id of the item as we know it

    @classmethod
    def open(cls, table: Table, archive_id: str) -> Journal:
        """The journal as the run before left it; an empty one, also when that one came to its end and refused some."""
        item = table.get(_key(archive_id))
        if item is None:
            return cls(table, archive_id)
        done, outcomes = from_value(item["done"]), Counter(from_value(item["outcomes"]))
        finished = from_value(item["state"]) == "finished"
        problems = [dict(each) for each in from_value(item["problems"])]
        seen = item["write_id"]["S"]
        if finished and any(name.endswith(".refused") for name in outcomes):  # what stood in the way may be gone
            return cls(table, archive_id, _seen=seen)
        return cls(table, archive_id, done, outcomes, problems, finished, _noted=done, _seen=seen)

    def count(self, kind: str, name: str, done: Done) -> None:
        """One more record is done; now and then that is written down."""
        self.done += 1
        self.outcomes[f"{kind}.{done.outcome}"] += 1
        if done.note is not None and len(self.problems) < MOST_PROBLEMS:
            self.problems.append({"what": kind, "id": name, "outcome": done.outcome, "note": done.note})
        if self.done - self._noted >= EVERY:
            self.note()

    def finish(self) -> None:
        """The archive is imported: another run finds nothing to do."""
        self.finished = True
        self.note()

    def note(self) -> None:
        """
        Write down how far it is.

        Raises:
            Conflict: Another process imports the same archive.
        """
        if self.dry:
            return
        write_id = new_write_id()
        values = {
            ":done": self.done,
            ":outcomes": dict(self.outcomes),
            ":problems": self.problems,
            ":state": "finished" if self.finished else "running",
            ":now": operator.now(),
            ":write_id": write_id,
            ":seen": self._seen,
        }
        try:
            self.table.update(
                _key(self.archive_id),
                "SET #done = :done, #outcomes = :outcomes, #problems = :problems, #state = :state, #updated_at = :now,"
                " #write_id = :write_id",
                condition="#write_id = :seen" if self._seen else "attribute_not_exists(#pk)",
                values=values if self._seen else {name: value for name, value in values.items() if name != ":seen"},
            )
        except ConditionFailed as failure:
            if not is_own(failure.item, write_id):
                raise Conflict("Another process imports this archive at this moment.") from None
        self._noted, self._seen = self.done, write_id


def _key(archive_id: str) -> tuple[str, str]:
    return f"IMPORT#{archive_id}", "IMPORT"
