"""Our own secret at a provider rotates while connections are made and refreshed (data.md section 2)."""

from __future__ import annotations

import base64
import json
from urllib.parse import unquote_plus

import pytest
from click.testing import CliRunner

from cli.main import cli
from cli.stack import Stack
from grantkeeper.errors import ProviderNotConfigured
from grantkeeper.model import Connection, Principal
from grantkeeper.services.read_token import TokenWanted, read_token
from grantkeeper.services.refresh_run import Run
from tests.doubles.aws import memory_wiring
from tests.doubles.connect_world import BOB, ConnectWorld
from tests.doubles.provider import Account

BACKEND = Principal("api_key", frozenset({"connections:token"}), client_id="app", key_id="key1")
OLD, NEW = ("our-client", "our secret:%+"), ("our-second-client", "a new secret")


class World(ConnectWorld):
    """A deployment whose operator changes its registration, and functions whose caches have run out since."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.provider.more_registrations = {NEW}
        self.monkeypatch = monkeypatch
        self.seen: list[tuple[str, str]] = []  # the registration of each call to the token endpoint
        send = self.provider.send

        def noting(request, *, budget=8.0):
            header = dict(request.headers).get("authorization", "")
            if header.startswith("Basic "):
                name, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
                self.seen.append((unquote_plus(name), unquote_plus(secret)))
            return send(request, budget=budget)

        monkeypatch.setattr(self.provider, "send", noting)

    def operator(self, *arguments: str, given: str = "") -> dict[str, object]:
        """The command, on this deployment."""
        self.monkeypatch.setattr(Stack, "wiring", self.wiring)
        self.monkeypatch.setattr(Stack, "environment", lambda _: dict(self.wiring.env))
        answer = CliRunner(mix_stderr=False).invoke(cli, ["providers", *arguments, "--json"], input=given)
        assert answer.exit_code == 0, answer.stderr
        wiring = memory_wiring(aws=self.wiring.aws)
        wiring.__dict__["provider_http"] = self.provider
        self.wiring = wiring  # what a new container would know
        return dict(json.loads(answer.stdout))

    def refreshed_with(self, connection: Connection) -> tuple[str, str]:
        """The registration that a refresh of this connection shows at the provider."""
        self.now += 3600
        self.provider.now = self.now
        self.seen.clear()
        token = read_token(
            TokenWanted(connection.id),
            principal=BACKEND,
            has_consent=lambda *_: True,
            first_use=lambda *_: False,
            ports=self.wiring,
            run=Run(clock=lambda: self.now, sleep=lambda _: None, remaining_ms=lambda: 20_000),
        )
        assert token.expires_at is not None
        assert token.expires_at > self.now
        (shown,) = self.seen
        return shown


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


def test_a_new_registration_serves_new_connections_and_each_grant_keeps_its_own(world):
    """No connection is lost by the change, and none is refreshed with a registration that never had it."""
    before = world.connect()
    world.operator("configure", "example", "--client-id", NEW[0], "--client-secret-stdin", given=NEW[1])

    after = world.connect(BOB, account=Account("bob"))

    assert (before.credentials_id, after.credentials_id) == (OLD[0], NEW[0])
    assert world.seen[-1] == NEW, "the code was exchanged with the newest"
    assert world.refreshed_with(before) == OLD
    assert world.refreshed_with(after) == NEW


def test_a_reconnect_moves_a_connection_to_the_newest_registration(world):
    """Which is how the old one falls out of use."""
    before = world.connect()
    world.operator("configure", "example", "--client-id", NEW[0], "--client-secret-stdin", given=NEW[1])

    again = world.connect(connection_id=before.id)

    assert (again.id, again.credentials_id) == (before.id, NEW[0])
    assert world.refreshed_with(again) == NEW


def test_of_several_secrets_of_one_registration_the_newest_counts(world):
    """The provider takes both for a while; when the older one is withdrawn, nothing fails."""
    connection = world.connect()
    second = (OLD[0], "second secret")
    world.provider.more_registrations = {second}
    world.operator("configure", "example", "--client-id", OLD[0], "--client-secret-stdin", given=second[1])

    assert world.refreshed_with(connection) == second

    retired = world.operator("retire", "example")
    assert retired["live"] == [OLD[0]]
    assert retired["parameters_to_delete"] == ["/grantkeeper/example"]
    world.provider.client_secret = "withdrawn"
    assert world.refreshed_with(connection) == second


def test_a_retired_registration_is_gone_for_its_grants_and_touches_none(world):
    """The operator named it: their refresh fails, which is told as our trouble and no user's."""
    before = world.connect()
    world.operator("configure", "example", "--client-id", NEW[0], "--client-secret-stdin", given=NEW[1])
    world.operator("retire", "example", "--client-id", OLD[0])

    with pytest.raises(ProviderNotConfigured):
        world.refreshed_with(before)

    assert world.wiring.grants.get(before.id).status == "active"


@pytest.mark.parametrize("client_id", [OLD[0], "never heard of"])
def test_the_only_registration_is_not_retired(world, client_id):
    """Nor one that is not there."""
    world.monkeypatch.setattr(Stack, "wiring", world.wiring)

    answer = CliRunner(mix_stderr=False).invoke(cli, ["providers", "retire", "example", "--client-id", client_id])

    assert answer.exit_code == 1
    assert [entry["client_id"] for entry in world.wiring.provider_items.registrations()["example"]] == [OLD[0]]
