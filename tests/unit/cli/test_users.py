"""`grantkeeper users`: the only way to a role, and to a suspension."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from cli.main import cli
from cli.stack import Stack
from tests.doubles.deployment import ALICE, audit_event, deployment, provision, trail


@pytest.fixture
def wiring():
    made = deployment(LOCAL_RUN="1")
    provision(made)
    return made


@pytest.fixture
def run(wiring, monkeypatch):
    monkeypatch.setattr(Stack, "wiring", wiring)

    def invoke(*arguments):
        return CliRunner(mix_stderr=False).invoke(cli, ["users", *arguments])

    return invoke


def test_t12_a_role_is_given_and_the_trail_says_what_it_was(run, wiring):
    """Who, when, before and after; the rest of the record stays."""
    told = run("role", ALICE.sub, "auditor")

    assert told.stdout == "usr_alice was user, is auditor.\n"
    user = wiring.users.get(ALICE.sub)
    assert (user.role, user.email, user.status) == ("auditor", ALICE.email, "active")
    (entry,) = (entry for entry in trail(wiring) if entry["action"] == "user.role_changed")
    assert entry["actor"].startswith("operator:")
    assert "user to auditor" in str(entry["details"])


def test_a_role_given_twice_is_told_once(run, wiring):
    """Nothing changed, so nothing happened."""
    run("role", ALICE.sub, "admin")

    assert run("role", ALICE.sub, "admin").exit_code == 0
    assert sum(entry["action"] == "user.role_changed" for entry in trail(wiring)) == 1


def test_t10_there_are_three_roles_and_no_other(run, wiring):
    """Nor one for somebody who is not there."""
    assert run("role", ALICE.sub, "root").exit_code == 2
    assert "There is no user usr_never." in run("role", "usr_never", "admin").stderr
    assert wiring.users.get(ALICE.sub).role == "user"


def test_a_user_is_suspended_and_let_back(run, wiring):
    """Both in the trail."""
    run("suspend", ALICE.sub)
    assert wiring.users.get(ALICE.sub).status == "suspended"

    run("resume", ALICE.sub)

    assert wiring.users.get(ALICE.sub).status == "active"
    assert {"user.suspended", "user.resumed"} <= {entry["action"] for entry in trail(wiring)}


def test_a_change_that_comes_between_is_kept(run, wiring, monkeypatch):
    """The profile that moved meanwhile is read again, not overwritten."""
    real, moved = wiring.people.replace, []

    def put(user, **rest):
        if not moved:
            update = wiring.users.update
            moved.append(update(replace(ALICE, name="New"), expected_version=1, audit=audit_event("user.synced")))
        return real(user, **rest)

    monkeypatch.setattr(wiring.people, "replace", put)

    run("role", ALICE.sub, "admin")

    user = wiring.users.get(ALICE.sub)
    assert (user.name, user.role) == ("New", "admin")


def test_a_user_is_shown_without_what_is_his(run):
    """Role and status, for whoever gives them."""
    shown = json.loads(run("show", ALICE.sub, "--json").stdout)

    assert shown == {"sub": ALICE.sub, "role": "user", "status": "active", "email": ALICE.email, "identities": 1}
