"""
Who may call what (T-01, T-02, T-06, K-12): every route under an access rule, times everybody who could call it.

Routes and rules are read from the committed description; what each caller is answered follows from it alone
(`local.access`, which docs/access.md is made by). Every call begins as one that the user's own credential would succeed
with, so that a refusal is the caller's and not the request's.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from grantkeeper import ids
from grantkeeper.model import ALL_SCOPES
from grantkeeper.services.scopes import OPERATOR_SCOPES
from local import access
from local.access import CALLERS, NOBODY
from tests.security.team import GUARDED, HIS, OPERATIONS, OTHER, Team, call, members_of
from tests.support.described import description

BY_ID = sorted(
    route
    for route, operation in GUARDED.items()
    if "{" in route and operation["x-access"]["owned"] and operation["x-access"]["others"] == 404
)


@pytest.mark.parametrize("route", GUARDED)
def test_t01_every_caller_is_answered_what_the_description_says(functions, route):
    """Only the listed cells pass; and whoever is not meant is told nothing of the user's."""
    operation, wrong, team = GUARDED[route], [], Team()
    for caller in (*NOBODY, *CALLERS):
        expected = access.answer(route, operation, caller, description=description())
        parts = team.parts(route, names=caller.kind == "client_key")
        credential = team.credential(caller, operation["x-access"]["scope"])

        answer = call(functions, team, route, parts, credential)

        if answer["statusCode"] != expected:
            wrong.append((caller.name, f"{answer['statusCode']}, not {expected}", answer["body"][:200]))
        told_of_him = answer["statusCode"] < 400 and not operation["x-access"]["owned"]  # an operator, of everybody
        if (caller.kind is None or caller.relation == "other") and not told_of_him:
            assert not [word for word in team.his() if word in answer["body"]], (caller.name, answer["body"])
        if answer["statusCode"] < 400 and not route.startswith("GET"):
            team = Team()  # what he did may be what the next one is to be refused
    assert not wrong, wrong


@pytest.mark.parametrize("route", BY_ID)
def test_t02_t16_somebody_elses_id_is_answered_like_one_that_never_was(functions, route):
    """The same status, headers and body but for the request's own id: to every kind of credential."""
    operation, told = GUARDED[route], 0
    for caller in CALLERS:
        if caller.relation != "other" or access.answer(route, operation, caller, description=description()) != 404:
            continue
        team = Team()
        parts = team.parts(route, names=False)
        credential = team.credential(caller, operation["x-access"]["scope"])
        *_, (name, value) = parts["path"].items()
        assert name in ("id", "sid", "connection_id")
        never = {**parts, "path": {**parts["path"], name: value[:4] + ids.new_id("x")[2:]}}

        theirs = call(functions, team, route, parts, credential)
        nobodys = call(functions, team, route, never, credential)

        assert _told(theirs) == _told(nobodys), caller.name
        assert theirs["statusCode"] == 404
        told += 1
    assert told >= 3


def test_t02_a_client_that_only_knows_a_user_sees_nothing_he_connected(functions):
    """He has signed in there and let it use nothing: empty lists, and no connection by its id."""
    team = Team()
    team.token(HIS, "other", set())
    credential = team.key(set(ALL_SCOPES), client_id="other")
    routes = ("GET /v1/connections", "GET /v1/connections/stats", "GET /v1/status")
    told = [call(functions, team, route, {**team.parts(route, names=True)}, credential)["body"] for route in routes]
    one = call(
        functions, team, "GET /v1/connections/{id}", team.parts("GET /v1/connections/{id}", names=False), credential
    )

    assert json.loads(told[0]) == {"connections": [], "cursor": None}
    assert not any(word in body for body in told for word in team.his())
    assert one["statusCode"] == 404


def test_t03_the_credential_wins_over_a_name_that_disagrees(functions):
    """A user who names somebody else, in the query or the body, is told what he would be told of nobody."""
    tried = 0
    for route, operation in GUARDED.items():
        if not access.names_person(operation, description=description()) or "{" in route:
            continue
        team = Team()
        credential = team.token(OTHER, "app", set(ALL_SCOPES))
        parts = team.parts(route, names=True)
        place = "json" if "json" in parts else "query"
        nobody = {**parts, place: {**parts[place], "user_sub": "usr_never"}}

        disagrees = call(functions, team, route, parts, credential)
        unknown = call(functions, team, route, nobody, credential)

        assert disagrees["statusCode"] == 404, route
        assert _told(disagrees) == _told(unknown), route
        tried += 1
    assert tried >= 5


def test_t03_two_credentials_at_once_are_refused_on_every_route(functions):
    """Neither wins: 400 before either is looked at."""
    team = Team()
    both = team.token(HIS, "app", set(ALL_SCOPES)) | team.key(set(ALL_SCOPES), client_id="app")
    for route in GUARDED:
        assert call(functions, team, route, team.parts(route, names=False), both)["statusCode"] == 400, route


@pytest.mark.parametrize("named", ["role", "status", "scope", "version", "sub", "owner"])
def test_t06_nobody_assigns_what_is_not_his_to_set(functions, named):
    """A member too many is refused wherever a body is taken; nothing is stored of the rest."""
    for route, operation in GUARDED.items():
        if "requestBody" not in operation or named in members_of(route):
            continue
        team = Team()
        parts = team.parts(route, names=False)
        parts["json"][named] = "admin"
        rule = operation["x-access"]
        may = (each for each in CALLERS if each.kind in rule["callers"] and rule["scope"] in each.scopes)
        caller = next(each for each in may if not each.lacks and each.recent)

        answer = call(functions, team, route, parts, team.credential(caller, "none"))

        assert answer["statusCode"] == 400, (route, answer["body"])
        assert team.world.wiring.users.get(HIS).role == "user"


def test_t01_public_routes_ask_for_no_credential_and_believe_none(functions):
    """Everybody is answered the same there, whatever he sends along."""
    team = Team()
    for route, operation in OPERATIONS.items():
        if operation.get("security") or not route.startswith("GET") or "{" in route or "/oauth2/" in route:
            continue
        plain = call(functions, team, route, {"headers": {}}, {})
        broken = call(functions, team, route, {"headers": {}}, {"authorization": "Bearer gk_no.such.token"})

        assert plain["statusCode"] == broken["statusCode"] == 200, route
        assert plain["body"] == broken["body"], route


def test_t10_roles_and_keys_reach_what_they_are_for():
    """Written out once more by hand: whoever widens a role changes this line as well."""
    account = {"openid", "profile", "email", "offline_access", "account:write"}
    connections = {"connections:read", "connections:token", "connections:write"}
    reads = {"admin:read", "audit:read", "metrics:read", "users:read"}

    assert account | connections == access.USER
    assert access.USER | reads == access.AUDITOR
    assert access.AUDITOR | {"admin:write", "users:write"} == access.ADMIN
    assert reads | {"admin:write", "users:write"} == OPERATOR_SCOPES


def test_t01_the_table_in_the_documents_is_the_one_that_was_tried():
    """docs/access.md follows from the description."""
    assert access.page(description()) == access.PAGE.read_text(), "run python -m local.access"


def _told(answer: dict[str, Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
    headers = {name: value for name, value in answer["headers"].items() if name != "x-request-id"}
    return answer["statusCode"], headers, {k: v for k, v in json.loads(answer["body"]).items() if k != "instance"}
