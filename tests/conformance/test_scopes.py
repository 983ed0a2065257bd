"""
Asking for more, and for what may be left out: through the product's functions, against the vendors' dialects.

A connection that gets more scopes keeps its id, and its old grant until the new consent is confirmed; `scopes_missing`
says what to ask for.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conformance.cases import MINUTES

GMAIL_READ = "https://www.googleapis.com/auth/gmail.readonly"
GMAIL_SEND = "https://www.googleapis.com/auth/gmail.send"


def asked_of(url: str) -> dict[str, set[str]]:
    """The scopes of a consent page's URL, by parameter."""
    query = parse_qs(urlsplit(url).query)
    return {name: set(query[name][0].split()) for name in ("scope", "optional_scope") if name in query}


# --- more scopes for a connection ---


def test_missing_scopes_are_named_asked_for_and_granted_to_the_same_connection(new_world):
    """From the 409 that names them to a token that has them: what it says is what the next session asks for."""
    world = new_world("google")
    connection_id = world.connect("gmail", access="read")
    refused = world.token(connection_id, scopes=GMAIL_SEND)
    assert refused.status == 409
    assert (refused.json["reason"], refused.json["scopes_missing"]) == ("scopes_missing", [GMAIL_SEND])
    assert world.token(connection_id, scopes=GMAIL_READ).status == 200

    url, jar = world.go_connect("gmail", connection_id=connection_id, scopes=refused.json["scopes_missing"])
    assert asked_of(url)["scope"] >= {GMAIL_READ, GMAIL_SEND}, "the union is asked for explicitly"
    assert "include_granted_scopes" not in url
    told = world.come_back(world.vendor.consent(url), jar)

    assert world.confirm(told) == connection_id
    answer = world.token(connection_id, scopes=f"{GMAIL_READ} {GMAIL_SEND}")
    assert answer.status == 200
    assert answer.json["generation"] == 2
    assert world.look(connection_id).json["missing_scopes"] == []


def test_the_old_grant_serves_until_the_new_one_is_confirmed(new_world):
    """Token, generation and scopes are the old ones while the new consent waits, and after that if nobody confirms."""
    world = new_world("google")
    connection_id = world.connect("gmail", access="read")
    before, stored = world.token(connection_id).json, world.grant(connection_id)

    url, jar = world.go_connect("gmail", connection_id=connection_id, access="send")
    told = world.come_back(world.vendor.consent(url), jar)

    assert "confirmation" in told
    assert world.token(connection_id).json == before
    assert world.grant(connection_id) == stored
    assert world.token(connection_id, scopes=GMAIL_SEND).status == 409
    world.clock.skip(11 * 60)
    assert world.grant(connection_id) == stored
    assert world.vendor.accepts(world.token(connection_id).json["access_token"])


def test_a_user_who_declines_more_keeps_what_he_has(new_world):
    """And one who unticks it gets the same scopes in a new grant, which says what is missing."""
    world = new_world("google")
    connection_id = world.connect("gmail", access="read")
    stored = world.grant(connection_id)
    url, jar = world.go_connect("gmail", connection_id=connection_id, access="send")
    assert world.come_back(world.vendor.consent(url, deny=True), jar)["error"] == "access_denied"
    assert world.grant(connection_id) == stored

    url, jar = world.go_connect("gmail", connection_id=connection_id, access="send")
    assert world.confirm(world.come_back(world.vendor.consent(url, untick=[GMAIL_SEND]), jar)) == connection_id

    assert world.look(connection_id).json["missing_scopes"] == [GMAIL_SEND]
    assert world.token(connection_id, scopes=GMAIL_READ).status == 200
    refused = world.token(connection_id, scopes=GMAIL_SEND)
    assert (refused.status, refused.json["scopes_missing"]) == (409, [GMAIL_SEND])


def test_asking_for_less_loses_nothing(new_world):
    """A new consent replaces the scopes of the old one, so the old ones are asked for with the new."""
    world = new_world("google")
    connection_id = world.connect("gmail", access="send")
    wide = world.connection(connection_id).scopes

    assert world.connect("gmail", connection_id=connection_id, access="read") == connection_id

    assert set(world.connection(connection_id).scopes) > set(wide)


def test_a_refresh_keeps_the_scopes_that_were_added(new_world):
    """The second grant is the one that lives on."""
    world = new_world("google")
    connection_id = world.connect("gmail", access="read")
    world.connect("gmail", connection_id=connection_id, access="send")
    world.clock.skip(3600 + MINUTES)

    answer = world.token(connection_id, scopes=GMAIL_SEND)

    assert (answer.status, answer.json["generation"]) == (200, 3)


# --- what may be left out ---


@pytest.fixture
def hubspot(new_world):
    """A portal whose answers list scopes, and a deployment that asks for one more if there is a use for it."""
    world = new_world("hubspot")
    (service,) = world.record.services
    levels = {level: list(scopes) for level, scopes in service.access.items()}
    support = {
        "id": service.id,
        "display_name": service.display_name,
        "access": levels | {"support": [*levels["read"], "optional:tickets"]},
        "base_scopes": list(service.base_scopes),
    }
    world.override({"services": [support]})
    world.vendor.answers_scope = True
    return world


def test_an_optional_scope_travels_apart_and_is_granted_under_our_name(hubspot):
    """HubSpot's `optional_scope`; its answer lists it as any other."""
    url, jar = hubspot.go_connect("hubspot", access="support")
    assert asked_of(url)["optional_scope"] == {"tickets"}
    assert "tickets" not in asked_of(url)["scope"]

    connection_id = hubspot.confirm(hubspot.come_back(hubspot.vendor.consent(url), jar))

    connection = hubspot.look(connection_id).json
    assert "optional:tickets" in connection["scopes"]
    assert "tickets" not in connection["scopes"]
    assert connection["missing_scopes"] == []
    assert hubspot.token(connection_id, scopes="optional:tickets").status == 200


def test_an_optional_scope_that_is_left_out_costs_the_connection_nothing(hubspot):
    """A portal without the product connects; what is missing can be asked for when it has it."""
    hubspot.vendor.has_product = False
    connection_id = hubspot.connect("hubspot", access="support")

    connection = hubspot.look(connection_id).json
    assert (connection["status"], connection["missing_scopes"]) == ("active", ["optional:tickets"])
    assert hubspot.token(connection_id).status == 200
    refused = hubspot.token(connection_id, scopes="optional:tickets")
    assert (refused.status, refused.json["scopes_missing"]) == (409, ["optional:tickets"])

    hubspot.vendor.has_product = True
    again = hubspot.connect("hubspot", connection_id=connection_id, scopes=refused.json["scopes_missing"])
    assert again == connection_id
    assert hubspot.look(connection_id).json["missing_scopes"] == []


def test_slacks_user_scopes_are_still_told_apart_from_the_bots(new_world):
    """There the prefix is the token's: the same name for bot and user is two scopes."""
    world = new_world("slack")
    connection = world.connection(world.connect("slack", access="full"))

    assert any(scope.startswith("user:") for scope in connection.scopes)
    assert connection.missing_scopes == ()
