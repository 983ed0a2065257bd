"""A connection with two tokens, each refreshed and revoked for itself: Slack from the link to the disconnect."""

from __future__ import annotations

import pytest

from grantkeeper import ids
from grantkeeper.errors import GrantkeeperError, ReauthorizationRequired
from grantkeeper.model import Principal
from grantkeeper.services.complete_callback import complete_callback
from grantkeeper.services.read_token import TokenWanted, read_token
from grantkeeper.services.refresh_run import Run
from grantkeeper.services.sync_profile import sync_profile
from tests.doubles.connect_world import ConnectWorld, landed
from tests.doubles.slack import CLIENT, Slack

TOKEN = Principal("api_key", frozenset({"connections:token"}), client_id="app", key_id="key1")
HOUR = 3600


class World(ConnectWorld):
    """A deployment whose client connects Slack."""

    def __init__(self, *, rotation: bool = True) -> None:
        super().__init__()
        self.slack = Slack(rotation=rotation)
        self.wiring.secrets.put("/slack", CLIENT[1])
        self.wiring.provider_items.put(
            "slack",
            record=None,
            registrations=[{"client_id": CLIENT[0], "secret_parameter": "/slack", "state": "active"}],
            disabled=False,
            audit=self.event("provider.changed"),
        )
        self.wiring.__dict__["provider_http"] = self.slack

    def connected(self, access="full"):
        trip = self.follow(self.open(service="slack", access=access))
        location = complete_callback(
            {name: (value,) for name, value in self.slack.consent(trip.url).items()},
            provider_id="slack",
            browser_hash=ids.digest(trip.browser),
            issuer=self.wiring.issuer,
            ports=self.wiring,
            now=self.now,
            request_id="req",
        )
        return self.confirm(landed(location))

    def run(self):
        return Run(clock=lambda: self.now, sleep=lambda _: None, remaining_ms=lambda: 20_000)

    def read(self, connection, name, **wanted):
        return read_token(
            TokenWanted(connection.id, name=name, **wanted),
            principal=TOKEN,
            has_consent=lambda *_: True,
            first_use=lambda *_: False,
            ports=self.wiring,
            run=self.run(),
        )


@pytest.fixture
def world():
    return World()


def test_one_consent_gives_two_grants_with_scopes_of_their_own(world):
    """The connection shows the union; nothing is missing."""
    connection = world.connected()
    bot, user = world.read(connection, "bot"), world.read(connection, "user")

    assert connection.token_names == ("bot", "user")
    assert connection.account_id == "T1_U1"
    assert connection.missing_scopes == ()
    assert (world.slack.live[bot.access_token], world.slack.live[user.access_token]) == ("bot", "user")
    assert not any(scope.startswith("user:") for scope in bot.scopes)
    assert all(scope.startswith("user:") for scope in user.scopes)
    assert user.as_json()["metadata"]["team_id"] == "T1"


@pytest.mark.parametrize(("access", "names"), [("write", ("bot",)), ("user", ("user",))])
def test_one_kind_of_scope_gives_one_token(world, access, names):
    """Only user scopes: no token at the top of the answer."""
    assert world.connected(access).token_names == names


def test_each_token_is_refreshed_for_itself_and_keeps_its_name(world):
    """Twelve hours later; the account is known as before."""
    connection = world.connected()
    before = {name: world.read(connection, name) for name in ("bot", "user")}
    world.now += 12 * HOUR

    after = {name: world.read(connection, name) for name in ("user", "bot")}

    for name, answer in after.items():
        assert answer.access_token != before[name].access_token
        assert (answer.generation, answer.scopes) == (2, before[name].scopes)
        assert world.slack.live[answer.access_token] == name
    principal = Principal("api_key", frozenset({"connections:write"}), client_id="app", key_id="key1")
    synced = sync_profile(connection.id, principal=principal, ports=world.wiring, run=world.run(), request_id="r")
    assert (synced.account_id, synced.profile.email) == ("T1_U1", "ada@acme.example")


def test_a_spent_refresh_token_needs_the_user_after_two_refusals(world):
    """`invalid_refresh_token`, in a 200, twice and well apart; the other token lives on."""
    connection = world.connected()
    world.slack.refresh_tokens = {token: kind for token, kind in world.slack.refresh_tokens.items() if kind == "bot"}
    world.now += 12 * HOUR
    for _ in range(3):
        with pytest.raises(GrantkeeperError) as caught:
            world.read(connection, "user")
        world.now += 60

    assert isinstance(caught.value, ReauthorizationRequired)
    assert caught.value.extensions["reason"] == "revoked_by_user"


def test_without_rotation_a_rejected_token_is_asked_about():
    """It never expires: a reported 401 is believed once Slack says so itself, in a 200."""
    world = World(rotation=False)
    connection = world.connected("write")
    answer = world.read(connection, "bot")
    assert answer.expires_at is None

    world.now += 2 * HOUR
    kept = world.read(connection, "bot", rejected_generation=1)
    assert (kept.access_token, kept.generation) == (answer.access_token, 2), "Slack knows it: the report was wrong"

    world.slack.live.clear()
    world.now += 2 * HOUR
    for _ in range(3):
        with pytest.raises(GrantkeeperError) as caught:
            world.read(connection, "bot", rejected_generation=2)
        world.now += 60
    assert caught.value.extensions["reason"] == "credentials_rejected"


def test_disconnecting_revokes_the_users_token_and_not_the_workspaces(world):
    """Colleagues' connections stand on the bot's; both sealed sets are erased here."""
    connection = world.connected()
    world.disconnect(connection.id)
    world.work()

    assert set(world.slack.live.values()) == {"bot"}
    assert [request.url.rpartition("/")[2] for request in world.slack.requests].count("auth.revoke") == 1
    for name in ("bot", "user"):
        assert not world.wiring.grants.get(connection.id, name).sealed


def test_a_token_revoked_at_slack_already_is_gone(world):
    """`ok: false, error: token_revoked` is as good as revoked."""
    connection = world.connected("user")
    world.slack.live.clear()
    world.disconnect(connection.id)
    world.work()

    assert not world.wiring.grants.get(connection.id, "user").sealed
    (erased,) = (event for event in world.trail() if event.action == "grant.erased")
    assert erased.details["upstream"] == "gone"
