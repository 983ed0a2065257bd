"""The tables in memory behave as the real stores on DynamoDB do: in every call of whole runs, and in odd ones."""

from __future__ import annotations

import os
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from grantkeeper.model import AuditEvent, Connection, ConnectSession, Grant, Lease, Pending, Profile
from tests.simulation import report
from tests.simulation.campaign import run_seed
from tests.simulation.real import ComparedTables, RealTables

pytestmark = [pytest.mark.simulation, pytest.mark.timeout(1800)]

RUNS = int(os.environ.get("SIMULATION_REAL_RUNS", "1000"))
SEQUENCES = 300
LENGTH = 40
NOON = 1_800_000_000


def test_runs_over_the_real_stores_are_the_same_runs() -> None:
    """The same seeds over the real stores: the same steps, the same faults, the same end, and no violation."""
    for seed in range(RUNS):
        memory, real = run_seed(seed), run_seed(seed, tables=RealTables)
        assert real.violation is None
        assert (memory.trace, memory.steps) == (real.trace, real.steps), f"seed {seed}"
        assert memory.world.outcomes == real.world.outcomes, f"seed {seed}"
    report.write("over the real stores", {"runs": RUNS})


def test_every_call_of_a_run_is_answered_alike() -> None:
    """Answers and everything stored, compared after each call."""
    calls = 0
    for seed in range(RUNS // 3):
        calls += run_seed(seed, tables=ComparedTables).world.tables.compared
    assert calls > RUNS // 3
    report.write("calls compared with the real stores", {"runs": RUNS // 3, "calls": calls})


@pytest.mark.parametrize("seed", range(SEQUENCES // 100))
def test_odd_calls_are_answered_alike(seed: int) -> None:
    """Any call in any state, with generations, leases and statuses that no service would combine."""
    for at in range(100):
        _odd_sequence(Random(seed * 1000 + at))


def _odd_sequence(rng: Random) -> None:
    tables = ComparedTables()
    connection = Connection(
        "con_a", "usr_alice", "backend", "example", "files", "alice", "our-client", ("a",), ("a",), "active",
        NOON, NOON, token_names=("main",), used_day=rng.choice((None, "2027-01-14", "2027-01-15")),
    )  # fmt: skip
    tables.add(connection, [_grant(rng, generation=1)], client_id="backend")
    for at in range(LENGTH):
        _odd_call(tables, rng, at)


def _grant(rng: Random, *, generation: int) -> Grant:
    strikes = rng.choice((0, 0, 1))
    return Grant(
        connection_id="con_a", name="main", sub="usr_alice", provider="example", service="files",
        credentials_id="our-client", grant_id=f"grant_{rng.randrange(2)}", n=generation, generation=generation,
        status="active", sealed=b"set %d" % rng.randrange(9), scopes=("a",), refreshed_at=NOON,
        write_id=f"w{rng.randrange(6)}", expires_at=NOON + 3600, due_at=rng.choice((None, NOON, NOON + 3000)),
        strikes=strikes, strike_generation=rng.choice((max(generation - 1, 1), generation)) if strikes else 0,
        previous_refresh_token_hash=rng.choice((None, "hash")),
    )  # fmt: skip


def _odd_call(tables: Any, rng: Random, at: int) -> None:
    grants, connections = tables.grants, tables.connections
    stored = tables.rows[("con_a", "main")]
    near = max(1, stored.generation + rng.choice((-1, 0, 1, 1, 2)))
    grant = stored if rng.random() < 0.4 else _grant(rng, generation=near)
    now = NOON + at
    audit = AuditEvent(f"evt_{at}", now, "test", "test", sub="usr_alice", connection_id="con_a")
    lease = Lease(
        "con_a", "main", near, "owner", now + rng.choice((0, 30)), rng.choice((None, "intent")), 1,
        f"l{rng.randrange(4)}", now,
    )  # fmt: skip
    held = tables.leases.get(("con_a", "main"), lease)
    session = f"cs_{rng.randrange(3)}"
    calls = {
        "save": lambda: grants.save(_grant(rng, generation=near)),
        "keep": lambda: grants.keep_for_revocation(_grant(rng, generation=near)),
        "strike": lambda: grants.strike(grant, now=now),
        "mark": lambda: grants.mark_needs_reauth(grant, "revoked_by_user", now=now, audit=audit),
        "reject": lambda: grants.reject(grant),
        "postpone": lambda: grants.postpone(
            "con_a", "main", generation=near, due_at=rng.choice((None, now + 9)), revoked=rng.random() < 0.4
        ),
        "lease": lambda: grants.take_lease(lease),
        "over": lambda: grants.take_over(lease, orphan=rng.choice((held, lease))),
        "release": lambda: grants.release_lease(rng.choice((held, lease))),
        "due": lambda: grants.due(0, before=now + rng.choice((0, 5000)), limit=9),
        "names": lambda: grants.names("con_a"),
        "sharing": lambda: connections.sharing("our-client", "alice", now=now + rng.choice((0, 700))),
        "profile": lambda: connections.update_profile("con_a", Profile("alice", name=f"{at}"), now=now, audit=audit),
        "scopes": lambda: connections.update_scopes("con_a", ("a", "b"), now=now, audit=audit),
        "touch": lambda: connections.touch("con_a", day=rng.choice(("2027-01-15", "2027-01-16"))),
        "authorize": lambda: _authorize(tables, rng, session, now),
        "pending": lambda: connections.pending("con_a", session, now=now + rng.choice((0, 700))),
        "unconfirmed": lambda: connections.unconfirmed("con_a"),
        "abandon": lambda: connections.abandon("con_a", session, now=now),
        "put off": lambda: connections.postpone_discard("con_a", session, due_at=now + rng.choice((0, 900))),
        "discard": lambda: connections.discard("con_a", session, audit=audit),
        "confirm": lambda: _confirm(tables, session, now, audit),
        "disconnect": lambda: rng.random() < 0.3 and connections.disconnect("con_a", now=now, audit=audit),
        "unerased": lambda: connections.unerased("con_a"),
        "erase": lambda: connections.erase(
            "con_a", audit=audit, write_ids=rng.choice((None, {stored.write_id}, {"x"}))
        ),
    }
    try:
        calls[rng.choice(list(calls))]()
    except Exception as error:
        if type(error).__name__ not in ("Conflict", "ConnectSessionExpired"):
            raise


def _authorize(tables: Any, rng: Random, session_id: str, now: int) -> None:
    if session_id in tables.sessions:
        return
    expires_at = now + 600
    session = ConnectSession(
        session_id, "backend", "usr_alice", "files", "example", ("a",), "https://app.example", "ticket", now,
        expires_at, connection_id="con_a", status="authorized", confirmation_hash="hash",
        pending_connection_id="con_a",
    )  # fmt: skip
    waiting = replace(_grant(rng, generation=1), generation=0, write_id="waiting")
    tables.add_pending(session, Pending(session_id, tables.metas["con_a"], (waiting,), expires_at, replaces=True))


def _confirm(tables: Any, session_id: str, now: int, audit: AuditEvent) -> None:
    pending = tables.pendings.get(("con_a", session_id))
    if pending is not None:
        tables.connections.confirm(pending, consent_client_id="backend", now=now, audit=audit)
