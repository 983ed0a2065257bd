"""
Freezing: a connection that moves to another stack is refreshed here no more, and nothing is revoked by it.

A refresh token that is replaced at every use must live in one place. A frozen grant keeps its sealed set and its
generation; it is `needs_reauth`, off the due index, and bears the mark of the archive it went into. Thawing puts it
back as it was. A disconnect while it is frozen erases it without a word to the provider, for whom the other stack now
speaks (`stores.revocation`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from cli import operator
from cli.archive.due import due_again
from cli.archive.tables import Tables
from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent, Connection, Grant, Reason
from grantkeeper.services.refresh_run import RefreshPorts, Run, provider_of
from grantkeeper.services.take_lease import Held, close_lease, take_lease
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.connection_item import list_key
from grantkeeper.stores.grant_item import due_shard, read_grant
from grantkeeper.stores.items import Item
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.revocation import FROZEN
from grantkeeper.stores.table import new_write_id

ROUNDS = 4
REASON: Reason = "spent_elsewhere"  # what callers here are told


class Busy(Exception):
    """A refresh is under way, or how one ended is not known: the connection cannot be frozen now."""


@dataclass(frozen=True, slots=True)
class Freezer:
    """Freezes and thaws connections of one stack for one archive."""

    tables: Tables
    ports: RefreshPorts
    archive_id: str

    def freeze(self, connection: Connection, *, again: bool = False) -> Sequence[Grant]:
        """
        Freeze an active connection under the leases of its grants, so that no refresh is in flight.

        Args:
            connection: As it stands.
            again: Its row was put back and its tokens live elsewhere since long: what a refresh that died before then
                may have spent is nothing that anybody here will ever find out.

        Returns:
            The grants exactly as they are frozen, in their status before.

        Raises:
            Busy: A lease is held, or its holder died with its outcome unknown. Try again later.
        """
        for _ in range(ROUNDS):
            with ExitStack() as leases:
                for grant in self.grants(connection.id).values():
                    leases.callback(close_lease, self._lease(grant, orphans=again), ports=self.ports)
                current = self.grants(connection.id)
                if any(grant.status != "active" for grant in current.values()):
                    return list(current.values())
                if self._moved(connection, current, frozen=True):
                    return list(current.values())
        raise Busy

    def take_over(self, connection: Connection, grants: Sequence[Grant], *, before: str) -> bool:
        """Put this archive's mark in the place of one that was given up; False when it is that one's no more."""
        audit = self._entry(connection, frozen=True, left="needs_reauth")
        writes = [self._marked(grant, before=before) for grant in grants]
        try:
            self.tables.grants.transact([*writes, *audit_writes(self.tables.audit, audit)])
        except TransactionFailed:
            return False
        return True

    def thaw(self, connection: Connection) -> bool:
        """
        Put a connection back that this archive froze; False when nothing of it is frozen.

        Raises:
            StoreUnavailable: It keeps changing.
        """
        for _ in range(ROUNDS):
            items = self._items(connection.id)
            if not items or any(not is_frozen(item, self.archive_id) for item in items):
                return False
            if self._moved(connection, {g.name: g for g in map(read_grant, items)}, frozen=False):
                return True
        raise StoreUnavailable("The connection keeps changing.", retry_after=1)

    def grants(self, connection_id: str) -> Mapping[str, Grant]:
        """Its grants by name."""
        return {grant.name: grant for grant in map(read_grant, self._items(connection_id))}

    def _items(self, connection_id: str) -> list[Item]:
        return self.tables.grants.query(keys.connection(connection_id)[0], prefix="GRANT#")

    def _lease(self, grant: Grant, *, orphans: bool) -> Held:
        rule = provider_of(grant, ports=self.ports).refresh
        taken = take_lease(grant, token=grant.grant_id, rule=rule, ports=self.ports, run=run())
        if not isinstance(taken, Held) or (taken.orphan is not None and not orphans):
            if isinstance(taken, Held):  # an orphan's place: what it may have spent is for a refresh to find out
                self.ports.grants.take_over(
                    replace(taken.orphan or taken.lease, write_id=new_write_id()), orphan=taken.lease
                )
            raise Busy
        return taken

    def _moved(self, connection: Connection, grants: Mapping[str, Grant], *, frozen: bool) -> bool:
        """Turn all grants and META together, if every generation is still the one that was read."""
        now = operator.now()
        audit = self._entry(connection, frozen=frozen, left="active" if frozen else "needs_reauth")
        turn = self._frozen if frozen else self._thawed
        writes = [*(turn(grant, now=now) for grant in grants.values()), self._meta(connection, frozen=frozen, now=now)]
        try:
            self.tables.grants.transact([*writes, *audit_writes(self.tables.audit, audit)])
        except TransactionFailed:
            return False
        return True

    def _entry(self, connection: Connection, *, frozen: bool, left: str) -> AuditEvent:
        return operator.event(
            "connection.frozen" if frozen else "connection.thawed",
            sub=connection.sub,
            connection_id=connection.id,
            client_id=connection.client_id,
            provider=connection.provider,
            service=connection.service,
            reason="frozen" if frozen else None,
            details={"archive": self.archive_id, "from": left},
        )

    def _marked(self, grant: Grant, *, before: str) -> Item:
        return self.tables.grants.to_update(
            keys.grant(grant.connection_id, grant.name),
            "SET #frozen_by = :archive",
            condition="#generation = :generation AND #status = :frozen AND #frozen_by = :before",
            values={
                ":archive": self.archive_id,
                ":generation": grant.generation,
                ":frozen": "needs_reauth",
                ":before": before,
            },
        )

    def _frozen(self, grant: Grant, *, now: int) -> Item:
        del now
        return self.tables.grants.to_update(
            keys.grant(grant.connection_id, grant.name),
            "SET #status = :status, #reason = :reason, #frozen_by = :archive REMOVE #due_at, #due_shard",
            condition="#generation = :generation AND #status = :active",
            values={
                ":status": "needs_reauth",
                ":reason": REASON,
                ":archive": self.archive_id,
                ":generation": grant.generation,
                ":active": "active",
            },
        )

    def _thawed(self, grant: Grant, *, now: int) -> Item:
        due = due_again(grant, catalog=self.ports.catalog, now=now)
        values = {
            ":active": "active",
            ":generation": grant.generation,
            ":frozen": "needs_reauth",
            ":archive": self.archive_id,
        }
        if due is not None:
            values |= {":due_at": due, ":shard": due_shard(grant.connection_id, self.tables.due_shards)}
        placed = "" if due is None else ", #due_at = :due_at, #due_shard = :shard"
        return self.tables.grants.to_update(
            keys.grant(grant.connection_id, grant.name),
            f"SET #status = :active{placed} REMOVE #reason, #frozen_by",
            condition="#generation = :generation AND #status = :frozen AND #frozen_by = :archive",
            values=values,
        )

    def _meta(self, connection: Connection, *, frozen: bool, now: int) -> Item:
        before, after = ("active", "needs_reauth") if frozen else ("needs_reauth", "active")
        change = "SET #status = :after, #updated_at = :now, #list_sk = :order, #write_id = :write_id"
        values = {
            ":after": after,
            ":before": before,
            ":now": now,
            ":order": list_key(after, connection.service, connection.id),
            ":write_id": new_write_id(),
        }
        if frozen:
            values[":reason"] = REASON
        return self.tables.grants.to_update(
            keys.connection(connection.id),
            f"{change}, #reason = :reason" if frozen else f"{change} REMOVE #reason",
            condition="#status = :before",
            values=values,
        )


def is_frozen(item: Item, archive_id: str | None = None) -> bool:
    """Tell whether a grant's item is frozen, by this archive or by any."""
    marked = item.get(FROZEN)
    return marked is not None and archive_id in (None, marked["S"]) and item["status"] == {"S": "needs_reauth"}


def run() -> Run:
    """The operator's own run: nothing kills it, so it has the time of any function."""
    return Run(clock=operator.now, sleep=time.sleep, remaining_ms=lambda: 60_000)
