"""What a seed begins with: a provider, a connection in some state, and who comes to it when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from grantkeeper import ids
from grantkeeper.model import Binding, Connection, ConnectSession, Grant, Lease, Pending, TokenSet, Work
from grantkeeper.oauth.token_response import sealable
from grantkeeper.services.note_use import day_of
from grantkeeper.services.read_token import TokenWanted
from tests.simulation import actors
from tests.simulation.actors import ALICE, CLIENT
from tests.simulation.provider import CLIENT_ID, LIFETIME, PROFILES, Family, SimulatedProvider, record
from tests.simulation.world import NOON, World

A, B = "con_a", "con_b"
SCOPES = ("files.read",)
_SPENT = TokenSet("spent")


def _bag(**weights: int) -> list[str]:
    return [name for name, weight in weights.items() for _ in range(weight)]


PROFILE_BAG = _bag(strict=4, family=4, grace=3, short_grace=2, renewing=2, lasting=2, silent=1, optional=2, fixed=2)
STATE_BAG = _bag(fresh=2, near=10, expired=8, orphan=3, spent_orphan=2, parked=3, restored=1, endless=1, struck=3)
ACTOR_BAG = _bag(
    read=6, rejected=3, forced=3, worker=4, twice=3, sweep=3, disconnect=4, revoke=1, reconnect=2, sync=1, withdraw=1
)
assert set(PROFILE_BAG) == set(PROFILES)


@dataclass(frozen=True)
class Start:
    """How old the first tokens are, in seconds."""

    age: int
    expires: bool = True


_STARTS = {
    "fresh": Start(300),
    "near": Start(LIFETIME - 250),
    "expired": Start(LIFETIME + 100),
    "orphan": Start(LIFETIME - 100),
    "spent_orphan": Start(LIFETIME - 100),
    "parked": Start(LIFETIME - 100),
    "restored": Start(LIFETIME - 100),
    "endless": Start(5000, expires=False),
    "struck": Start(LIFETIME - 200),
}


def set_up(world: World) -> None:
    """Draw the scenario and put everything in its place."""
    rng = world.rng
    profile: Any = rng.choice(PROFILE_BAG)
    effect: Any = "token" if rng.random() < 0.35 else "grant"
    state = rng.choice(STATE_BAG)
    if profile == "fixed" and state in ("orphan", "spent_orphan", "parked", "restored", "struck"):
        state = "near"
    start = _STARTS[state]
    world.provider = SimulatedProvider(profile, effect, expires_in=LIFETIME if start.expires else None)
    world.provider.coin = rng.random
    live = rng.random() < 0.2 and profile != "fixed"
    world.provider.live = live
    rule = record(profile, effect, live=live)
    world.catalog = SimpleNamespace(get=lambda _id: rule)
    names = ("main", "user") if rng.random() < 0.12 else ("main",)
    if len(names) == 2:
        rule = record(profile, effect, names=2, live=live)
    world.idle = rng.random() < 0.08
    scoped = rng.random() < 0.1
    first = _connect(world, A, names=names, age=start.age)
    if rng.random() < 0.3:
        _connect(world, B, names=("main",), age=300, sub="usr_bob")
    world.provider.scope = "files.read files.write" if scoped else ""
    _past(world, state, first)

    count = 2 + int(rng.random() * 3)
    chosen = [rng.choice(ACTOR_BAG) for _ in range(count)]
    reach = f"{effect} (while it lives)" if live else effect
    world.scenario = (
        f"{profile} provider, revocation of the {reach}, {state}, {len(names)} token(s): {', '.join(chosen)}"
    )
    for kind in chosen:
        _enter(world, kind, name=rng.choice(names))


def _connect(world: World, connection_id: str, *, names: tuple[str, ...], age: int, sub: str = ALICE) -> list[Family]:
    made_at = NOON - age
    day = day_of(NOON - 3 * 86_400) if world.idle else day_of(NOON)
    created = NOON - 10 * 86_400
    connection = Connection(
        connection_id, sub, CLIENT, "example", "files", "alice", CLIENT_ID, SCOPES, SCOPES,
        "active", created, created, used_day=day, token_names=names,
    )  # fmt: skip
    families, grants = [], []
    for name in names:
        family, grant = _grant(world, connection, name=name, made_at=made_at)
        families.append(family)
        grants.append(grant)
    world.tables.add(connection, grants, client_id=CLIENT)
    return families


def _grant(
    world: World, connection: Connection, *, name: str, made_at: int, generation: int = 3
) -> tuple[Family, Grant]:
    provider = world.provider
    family, body = provider.consent(connection.account_id, connection.id, name, now=made_at)
    family.grant_id = f"grant_{family.number}"
    plaintext = sealable(body, provider=world.catalog.get("example"), name=name, previous=_SPENT, received_at=made_at)
    expires_at = None if provider.expires_in is None else made_at + provider.expires_in
    refreshable = provider.profile != "fixed"
    due = None if expires_at is None else expires_at - 360 if refreshable else expires_at
    grant = Grant(
        connection_id=connection.id, name=name, sub=connection.sub, provider="example", service="files",
        credentials_id=CLIENT_ID, grant_id=family.grant_id, n=generation, generation=generation, status="active",
        sealed=b"", scopes=SCOPES, refreshed_at=made_at, write_id=f"start_{family.number}", expires_at=expires_at,
        refreshable=refreshable, due_at=due,
    )  # fmt: skip
    return family, replace(grant, sealed=world.seal(plaintext, Binding.of(grant)))


def _past(world: World, state: str, families: list[Family]) -> None:
    """What somebody who is dead now has done."""
    if state not in ("orphan", "spent_orphan", "parked", "restored", "struck"):
        return
    world.scenario_trouble = True
    family, provider = families[0], world.provider
    if state == "struck":
        _strike(world, family)
        return
    row = world.tables.grants.get(A, family.name)
    spent = family.current or ""
    ago = 5 + int(world.rng.random() * 90)
    if state == "restored":  # an operator put an old row back: its successor was saved once
        world.recorded[(A, family.name, row.generation + 1)] = 0.0
        provider._refresh(spent, NOON - 60.0)
        world.excused_from_start[family.number] = None
        return
    world.tables.add_lease(
        Lease(A, family.name, row.generation, "dead", NOON + 25 - ago, ids.digest(spent), 1, "dead", NOON - 5 - ago)
    )
    world.oracle.asked[spent] = (None, NOON - 5.0 - ago)
    if state == "orphan":
        return  # it died before it asked
    response, issue = provider._refresh(spent, NOON - 4.0 - ago)
    if state == "spent_orphan":
        if issue is not None:
            issue.fate = "lost"
        return
    assert issue is not None
    issue.fate, issue.parked = "delivered", True
    _park(world, row, response.body, received_at=NOON - 4 - ago, spent=spent)


def _strike(world: World, family: Family) -> None:
    """The provider has said dead once: rightly, since the consent was withdrawn, or not."""
    ago = 1 + int(world.rng.random() * 60)
    row = world.tables.rows[(A, family.name)]
    world.tables.grants.strike(row, now=NOON - ago)
    world.oracle.dead[family.current or ""] = [NOON - float(ago)]
    world.faults.dead_once = True
    if world.rng.random() < 0.5:
        world.provider.withdraw()


def _park(world: World, row: Grant, body: bytes, *, received_at: int, spent: str) -> None:
    """The answer is in the rescue queue."""
    rule = world.catalog.get("example")
    previous = TokenSet("spent", refresh_token=spent)
    plaintext = sealable(body, provider=rule, name=row.name, previous=previous, received_at=received_at)
    expires_at = None if world.provider.expires_in is None else received_at + world.provider.expires_in
    made = replace(
        row, n=row.n + 1, generation=row.generation + 1, refreshed_at=received_at, write_id="parked",
        expires_at=expires_at, due_at=None if expires_at is None else expires_at - 360,
    )  # fmt: skip
    made = replace(made, sealed=world.seal(plaintext, Binding.of(made)))
    world.parked.append(made)
    world.consume_parked(made, delay=world.rng.choice((1.0, 10.0, 60.0, 130.0)))


def _at(world: World) -> float:
    draw = world.rng.random()
    return 0.0 if draw < 0.5 else 3 * world.rng.random() if draw < 0.75 else 40 * world.rng.random()


def _enter(world: World, kind: str, *, name: str) -> None:
    """Somebody comes, now or later."""
    at = _at(world)
    generation = world.tables.grants.get(A, name).generation
    if kind in ("read", "rejected", "forced"):
        wanted = TokenWanted(
            A,
            name=name,
            min_ttl=60 if world.rng.random() < 0.6 else 600,
            rejected_generation=generation if kind == "rejected" else None,
            force=kind == "forced",
        )
        world.process("read", lambda p, r, me: actors.reader(wanted, p, r, me, world), at=at)
    elif kind in ("worker", "twice", "revoke"):
        message = Work("revoke" if kind == "revoke" else "refresh", "example", ((A, generation),))
        for _ in range(2 if kind == "twice" else 1):
            world.process("worker", lambda p, r, me: actors.worker(message, p, r, world), at=at)
            at = at if world.rng.random() < 0.5 else _at(world)
    elif kind == "sweep":
        world.process("sweep", lambda p, r, me: actors.sweeper(p, r), at=at, limit=50.0)
    elif kind == "disconnect":
        world.process("disconnect", lambda p, r, me: actors.disconnector(A, p, r), at=at)
    elif kind == "sync":
        world.process("sync", lambda p, r, me: actors.syncer(A, p, r), at=at)
    elif kind == "withdraw":
        world.process("withdraw", lambda p, r, me: _withdraw(world), at=at)
    else:
        session_id = _reconnect(world, at=at)
        world.process("confirm", lambda p, r, me: actors.confirmer(session_id, p, r, world), at=at)


def _withdraw(world: World) -> str:
    world.hub.pause(0.0)
    world.provider.withdraw()
    world.tell(None, "the user withdraws his consent at the provider", (), {}, None)
    return "done"


def _reconnect(world: World, *, at: float) -> str:
    """The user has been at the consent page again; his tokens wait for their confirmation."""
    connection = world.tables.connections.get(A)
    session_id = f"cs_{world.new_id('s')}"
    fresh = [_grant(world, connection, name=name, made_at=NOON, generation=1) for name in connection.token_names]
    grants = tuple(replace(grant, generation=0) for _, grant in fresh)
    expires_at = NOON + (600 if world.rng.random() < 0.6 else 1 + int(at + 6 * world.rng.random()))
    session = ConnectSession(
        session_id, CLIENT, ALICE, "files", "example", SCOPES, "https://app.example/back", "ticket", NOON, expires_at,
        connection_id=A, status="authorized", confirmation_hash=ids.digest("value"), pending_connection_id=A,
    )  # fmt: skip
    pending = Pending(session_id, connection, grants, expires_at, replaces=True)
    world.tables.add_pending(session, pending)
    return session_id
