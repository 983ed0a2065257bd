"""The console's registration: by `grantkeeper init`, once, for this deployment's own address."""

from __future__ import annotations

from dataclasses import replace

import pytest
from click.testing import CliRunner

from cli.console_client import CONSOLE_ID
from cli.main import cli
from cli.stack import Stack
from tests.doubles.deployment import audit_event, deployment, trail


@pytest.fixture
def wiring():
    return deployment(LOCAL_RUN="1")


@pytest.fixture
def init(wiring, monkeypatch):
    monkeypatch.setattr(Stack, "wiring", wiring)

    def invoke(*options):
        answer = CliRunner(mix_stderr=False).invoke(cli, ["init", *options])
        assert answer.exit_code == 0, answer.stderr
        return answer.stdout

    return invoke


def test_the_console_is_a_public_client_by_invitation(init, wiring):
    """It takes browsers back to its own page alone, and admits nobody who has no account here."""
    assert f"registered: {wiring.issuer}/console" in init()
    client = wiring.clients.get(CONSOLE_ID)

    assert client.redirect_uris == client.post_logout_redirect_uris == (f"{wiring.issuer}/console",)
    assert not client.confidential
    assert client.sign_up == "invited"
    assert "connections:token" not in client.scopes
    assert [entry["action"] for entry in trail(wiring)].count("client.registered") == 1


def test_repeating_it_changes_nothing(init, wiring):
    """Neither the record nor the trail; what an operator changed of it stays."""
    init()
    client = replace(wiring.clients.get(CONSOLE_ID), providers=("example",))
    wiring.clients.put(client, audit=audit_event("client.updated"))
    before = len(trail(wiring))

    assert "The console is at" in init()

    assert wiring.clients.get(CONSOLE_ID) == client
    assert len(trail(wiring)) == before


def test_an_operator_opens_the_door_and_closes_it(init, wiring):
    """For the first account of a stack without any other client; audited both times, and kept in between."""
    init()
    init("--console-sign-up", "open")
    init()
    assert wiring.clients.get(CONSOLE_ID).sign_up == "open"
    init("--console-sign-up", "invited")
    assert wiring.clients.get(CONSOLE_ID).sign_up == "invited"

    changes = {entry["details"]["sign_up"]["S"] for entry in trail(wiring) if entry["action"] == "client.updated"}
    assert changes == {"invited to open", "open to invited"}


def test_a_new_address_takes_the_old_ones_place(init, wiring):
    """After a custom domain was added the old redirect URI leads nowhere, and is registered no longer."""
    init()
    old = replace(wiring.clients.get(CONSOLE_ID), redirect_uris=("https://old.example/console",))
    wiring.clients.put(old, audit=audit_event("client.updated"))

    assert "updated" in init()
    assert wiring.clients.get(CONSOLE_ID).redirect_uris == (f"{wiring.issuer}/console",)
