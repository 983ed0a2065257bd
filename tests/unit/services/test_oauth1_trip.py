"""Connecting a service by OAuth 1.0a, from the link to the token call, and away again."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from grantkeeper import ids
from grantkeeper.errors import AuthorizationRequestExpired, BrowserMismatch
from grantkeeper.model import Binding, HttpResponse, Principal
from grantkeeper.oauth.token_response import token_set
from grantkeeper.services.complete_callback import complete_callback
from grantkeeper.services.read_token import TokenWanted, read_token
from grantkeeper.services.refresh_run import Run
from tests.doubles.connect_world import ALICE, ConnectWorld, landed
from tests.doubles.oauth1_provider import OAuth1Provider

ID = "trello-oauth1"


class World(ConnectWorld):
    """A deployment that knows Trello's old server."""

    def __init__(self) -> None:
        super().__init__()
        self.trello = OAuth1Provider(key="our-key", secret="our secret", now=self.now)
        self.wiring.secrets.put("/trello", "our secret")
        self.wiring.provider_items.put(
            ID,
            record=None,
            registrations=[{"client_id": "our-key", "secret_parameter": "/trello", "state": "active"}],
            disabled=False,
            audit=self.event("provider.changed"),
        )
        self.wiring.__dict__["provider_http"] = self.trello

    def leave(self, *, browser="laptop"):
        """Follow a link; the parameters of the first visit to our callback."""
        return dict(parse_qsl(urlsplit(self.follow(self.open(service=ID), browser=browser).url).query))

    def visit(self, parameters, *, browser="laptop"):
        """Our callback, visited by a browser."""
        return complete_callback(
            {name: (value,) for name, value in parameters.items()},
            provider_id=ID,
            browser_hash=ids.digest(browser),
            issuer=self.wiring.issuer,
            ports=self.wiring,
            now=self.now,
            request_id="req",
        )

    def connected(self):
        back = landed(self.visit(self.trello.consent(self.visit(self.leave()))))
        return self.confirm(back)


@pytest.fixture
def world():
    return World()


def test_f28_a_refused_key_is_the_operators_business(world):
    """The request token is refused: the provider is marked, and a key that works unmarks it."""
    world.wiring.secrets.put("/trello", "wrong")
    assert landed(world.visit(world.leave())).error in ("server_error", "temporarily_unavailable")
    assert world.wiring.breakers.misconfigured(ID)

    world.wiring.secrets.put("/trello", "our secret")
    world.connected()
    assert not world.wiring.breakers.misconfigured(ID)


def test_a_link_leads_by_our_callback_to_the_consent_page(world):
    """The function that follows links calls nobody; the callback's asks for the request token."""
    first = world.leave()
    assert set(first) == {"state"}
    assert world.trello.requests == []

    location = world.visit(first)

    assert location.startswith("https://trello.com/1/OAuthAuthorizeToken?")
    query = dict(parse_qsl(urlsplit(location).query))
    assert query["scope"] == "account,read"
    assert query["oauth_token"] in world.trello.temporary
    assert "state" not in query
    assert first["state"] not in world.trello.temporary[query["oauth_token"]]["callback"], "a state of its own"


def test_the_account_is_connected_and_its_secret_sealed(world):
    """A signed profile request names it; token and secret come out of the vault and nowhere else."""
    connection = world.connected()
    grant = world.wiring.grants.get(connection.id, "main")
    provider = world.wiring.catalog.get(ID)
    tokens = token_set(world.wiring.vault.open(grant.sealed, binding=Binding.of(grant)), provider=provider)

    assert (connection.kind, grant.kind, connection.account_id) == ("oauth1", "oauth1", "5abbe4b7ddc1b351ef961414")
    assert (connection.scopes, grant.expires_at, grant.refreshable) == (("account", "read"), None, False)
    assert world.trello.tokens == {tokens.access_token: tokens.metadata["token_secret"]}
    assert tokens.access_token.encode() not in grant.sealed
    assert tokens.metadata["token_secret"] not in repr(tokens)  # C-97


def test_the_token_call_hands_out_what_a_caller_signs_with(world):
    """Token and secret; the scheme of RFC 5849 section 3.5.1; the secret in no other member and in no repr."""
    connection = world.connected()
    answer = read_token(
        TokenWanted(connection.id),
        principal=Principal("api_key", frozenset({"connections:token"}), client_id="app", key_id="key1"),
        has_consent=lambda *_: True,
        first_use=lambda *_: False,
        ports=world.wiring,
        run=Run(clock=lambda: world.now, sleep=lambda _: None, remaining_ms=lambda: 20_000),
    )
    body = answer.as_json()

    assert (body["kind"], body["token_type"], body["expires_at"]) == ("oauth1", "OAuth", None)
    assert world.trello.tokens == {body["access_token"]: body["token_secret"]}
    assert "metadata" not in body
    assert body["token_secret"] not in repr(answer)


