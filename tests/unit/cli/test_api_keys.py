"""`grantkeeper api-keys`: rotating, and revoking all that a leak touched."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cli.main import cli
from cli.stack import Stack
from grantkeeper.api_key_format import new_api_key, parse_api_key
from grantkeeper.model import ApiKey, AuditEvent
from tests.doubles.aws import memory_wiring
from tests.doubles.deployment import CONFIDENTIAL_CLIENT, audit_event, register, trail


@pytest.fixture
def wiring():
    wiring = memory_wiring(LOCAL_RUN="1")
    register(wiring, CONFIDENTIAL_CLIENT)
    return wiring


@pytest.fixture
def run(wiring, monkeypatch):
    monkeypatch.setattr(Stack, "wiring", wiring)
    return lambda *arguments: CliRunner(mix_stderr=False).invoke(cli, ["api-keys", *arguments])


def made(run, *arguments):
    return json.loads(run("create", "--name", "n", "--json", *arguments).stdout)


def test_k07_a_key_is_rotated_and_its_new_secret_is_shown_once(run, wiring):
    """Listed as rotating; not again while two secrets are good; at once where the old one leaked."""
    key = made(run, "--client", "backend")
    turned = json.loads(run("rotate", key["key_id"], "--json").stdout)

    stored = wiring.api_keys.get(key["key_id"])
    assert stored.secret_hash == parse_api_key(turned["api_key"]).secret_hash
    assert stored.old_secret_hash == parse_api_key(key["api_key"]).secret_hash
    assert json.loads(run("list", "--json").stdout)[0]["status"] == "rotating"
    assert "two good secrets" in run("rotate", key["key_id"]).stderr

    assert run("rotate", key["key_id"], "--overlap", "0").exit_code == 0
    assert wiring.api_keys.get(key["key_id"]).old_secret_hash is None
    assert {e["action"] for e in trail(wiring)} >= {"api_key.created", "api_key.rotated"}


def test_k06_k07_no_longer_than_allowed(run):
    """A year, a week; and what is over is not rotated."""
    key = made(run)
    assert run("rotate", key["key_id"], "--days", "366").exit_code == 2
    assert run("rotate", key["key_id"], "--overlap", "8").exit_code == 2
    assert run("create", "--name", "n", "--days", "366").exit_code == 2
    run("revoke", key["key_id"])
    assert run("rotate", key["key_id"]).exit_code == 1
    assert run("rotate", "unknown").exit_code == 1


def test_k13_every_key_of_a_client_is_revoked_by_one_command(run, wiring):
    """Users' own keys at it too; nobody else's."""
    gone, stays = made(run, "--client", "backend"), made(run)
    text = new_api_key()
    own = ApiKey(text.key_id, text.secret_hash, (), 0, 10**10, client_id="backend", sub="usr_1")
    wiring.api_keys.put(own, audit=audit_event("api_key.created"))

    assert run("revoke", "--client", "backend").exit_code == 0

    assert {wiring.api_keys.get(id_).status for id_ in (gone["key_id"], own.key_id)} == {"revoked"}
    assert wiring.api_keys.get(stays["key_id"]).status == "active"
    assert run("revoke").exit_code == run("revoke", stays["key_id"], "--client", "backend").exit_code == 1


def test_k13_a_list_of_all_keys_that_is_cut_off_hides_none_of_a_client(run, wiring, monkeypatch):
    """The command asks for the client's own keys, page by page."""
    gone = made(run, "--client", "backend")
    monkeypatch.setattr(type(wiring.api_keys), "list", lambda _self: [])

    assert gone["key_id"] in run("revoke", "--client", "backend").stdout
    assert wiring.api_keys.get(gone["key_id"]).status == "revoked"


def test_k14_a_clients_key_rotates_itself_only_where_it_was_said(run):
    """Not by default."""
    assert "account:write" not in made(run, "--client", "backend")["scopes"]
    assert made(run, "--client", "backend", "--scope", "account:write")["scopes"] == ["account:write"]
    assert run("create", "--name", "n", "--scope", "account:write").exit_code == 1


def test_i5_a_key_that_was_rotated_before_a_restore_is_revoked_after_it(run, wiring):
    """The old secret may have leaked, and the table has it again; a rotation that is in the table is left alone."""
    key, kept = made(run, "--client", "backend"), made(run, "--client", "backend")
    run("rotate", kept["key_id"])
    entry = AuditEvent(
        "evt_1", wiring.api_keys.get(kept["key_id"]).rotated_at, "api_key.rotated", "operator:a",
        client_id="backend", details={"key_id": key["key_id"]},
    )  # fmt: skip
    wiring.audit.record(entry)

    done = CliRunner(mix_stderr=False).invoke(cli, ["after-restore", "--since", "2020-01-01", "--apply", "--json"])

    assert done.exit_code == 0, done.stderr
    assert wiring.api_keys.get(key["key_id"]).status == "revoked"
    assert wiring.api_keys.get(kept["key_id"]).status == "active"
