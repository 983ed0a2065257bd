"""Everybody who could call, in the world of everything: credentials of every kind, and requests that would succeed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from grantkeeper import ids
from grantkeeper.api_key_format import new_api_key
from grantkeeper.model import ALL_SCOPES, ApiKey, Avatar, Session
from local import access
from local.access import Caller
from tests.doubles.deployment import SECRET, audit_event
from tests.security.test_fuzz_handlers import NOW, World
from tests.support.described import check_answer, description
from tests.support.functions import CONTEXT, http_event

HIS, OTHER = "usr_alice", "usr_bob"
PEOPLE = {"auditor": "usr_auditor", "admin": "usr_admin"}
OPERATIONS = dict(access.operations(description()))
GUARDED = {route: operation for route, operation in OPERATIONS.items() if "x-access" in operation}
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
        in_body = "json" in parts and "user_sub" in members_of(route)
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


def members_of(route: str) -> set[str]:
    content = OPERATIONS[route].get("requestBody", {}).get("content", {})
    schemas = description()["components"]["schemas"]
    return {
        name for media in content.values() for name in schemas[media["schema"]["$ref"].rpartition("/")[2]]["properties"]
    }
