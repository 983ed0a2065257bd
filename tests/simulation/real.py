"""
The real stores on the in-memory DynamoDB, in the place of `memory.Tables`; and both side by side, compared.

`RealTables` serves whole runs; `ComparedTables` asks both for each call and lets no difference pass.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from grantkeeper.errors import GrantkeeperError
from grantkeeper.model import AuditEvent, Connection, ConnectSession, Grant, Lease, Pending
from grantkeeper.stores import keys
from grantkeeper.stores.connect_sessions import DynamoConnectSessions
from grantkeeper.stores.connection_item import read_connection, read_pending
from grantkeeper.stores.connections import DynamoConnections
from grantkeeper.stores.grant_item import grant_item, lease_item, read_grant, read_lease
from grantkeeper.stores.grants import DynamoGrants
from grantkeeper.stores.items import from_item
from grantkeeper.stores.table import key_item
from tests.doubles.dynamodb import InMemoryDynamoDB
from tests.doubles.tables import create_tables
from tests.simulation.memory import Tables

READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "META": ("metas", read_connection),
    "GRANT": ("rows", read_grant),
    "LEASE": ("leases", read_lease),
    "PENDING": ("pendings", read_pending),
}


class RealTables:
    """What the oracle sees of it is a copy, kept by the double's stream of changes."""

    def __init__(self) -> None:
        self.client: Any = InMemoryDynamoDB()
        create_tables(self.client)
        self.rows: dict[tuple[str, str], Grant] = {}
        self.leases: dict[tuple[str, str], Lease] = {}
        self.metas: dict[str, Connection] = {}
        self.pendings: dict[tuple[str, str], Pending] = {}
        self.sessions: dict[str, ConnectSession] = {}
        self.audit: dict[str, AuditEvent] = {}
        self.client.on_change.append(self._changed)
        self.grants = DynamoGrants(self.client, "grants", "audit", due_shards=1)
        self.connections = DynamoConnections(self.client, "grants", "requests", "audit", due_shards=1)

    def add(self, connection: Connection, grants: Sequence[Grant], *, client_id: str) -> None:
        event = AuditEvent(f"evt_{connection.id}", connection.created_at, "connection.activated", "test")
        self.connections.add_api_key(connection, grants[0], consent_client_id=client_id, audit=event)
        for grant in grants[1:]:
            self._put(grant_item(grant, due_shards=1))

    def add_pending(self, session: ConnectSession, pending: Pending) -> None:
        event = AuditEvent(f"evt_{session.id}", session.created_at, "connect_session.opened", "test")
        opened = replace(session, status="open", ticket_hash=f"ticket {session.id}")
        DynamoConnectSessions(self.client, "requests", "audit").put(opened, audit=event)
        self.connections.authorize(pending, session, now=session.created_at, audit=replace(event, id=f"{event.id}a"))

    def discard_due(self, key: tuple[str, str]) -> int:
        """When unconfirmed tokens are looked at."""
        item = self.client.get_item(TableName="grants", Key=key_item(keys.pending(*key)))["Item"]
        return int(item["due_at"]["N"])

    def add_lease(self, lease: Lease) -> None:
        self._put(lease_item(lease))

    def _put(self, item: Any) -> None:
        self.client.put_item(TableName="grants", Item=item)

    def _changed(self, table: str, old: Any, new: Any) -> None:
        item = new if new is not None else old
        kind, _, name = item["sk"]["S"].partition("#")
        if table == "requests" and kind == "CS" and new is not None:
            session = from_item(ConnectSession, new)
            self.sessions[session.id] = session
        if table != "grants" or kind not in READERS:
            return
        where, read = READERS[kind]
        cid = item["pk"]["S"].partition("#")[2]
        key = cid if kind == "META" else (cid, name)
        kept = getattr(self, where)
        if new is None:
            kept.pop(key, None)
        elif kept.get(key) != (now := read(new)):
            kept[key] = now


class ComparedTables(Tables):
    """The tables in memory, each call made on the real stores as well."""

    def __init__(self) -> None:
        super().__init__()
        self.real = RealTables()
        self.compared = 0
        self._write_ids: dict[str, str] = {}  # the stores make some of their own
        self.grants: Any = _Compared(self, self.grants, self.real.grants)
        self.connections: Any = _Compared(self, self.connections, self.real.connections)

    def add(self, connection: Connection, grants: Sequence[Grant], *, client_id: str) -> None:
        super().add(connection, grants, client_id=client_id)
        self.real.add(connection, grants, client_id=client_id)
        self.same_state()

    def add_pending(self, session: ConnectSession, pending: Pending) -> None:
        super().add_pending(session, pending)
        self.real.add_pending(session, pending)
        self.same_state()

    def add_lease(self, lease: Lease) -> None:
        super().add_lease(lease)
        self.real.add_lease(lease)

    def translated(self, write_ids: Collection[str] | None) -> Collection[str] | None:
        """Write ids of this side as the other knows them."""
        return None if write_ids is None else {self._write_ids.get(each, each) for each in write_ids}

    def same_state(self) -> None:
        """Every row, lease, connection and unconfirmed set is the same on both sides."""
        for key, row in self.rows.items():
            if key in self.real.rows and row.generation == self.real.rows[key].generation:
                self._write_ids[row.write_id] = self.real.rows[key].write_id
        for kept in ("rows", "leases", "metas", "pendings"):
            ours, theirs = plain(getattr(self, kept)), plain(getattr(self.real, kept))
            assert ours == theirs, f"{kept} differ:\n  memory {ours}\n  stores {theirs}"
        for session_id, session in self.sessions.items():
            assert session.status == self.real.sessions[session_id].status
        for key in self.pendings:
            assert self.discard_due(key) == self.real.discard_due(key)


class _Compared:
    def __init__(self, tables: ComparedTables, memory: Any, real: Any) -> None:
        self._tables, self._memory, self._real = tables, memory, real

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def both(*args: Any, **kwargs: Any) -> Any:
            there = dict(kwargs)
            if "write_ids" in there:
                there["write_ids"] = self._tables.translated(there["write_ids"])
            ours, theirs = (
                _outcome(getattr(self._memory, name), args, kwargs),
                _outcome(getattr(self._real, name), args, there),
            )
            assert plain(ours) == plain(theirs), f"{name}{args}:\n  memory {ours}\n  stores {theirs}"
            self._tables.compared += 1
            self._tables.same_state()
            if isinstance(ours, GrantkeeperError):
                raise ours
            return ours

        return both


def _outcome(method: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    try:
        return method(*args, **kwargs)
    except GrantkeeperError as error:
        return error


def plain(value: Any) -> Any:
    """A value to compare: without the write ids that stores make, without the order of what has none."""
    if isinstance(value, GrantkeeperError):
        return type(value).__name__
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        skip = () if isinstance(value, Lease) else ("write_id",)
        shown = {each.name: plain(getattr(value, each.name)) for each in fields(value) if each.name not in skip}
        if isinstance(value, Grant) and not value.sealed:
            shown.pop("previous_refresh_token_hash")
        return shown
    return value
