"""
Who may call what (T-01, T-02, T-06, K-12): every route under an access rule, times everybody who could call it.

Routes and rules are read from the committed description; what each caller is answered follows from it alone
(`local.access`, which docs/access.md is made by). Every call begins as one that the user's own credential would succeed
with, so that a refusal is the caller's and not the request's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from grantkeeper import ids
from grantkeeper.api_key_format import new_api_key
from grantkeeper.model import ALL_SCOPES, ApiKey, Avatar, Session
from grantkeeper.services.scopes import OPERATOR_SCOPES
from local import access
from local.access import CALLERS, NOBODY, Caller
from local.openapi import apps
from tests.doubles.deployment import SECRET, audit_event
from tests.security.test_fuzz_handlers import NOW, World
from tests.support.described import check_answer, description
from tests.support.functions import CONTEXT, Function, http_event

HIS, OTHER = "usr_alice", "usr_bob"
PEOPLE = {"auditor": "usr_auditor", "admin": "usr_admin"}
OPERATIONS = dict(access.operations(description()))
GUARDED = {route: operation for route, operation in OPERATIONS.items() if "x-access" in operation}
BY_ID = sorted(route for route, operation in GUARDED.items() if "{" in route and operation["x-access"]["others"] == 404)
A_PICTURE = Avatar("example", NOW, "image/jpeg", "d1gest", b"\xff\xd8\xff a picture")


class Team:
    """The world of everything, with everybody who could call; credentials are made when they are needed."""

    def __init__(self) -> None:
        self.world = World()
        steps, wiring = self.world.steps, self.world.wiring
        known = {"token_endpoint_auth_method": "client_secret_basic", "secret_hashes": (ids.digest(SECRET),)}
        steps.add_client("app", scopes=ALL_SCOPES, **known)
        steps.add_client("other", scopes=ALL_SCOPES, **known)
        steps.add_client("stranger", scopes=ALL_SCOPES, **known)
        steps.add_client("pages", scopes=ALL_SCOPES)
        steps.add_client("off", scopes=ALL_SCOPES, status="disabled")
        steps.add_user("usr_auditor", role="auditor")
        steps.add_user("usr_admin", role="admin")
        steps.add_user("usr_gone", role="admin", status="suspended")
        for sub in (OTHER, *PEOPLE.values()):
            wiring.avatars.put_for_user(sub, A_PICTURE, audit=audit_event("user.avatar_changed"))

    def credential(self, caller: Caller, scope: str) -> dict[str, str]:
        """The headers of somebody who calls a route of this scope."""
        scopes = set(ALL_SCOPES) - ({scope} if caller.lacks else set())
        sub = PEOPLE.get(caller.name, OTHER if caller.relation == "other" else HIS)
        client_id = "pages" if caller.name == "in a page" else "other" if caller.relation == "elsewhere" else "app"
        match caller.kind:
            case "user":
                return self.token(sub, client_id, scopes, age=60 if caller.recent else 3600)
            case "user_key":
                return self.key(scopes, client_id=client_id, sub=sub)
            case "client_key":
                return self.key(scopes, client_id="stranger" if caller.relation == "other" else "app")
            case "operator_key":
                return self.key(scopes, client_id=None)
        return self._of_nobody(caller.name)

    def _of_nobody(self, name: str) -> dict[str, str]:
        make = {
            "nobody": dict,
            "suspended": lambda: self.token("usr_gone", "app", set(ALL_SCOPES)),
            "signed out": lambda: self.token(HIS, "app", set(ALL_SCOPES), status="revoked"),
            "suspended's key": lambda: self.key(set(ALL_SCOPES), client_id="app", sub="usr_gone"),
            "revoked key": lambda: self.key(set(ALL_SCOPES), client_id="app", status="revoked"),
            "expired key": lambda: self.key(set(ALL_SCOPES), client_id="app", expires_at=NOW - 1),
            "disabled client": lambda: self.key(set(ALL_SCOPES), client_id="off"),
        }
        return make[name]()

    def token(self, sub: str, client_id: str, scopes: set[str], *, age: int = 60, **changes: Any) -> dict[str, str]:
        """An access token that says every one of the scopes, with its session; what counts is left of it."""
        family, end = ids.new_id("fam"), NOW + 86_400
        session = Session(
            family=family, sid=f"sid_{family}", sub=sub, client_id=client_id, scopes=("openid",), provider="example",
            created_at=NOW - age, expires_at=end, idle_expires_at=end, current_hash="h",
        )  # fmt: skip
        self.world.wiring.sessions.create(replace(session, **changes), audit=audit_event("user.signed_in"))
        claims = {**self.world.claims, "sub": sub, "client_id": client_id, "sid": session.sid}
        claims |= {"scope": " ".join(sorted(scopes)), "role": "admin"}  # of which we believe nothing
        return {"authorization": f"Bearer {self.world.wiring.signer.sign(claims, alg='ES256', typ='at+jwt')}"}

    def key(self, scopes: set[str], *, client_id: str | None, expires_at: int = NOW + 86_400, **more: Any) -> Any:
        """An API key that says every one of the scopes."""
        made = new_api_key()
        stored = ApiKey(
            made.key_id, made.secret_hash, tuple(sorted(scopes)), NOW - 60, expires_at, client_id=client_id, **more
        )
        self.world.wiring.api_keys.put(stored, audit=audit_event("api_key.created"))
        return {"x-api-key": made.text}

    def parts(self, route: str, *, names: bool) -> dict[str, Any]:
        """A request about the user's own things, without a credential; `names` him where a client's key has to."""
        parts = {name: dict(values) for name, values in self.world.good(route).items()}
        kept = ("content-type", "if-match")
        parts["headers"] = {name: v for name, v in parts.get("headers", {}).items() if name in kept}
        in_body = "json" in parts and "user_sub" in _members(route)
        in_query = "user_sub" in {parameter["name"] for parameter in OPERATIONS[route].get("parameters", ())}
        for place in ("json", "query"):
            parts.get(place, {}).pop("user_sub", None)
        if names and in_body:
            parts["json"]["user_sub"] = HIS
        if names and in_query:
            parts.setdefault("query", {})["user_sub"] = HIS
        return parts

    def his(self) -> tuple[str, ...]:
        """Words that nobody else may be told."""
        return (HIS, self.world.stays.id, self.world.goes.id, f"{HIS}@example.com")


@pytest.fixture(scope="module")
def functions() -> dict[str, Any]:
    """Every function that answers HTTP, by its routes; a test says what is behind it."""
    found = {}
    for name, app in apps():
        module = Function(name, None).module
        found |= dict.fromkeys(app.operations, module)
    return found


@pytest.fixture(scope="module", autouse=True)
def _metrics() -> Iterator[None]:
    """Where the template says metrics go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Grantkeeper")
        patch.setenv("POWERTOOLS_SERVICE_NAME", "grantkeeper")
        yield


