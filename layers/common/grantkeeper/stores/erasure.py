"""What stands of a user in Grants and Requests, and its end: a batch at a time, each with its entry in the trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import Erased, Remains, Trace, User
from grantkeeper.model.erasure import TraceKind
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.connection_item import read_connection
from grantkeeper.stores.items import Item, from_value, to_item, to_value
from grantkeeper.stores.list_pages import key_at, list_page
from grantkeeper.stores.people import UNFINISHED, put_while_admin
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.revocation import PUBLIC
from grantkeeper.stores.table import Table, key_item, new_write_id, unshown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from types_boto3_dynamodb import DynamoDBClient

    from grantkeeper.model import AuditEvent

_KINDS: dict[str, TraceKind] = {
    "IDENTITY": "identities",
    "CONSENT": "consents",
    "WITHDRAWN": "consents",
    "KEY": "api_keys",
    "ENDEDKEY": "api_keys",
    "AVATAR": "pictures",
    "CONN": "connections",
    "PAST": "past_connections",
}


class DynamoErasure:
    """`services.erase_user.Erasing` in the tables Grants and Requests."""

    def __init__(self, client: DynamoDBClient, grants_table: str, requests_table: str, audit_table: str) -> None:
        self._table = Table(client, grants_table)
        self._requests = Table(client, requests_table)
        self._audit = Table(client, audit_table)

    def erased(self, sub: str) -> Erased | None:
        """The tombstone of a user, consistent; None when he is not erased, or unknown."""
        item = self._table.get(keys.user(sub))
        if item is None or "erased_at" not in item:
            return None
        return Erased(sub, from_value(item["erased_at"]), finished="list_pk" not in item)

    def unfinished(self, *, limit: int, start: str) -> Sequence[str]:
        """
        Subs whose erasure is not finished, possibly a moment late.

        Args:
            limit: How many at most.
            start: A sub, there or not: those behind it in order come first, then the others from the beginning.
        """
        behind = key_at(UNFINISHED, (*keys.user(start), start))
        pages = [list_page(self._table, UNFINISHED, after=after, limit=limit) for after in (behind, None)]
        subs = [from_value(item["sub"]) for page in pages for item in page.items]
        return list(dict.fromkeys(subs))[:limit]

    def begin(self, user: User, *, now: int, admin: str | None, audit: AuditEvent) -> bool:
        """
        Put a tombstone in a user's place: no profile, no role, and nobody who may sign in.

        Returns:
            False when he was changed since he was read.

        Raises:
            Forbidden: `admin` is none any more.
        """
        write_id = new_write_id()
        gone = User(user.sub, user.created_at, now, status="erased", version=user.version + 1)
        item = key_item(keys.user(user.sub)) | to_item(gone)
        item |= {"erased_at": to_value(now), "write_id": to_value(write_id)}
        item |= {"list_pk": to_value(UNFINISHED), "list_sk": to_value(user.sub)}
        put = self._table.to_put(item, condition="#version = :seen", values={":seen": user.version})
        beside = audit_writes(self._audit, audit)
        return put_while_admin(self._table, put, write_id=write_id, admin=admin, beside=beside)

    def finish(self, sub: str, *, audit: AuditEvent) -> None:
        """Take the tombstone off the list of those that are not finished."""
        update = self._table.to_update(
            keys.user(sub), "REMOVE #list_pk, #list_sk", condition="#status = :erased", values={":erased": "erased"}
        )
        self._write([update, *audit_writes(self._audit, audit)])

    # --- what stands there ---

    def traces(self, sub: str) -> Sequence[Trace]:
        """Everything that stands of a user but his profile, or tombstone; consistent."""
        partition = keys.user(sub)[0]
        found = [
            _trace(item)
            for item in self._table.query(partition, only="#pk, #sk, #connection_id, #looked_at")
            if item["sk"]["S"] != "USER"
        ]
        # A key with two entries is told once: one transaction writes no item twice. The other entry comes next time.
        found = list({(trace.kind, trace.name): trace for trace in found}.values())
        found += [
            Trace("sessions", item["sk"]["S"].partition("#")[2], from_value(item["family"]))
            for item in self._requests.query(partition, only="#pk, #sk, #family")
        ]
        return found

    def one_time(self, *, errands: Sequence[str], connect_sessions: Sequence[str]) -> Sequence[Trace]:
        """Of these, what stands still, expired or not; consistent."""
        wanted = [keys.errand(each) for each in errands] + [keys.connect_session(each) for each in connect_sessions]
        return [Trace("one_time", item["pk"]["S"], item["sk"]["S"]) for item in self._requests.batch_get(wanted)]

    def past(self, sub: str) -> Sequence[Trace]:
        """What he has disconnected, as far as anything is left of it; consistent."""
        return [_trace(item) for item in self._table.query(keys.user(sub)[0], prefix="PAST#")]

    def remains(self, connection_id: str) -> Remains:
        """What is left of a connection; consistent."""
        items = self._table.query(keys.connection(connection_id)[0], only=PUBLIC)
        by_place = {item["sk"]["S"]: item for item in items}
        kept = [sk for sk, item in by_place.items() if sk.startswith("GRANT#") and "due_at" in item]
        waits = bool(kept) or any(sk.startswith("PENDING#") for sk in by_place)
        meta = by_place.get("META")
        return Remains(connection_id, None if meta is None else read_connection(meta), tuple(by_place), waits)

    # --- its end ---

    def remove(self, sub: str, traces: Sequence[Trace], *, audit: AuditEvent) -> None:
        """
        Delete some traces with what stands beside them, in one transaction; what is gone already is as good.

        Raises:
            StoreUnavailable: It is not known whether they are gone; asking again is safe.
        """
        writes = [write for trace in traces for write in self._deletes(sub, trace)]
        self._write([*writes, *audit_writes(self._audit, audit)])

    def strip(self, sub: str, remains: Remains, *, now: int, audit: AuditEvent) -> None:
        """Take from a past connection what names a person, and note that it was looked at."""
        looked = self._table.to_update(
            keys.past_connection(sub, remains.connection_id), "SET #looked_at = :now", values={":now": now}
        )
        writes = [looked]
        if remains.connection is not None and _names_somebody(remains):
            bare = self._table.to_update(
                keys.connection(remains.connection_id),
                "REMOVE #profile, #label, #metadata",
                condition="#status = :revoked",
                values={":revoked": "revoked"},
            )
            writes += [bare, *audit_writes(self._audit, audit)]
        self._write(writes)

    def purge(self, sub: str, remains: Remains, *, audit: AuditEvent) -> None:
        """Delete all that is left of a past connection, unless tokens came for it meanwhile."""
        partition = keys.connection(remains.connection_id)[0]
        writes = [self._table.to_delete(keys.past_connection(sub, remains.connection_id))]
        for place in remains.places:
            condition = "attribute_not_exists(#due_at)" if place.startswith("GRANT#") else None
            writes.append(unshown(self._table.to_delete((partition, place), condition=condition)))
        of = remains.connection
        if of is not None:
            writes.append(self._table.to_delete(keys.shared_account(of.credentials_id, of.account_id, of.id)))
        self._write([*writes, *audit_writes(self._audit, audit)])

    def _deletes(self, sub: str, trace: Trace) -> list[Item]:
        partition, own = keys.user(sub)[0], {":own": sub}
        mine = "attribute_not_exists(#pk) OR #sub = :own"
        match trace.kind:
            case "sessions":
                entry = self._requests.to_delete(keys.user_session(sub, trace.name))
                return [self._requests.to_delete(keys.session(trace.beside)), entry]
            case "one_time":
                return [self._requests.to_delete((trace.name, trace.beside))]
            case "api_keys":
                key = self._table.to_delete(keys.api_key(trace.name), condition=mine, values=own)
                return [key, self._table.to_delete((partition, trace.beside))]
            case "identities":
                found = (trace.name, "IDENTITY")
                item = self._table.get(found)
                entry = self._table.to_delete((partition, trace.name))
                if item is None or from_value(item["sub"]) != sub:
                    return [entry]  # somebody else's by now
                return [self._table.to_delete(found, condition=mine, values=own), entry]
            case _:
                return [self._table.to_delete((partition, trace.name))]

    def _write(self, writes: list[Item]) -> None:
        try:
            self._table.transact(writes)
        except TransactionFailed:
            raise StoreUnavailable("Something changed meanwhile.", retry_after=1) from None


def _trace(item: Item) -> Trace:
    sk = item["sk"]["S"]
    kind = _KINDS.get(sk.partition("#")[0], "other")
    match kind:
        case "connections":
            return Trace(kind, from_value(item["connection_id"]), sk)
        case "past_connections":
            return Trace(kind, sk.partition("#")[2], looked_at=from_value(item.get("looked_at", {"N": "0"})))
        case "api_keys":
            return Trace(kind, sk.partition("#")[2], sk)
    return Trace(kind, sk)


def _names_somebody(remains: Remains) -> bool:
    of = remains.connection
    return of is not None and bool(of.profile or of.label or of.metadata)