def test_c93_another_browser_gets_no_further_on_either_visit(world):
    """Nothing is consumed by it."""
    first = world.leave()
    with pytest.raises(BrowserMismatch):
        world.visit(first, browser="stranger")
    back = world.trello.consent(world.visit(first))
    with pytest.raises(BrowserMismatch):
        world.visit(back, browser="stranger")

    assert landed(world.visit(back)).confirmation


def test_c93_another_users_request_token_is_refused(world):
    """Two trips, their tokens exchanged: the one sealed under `state` counts."""
    mine = world.trello.consent(world.visit(world.leave()))
    theirs = world.trello.consent(world.visit(world.leave(browser="theirs"), browser="theirs"))

    back = landed(
        world.visit(mine | {"oauth_token": theirs["oauth_token"], "oauth_verifier": theirs["oauth_verifier"]})
    )

    assert (back.error, back.confirmation) == ("server_error", None)
    assert world.trello.tokens == {}


def test_c94_a_wrong_verifier_costs_one_call_and_the_trip(world):
    """Never guessed at twice."""
    back = world.trello.consent(world.visit(world.leave())) | {"oauth_verifier": "guess"}
    before = len(world.trello.requests)

    assert landed(world.visit(back)).error == "server_error"
    assert len(world.trello.requests) == before + 1
    with pytest.raises(AuthorizationRequestExpired):
        world.visit(back)


def test_c94_a_replayed_callback_is_refused(world):
    """Spent once."""
    back = world.trello.consent(world.visit(world.leave()))
    world.visit(back)

    with pytest.raises(AuthorizationRequestExpired):
        world.visit(back)


def test_a_first_visit_is_good_for_one_request_token(world):
    """The link may be followed again instead."""
    first = world.leave()
    world.visit(first)

    with pytest.raises(AuthorizationRequestExpired):
        world.visit(first)
    assert len(world.trello.temporary) == 1


def test_c98_a_request_token_is_not_redeemed_after_ten_minutes(world):
    """Whatever the provider would still take."""
    back = world.trello.consent(world.visit(world.leave()))
    world.now += 600

    with pytest.raises(AuthorizationRequestExpired):
        world.visit(back)


def test_c99_a_user_who_declines_is_sent_back_saying_so(world):
    """And nothing is asked of the provider."""
    back = world.trello.consent(world.visit(world.leave()), deny=True)

    assert landed(world.visit(back)).error == "access_denied"
    assert world.trello.tokens == {}


def test_c92_a_provider_that_does_not_confirm_the_callback_is_left(world):
    """Nobody is sent to its consent page."""
    world.trello.confirms_callback = None

    assert landed(world.visit(world.leave())).error == "server_error"


def test_c96_a_refused_timestamp_is_sent_once_more_by_their_clock(world):
    """Ours is ten minutes behind."""
    world.trello.now = world.now + 600

    assert world.visit(world.leave()).startswith("https://trello.com/")
    assert len(world.trello.requests) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [(HttpResponse(503, {}, b""), "temporarily_unavailable"), (HttpResponse(200, {}, b"{}"), "server_error")],
)
def test_a_provider_that_gives_no_request_token_ends_the_trip_not_the_session(world, answer, error):
    """The client is told; the link works again later."""
    opened = world.open(service=ID)
    first = dict(parse_qsl(urlsplit(world.follow(opened).url).query))
    world.trello.answer_instead = answer

    assert landed(world.visit(first)).error == error
    again = dict(parse_qsl(urlsplit(world.follow(opened).url).query))
    assert landed(world.visit(world.trello.consent(world.visit(again)))).confirmation


def test_c97_the_table_of_trips_opens_nothing(world):
    """The request token's secret waits sealed under `state`, of which only the hash is stored."""
    world.visit(world.leave())
    ((token, held),) = world.trello.temporary.items()
    tables = world.wiring.aws.dynamodb._tables
    stored = repr([item for table in tables.values() for item in table.items.values()])

    assert ids.digest(dict(parse_qsl(urlsplit(held["callback"]).query))["state"]) in stored
    assert held["secret"] not in stored
    assert token not in stored


def test_disconnecting_withdraws_the_token(world):
    """DELETE with key and token in the URL; the signature is not asked for."""
    connection = world.connected()
    world.disconnect(connection.id, ALICE)
    world.work()

    assert world.trello.tokens == {}
    assert not world.wiring.grants.get(connection.id, "main").sealed
