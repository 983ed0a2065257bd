"""
The secret halves of connections, and the leases to refresh them.

A grant is replaced whole, in one plain write fenced on its generation: never in a transaction, which would cost twice
and could be refused for the sake of a neighbour. The small marks beside it (strikes, rejection, due time) set absolute
values, so a repeated write is the same write.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent, LeaseHeld, Saved
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.connection_item import list_key
from grantkeeper.stores.grant_item import REVOKED, due_shard, grant_item, lease_item, read_due, read_grant, read_lease
from grantkeeper.stores.items import Item, from_value, to_value
from grantkeeper.stores.retrying import ConditionFailed, TransactionFailed
from grantkeeper.stores.table import Table, is_own, new_write_id

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from types_boto3_dynamodb import DynamoDBClient

    from grantkeeper.model import DueGrant, Grant, Lease, Reason

SAVE_BUDGET = 1.5  # seconds until the last attempt of a save starts; with the attempt itself, `SAVE_NEEDS`
MOST_WITHOUT = 100
REVOKE_AGAIN = 300  # seconds after which the sweeper asks again for a revocation upstream
MARK_ROUNDS = 4  # of a read and a transaction, when the tokens of one connection die together
ASK_AGAIN = 45  # seconds after a first strike: the second must be 30 s later by any two clocks


class DynamoGrants:
    """`ports.Grants` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str, audit_table: str, *, due_shards: int) -> None:
        """Args: due_shards: partitions of the due index."""
        self._table = Table(client, grants_table)
        self._audit = Table(client, audit_table)
        self._due_shards = due_shards

    def get(self, connection_id: str, name: str = "main") -> Grant | None:
        """Consistent."""
        item = self._table.get(keys.grant(connection_id, name))
        return None if item is None else read_grant(item)

    def names(self, connection_id: str) -> Sequence[str]:
        """Names of the connection's tokens, in order."""
        items = self._table.query(keys.connection(connection_id)[0], prefix="GRANT#")
        return [read_grant(item).name for item in items]

    # --- leases ---

    def take_lease(self, lease: Lease) -> LeaseHeld | None:
        """
        Take the lease in one conditional write. Its generation never falls, so an old reader gets none.

        Expiry frees nothing here: a lease past its time whose intent stands is an orphan, and `take_over` is for those.
        """
        try:
            self._table.put(
                lease_item(lease),
                condition=(
                    "attribute_not_exists(#pk) OR #generation < :generation"
                    " OR (#generation = :generation AND attribute_not_exists(#intent))"
                ),
                values={":generation": lease.generation},
            )
        except ConditionFailed as failure:
            if is_own(failure.item, lease.write_id):
                return None
            if failure.item is None:
                raise StoreUnavailable("The lease changed under our hands.", retry_after=1) from None
            return LeaseHeld(read_lease(failure.item))
        return None

    def take_over(self, lease: Lease, *, orphan: Lease) -> bool:
        """Take an orphan's place: of any number who saw it die, one does."""
        try:
            self._table.put(lease_item(lease), condition="#write_id = :orphan", values={":orphan": orphan.write_id})
        except ConditionFailed as failure:
            return is_own(failure.item, lease.write_id)
        return True

    def release_lease(self, lease: Lease) -> None:
        """Clear the intent of our own lease. Best effort: expiry frees it otherwise."""
        with contextlib.suppress(ConditionFailed, StoreUnavailable):
            self._table.update(
                keys.lease(lease.connection_id, lease.name),
                "REMOVE #intent",
                condition="#write_id = :own",
                values={":own": lease.write_id},
            )

    # --- the save ---

    def save(self, successor: Grant) -> Saved:
        """
        Write generation g + 1.

        Fenced on the generation, not on the lease: a late holder whose refresh token is still the current one holds the
        only valid successor. The SDK may repeat a write whose answer was lost; the condition then fails on our own
        write_id, and that is success. A revoke in between is looked for first: revoked is final.
        """
        try:
            replaced = self._table.put(
                grant_item(successor, due_shards=self._due_shards),
                condition="#generation = :before AND #status <> :revoked",
                values={":before": successor.generation - 1, ":revoked": "revoked"},
                budget=SAVE_BUDGET,
            )
        except ConditionFailed as failure:
            found = _not_written(failure.item, successor)
            if found.outcome == "saved":  # what our first try replaced is not known
                self._mirror_recovery(successor)
            return found
        if _is(replaced, "status", {"S": "needs_reauth"}):
            self._mirror_recovery(successor)
        return Saved("saved", successor)

    def keep_for_revocation(self, successor: Grant) -> bool:
        """Put tokens that arrived after a revoke in their predecessor's place, on the tombstone, due for the worker."""
        kept = replace(
            successor, status="revoked", reason="revoked_by_user", due_at=successor.refreshed_at + REVOKE_AGAIN
        )
        try:
            self._table.put(
                grant_item(kept, due_shards=self._due_shards),
                condition="#generation = :before AND #status = :revoked",
                values={":before": successor.generation - 1, ":revoked": "revoked"},
                budget=SAVE_BUDGET,
            )
        except ConditionFailed as failure:
            return is_own(failure.item, successor.write_id) and _is(failure.item, "status", REVOKED)
        return True

    def reseal(self, grant: Grant, *, sealed: bytes) -> bool:
        """Replace the sealed bytes by the same set under another key; never brings back what was erased."""
        try:
            self._table.update(
                keys.grant(grant.connection_id, grant.name),
                "SET #sealed = :sealed",
                condition=(
                    "#generation = :generation AND #n = :n AND #write_id = :write_id AND attribute_exists(#sealed)"
                ),
                values={
                    ":sealed": sealed,
                    ":generation": grant.generation,
                    ":n": grant.n,
                    ":write_id": grant.write_id,
                },
            )
        except ConditionFailed as failure:
            return _is(failure.item, "sealed", {"B": sealed})
        return True

    def _mirror_recovery(self, saved: Grant) -> None:
        """
        Tell META that a grant declared dead answered after all: a late holder brought its successor.

        Not while another of its tokens is dead. The save itself carries cause and actor into the trail. Best effort:
        the grant's status is the authority.
        """
        with contextlib.suppress(ConditionFailed, StoreUnavailable):
            grants = self._table.query(keys.connection(saved.connection_id)[0], prefix="GRANT#", only="#status")
            if any(_is(grant, "status", {"S": "needs_reauth"}) for grant in grants):
                return
            self._table.update(
                keys.connection(saved.connection_id),
                "SET #status = :active, #updated_at = :now, #list_sk = :order, #write_id = :write_id REMOVE #reason",
                condition="#status = :needs_reauth",
                values={
                    ":active": "active",
                    ":needs_reauth": "needs_reauth",
                    ":now": saved.refreshed_at,
                    ":order": list_key("active", saved.service, saved.connection_id),
                    ":write_id": new_write_id(),
                },
            )

    # --- marks ---

    def strike(self, grant: Grant, *, now: int) -> Grant | None:
        """
        Count a dead answer for the generation that is current, and make the grant due for a second look.

        Whoever strikes at the same time counts once: the condition is on the strikes that were read.
        """
        counted = grant.strikes if grant.strike_generation == grant.generation else 0
        values = {
            ":generation": grant.generation,
            ":active": "active",
            ":strikes": counted + 1,
            ":now": now,
            ":due_at": now + ASK_AGAIN,
            ":shard": due_shard(grant.connection_id, self._due_shards),
        }
        seen = "(attribute_not_exists(#strikes) OR #strike_generation < :generation)"
        if counted:
            seen, values[":counted"] = "(#strikes = :counted AND #strike_generation = :generation)", counted
        try:
            item = self._table.update(
                keys.grant(grant.connection_id, grant.name),
                "SET #strikes = :strikes, #strike_generation = :generation, #strike_at = :now,"
                " #due_at = :due_at, #due_shard = :shard",
                condition=f"#generation = :generation AND #status = :active AND {seen}",
                values=values,
            )
        except ConditionFailed as failure:
            stored = None if failure.item is None else read_grant(failure.item)
            still = stored is not None and (stored.generation, stored.status) == (grant.generation, "active")
            return stored if still else None
        return read_grant(item)

    def mark_needs_reauth(self, grant: Grant, reason: Reason, *, now: int, audit: AuditEvent) -> bool:
        """
        Turn grant and connection to `needs_reauth` together, off the due index, if the generation still stands.

        The entry says what the connection was until then: another token's death may have come first, and is counted.
        """
        for _ in range(MARK_ROUNDS):
            meta = self._table.get(keys.connection(grant.connection_id))
            left = "revoked" if meta is None else from_value(meta["status"])
            if left == "revoked":
                return False
            marked = replace(audit, details={**audit.details, "from": left})
            try:
                self._table.transact(self._dead(grant, reason, left=left, now=now, audit=marked))
            except TransactionFailed as failure:
                if not failure.failed(0) and failure.failed(1):
                    continue  # the connection is another than it was read as, and the grant is not
                return False
            return True
        raise StoreUnavailable("The connection keeps changing.", retry_after=1)

    def _dead(self, grant: Grant, reason: Reason, *, left: str, now: int, audit: AuditEvent) -> list[Item]:
        changes = {":status": "needs_reauth", ":reason": reason}
        dead = self._table.to_update(
            keys.grant(grant.connection_id, grant.name),
            "SET #status = :status, #reason = :reason REMOVE #due_at, #due_shard",
            condition="#generation = :generation AND #status = :active",
            values={**changes, ":generation": grant.generation, ":active": "active"},
        )
        mirror = self._table.to_update(
            keys.connection(grant.connection_id),
            "SET #status = :status, #reason = :reason, #updated_at = :now, #list_sk = :order, #write_id = :write_id",
            condition="#status = :left",
            values={
                **changes,
                ":now": now,
                ":left": left,
                ":order": list_key("needs_reauth", grant.service, grant.connection_id),
                ":write_id": new_write_id(),
            },
        )
        return [dead, mirror, *audit_writes(self._audit, audit)]

    def reject(self, grant: Grant) -> bool:
        """Note that the provider answered 401 to this generation: it is never served again."""
        try:
            self._table.update(
                keys.grant(grant.connection_id, grant.name),
                "SET #rejected_generation = :generation",
                condition="#generation = :generation AND #status <> :revoked",
                values={":generation": grant.generation, ":revoked": "revoked"},
            )
        except ConditionFailed:
            return False
        return True

    # --- the due index ---

    def postpone(
        self,
        connection_id: str,
        name: str,
        *,
        generation: int,
        due_at: int | None,
        revoked: bool = False,
        failed: str | None = None,
    ) -> None:
        """
        Move `due_at`, if the generation is still this one; None takes the grant off the index.

        Whoever read an active grant moves no tombstone: a disconnect between the two has made it due for its own sake.

        Args:
            connection_id: The connection.
            name: The token's.
            generation: As read.
            due_at: Epoch seconds.
            revoked: What was read is a tombstone.
            failed: Why an attempt brought no tokens. It stands in the row, where the stream's reader finds and counts
                it, until the next generation replaces the row.
        """
        key, values = keys.grant(connection_id, name), {":generation": generation, ":revoked": "revoked"}
        condition = "#generation = :generation AND #status <> :revoked"
        if revoked:
            condition = "#generation = :generation AND #status = :revoked"
        with contextlib.suppress(ConditionFailed):
            if due_at is None:
                self._table.update(key, "REMOVE #due_at, #due_shard", condition=condition, values=values)
                return
            values |= {":due_at": due_at, ":shard": due_shard(connection_id, self._due_shards)}
            change = "SET #due_at = :due_at, #due_shard = :shard"
            if failed is not None:
                change += ", #failed = :failed"
                values[":failed"] = f"{failed}@{due_at}"  # tells this attempt from the last one
            self._table.update(key, change, condition=condition, values=values)

    def due(self, shard: int, *, before: int, limit: int, without: Collection[str] = frozenset()) -> Sequence[DueGrant]:
        """
        Up to `limit` rows due at `before` or earlier, oldest first.

        Hints, possibly stale. Beside grants there are unconfirmed tokens past their time: generation 0, the session's
        id for a name.

        Args:
            shard: Partition of the index.
            before: Epoch seconds.
            limit: Rows at most.
            without: Providers whose rows are passed over; a hundred at most, which is all DynamoDB compares with.
        """
        condition = "#due_shard = :shard AND #due_at <= :before"
        request = self._table.request(
            condition=None, values={":shard": f"{shard}", ":before": before}, expressions=(condition,)
        )
        request |= {"IndexName": "due", "KeyConditionExpression": condition}
        if without:  # pages are as long as they can be, since most of a page may be passed over
            passed = {f":provider{at}": to_value(name) for at, name in enumerate(sorted(without)[:MOST_WITHOUT])}
            request["FilterExpression"] = "NOT #provider IN (" + ", ".join(passed) + ")"
            request["ExpressionAttributeNames"] |= {"#provider": "provider"}
            request["ExpressionAttributeValues"] |= passed
        else:
            request["Limit"] = limit
        return [read_due(item) for item in self._table.pages(request, limit=limit)]


def _not_written(stored: Item | None, successor: Grant) -> Saved:
    if stored is None:
        return Saved("revoked")
    current = read_grant(stored)
    if current.status == "revoked":
        return Saved("revoked", current)
    return Saved("saved" if current.write_id == successor.write_id else "moved", current)


def _is(item: Item | None, attribute: str, value: Item) -> bool:
    return item is not None and item.get(attribute) == value