def call(functions: Any, team: Team, route: str, parts: dict[str, Any], credential: dict[str, str]) -> Any:
    """What the function answers, and that it is as described."""
    module = functions[route]
    module.app_wiring = team.world.wiring
    event = http_event(
        route, path="/", query=parts.get("query", ""), headers={**parts["headers"], **credential},
        path_parameters=parts.get("path"), body=json.dumps(parts["json"]) if "json" in parts else None,
    )  # fmt: skip
    answer = module.handler(event, CONTEXT)
    check_answer(route, answer["statusCode"], answer["headers"], answer["body"])
    return answer


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
        if caller.kind is None or caller.relation == "other":
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
        if "requestBody" not in operation or named in _members(route):
            continue
        team = Team()
        parts = team.parts(route, names=False)
        parts["json"][named] = "admin"
        kind = "user" if "user" in operation["x-access"]["callers"] else "client_key"
        caller = next(caller for caller in CALLERS if caller.kind == kind)

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


def _members(route: str) -> set[str]:
    content = OPERATIONS[route].get("requestBody", {}).get("content", {})
    schemas = description()["components"]["schemas"]
    return {
        name for media in content.values() for name in schemas[media["schema"]["$ref"].rpartition("/")[2]]["properties"]
    }


def _told(answer: dict[str, Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
    headers = {name: value for name, value in answer["headers"].items() if name != "x-request-id"}
    return answer["statusCode"], headers, {k: v for k, v in json.loads(answer["body"]).items() if k != "instance"}
