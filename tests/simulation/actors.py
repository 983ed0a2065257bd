"""The actors: thin callers of the real services, one process each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import Grant, Principal, User, Work
from grantkeeper.services import (
    confirm_connection,
    disconnect,
    read_token,
    remembered,
    rescue,
    sweep,
    sync_profile,
    work,
)
from grantkeeper.services.people import Named
from grantkeeper.services.refresh_run import Run
from tests.simulation.hub import Process
from tests.simulation.ports import Ports

if TYPE_CHECKING:
    from tests.simulation.world import World

ALICE = "usr_alice"
CLIENT = "backend"
KEY = Principal("api_key", frozenset({"connections:token", "connections:write"}), client_id=CLIENT, key_id="key1")
_USER = User(ALICE, created_at=0, updated_at=0)


def reader(wanted: read_token.TokenWanted, ports: Ports, run: Run, me: Process, world: World) -> str:
    """The token call, in all its forms."""
    answer = read_token.read_token(
        wanted,
        principal=KEY,
        has_consent=ports.connections.has_consent,
        first_use=remembered.FirstUses(),
        ports=ports,
        run=run,
        request_id="req",
    )
    world.oracle.served(me, wanted, answer)
    return "served"


def worker(message: Work, ports: Ports, run: Run, world: World) -> str:
    """The worker function with a batch of one message."""
    failed = work.work_through([message], ports=ports, run=run, parallel=world.hub.parallel)
    task = world.hub.current
    if failed and task is not None:
        task.process.mark("message failed")
    return f"{message.kind} {'again' if failed else 'done'}"


def sweeper(ports: Ports, run: Run) -> str:
    """The sweeper function."""
    report = sweep.sweep(
        grants=ports.grants,
        breakers=ports.breakers,
        work_queue=ports.work_queue,
        due_shards=ports.due_shards,
        shards=1,
        workers=2,
        run=run,
    )
    return f"sent {min(report.sent, 3)}"


def disconnector(connection_id: str, ports: Ports, run: Run) -> str:
    """A user disconnects."""
    done = disconnect.disconnect(
        connection_id,
        principal=KEY,
        connections=ports.connections,
        work_queue=ports.work_queue,
        catalog=ports.catalog,
        now=run.clock(),
        request_id="req",
    )
    return done.upstream


def rescuer(parked: Grant, ports: Ports, world: World) -> str:
    """The rescue function with one message."""
    if not any(each is parked for each in world.parked):
        return "nothing"
    try:
        outcome = rescue.rescue(parked, grants=ports.grants)
    except StoreUnavailable:
        return "again"
    world.parked = [each for each in world.parked if each is not parked]
    world.oracle.dirty = True
    return outcome


def confirmer(session_id: str, ports: Ports, run: Run, world: World) -> str:
    """A user comes back from connecting the same account again."""
    confirm_connection.confirm_connection(
        session_id,
        confirm_connection.Confirmation("value", Named(user_sub=ALICE)),
        principal=KEY,
        users=_Users(),
        connect_sessions=_Sessions(world),
        connections=ports.connections,
        audit=ports.audit,
        work_queue=ports.work_queue,
        now=run.clock(),
        request_id="req",
    )
    return "confirmed"


def syncer(connection_id: str, ports: Ports, run: Run) -> str:
    """The profile is read again."""
    sync_profile.sync_profile(connection_id, principal=KEY, ports=ports, run=run, request_id="req")
    return "synced"


class _Users:
    def get(self, _sub: str) -> User:
        return _USER

    def find(self, _issuer: str, _subject: str) -> None:
        return None


class _Sessions:
    def __init__(self, world: World) -> None:
        self._world = world

    def get(self, session_id: str, *, now: int) -> Any:
        return self._world.tables.sessions[session_id]

    def end(self, _session_id: str, *, now: int, audit: Any) -> bool:
        raise AssertionError("the right user with the right value is never refused")
