"""Who may call a route, as its operation says it."""

from __future__ import annotations

from typing import Any

import pytest

from grantkeeper.api_key_format import new_api_key
from grantkeeper.edge.http import App, Request, json_response
from grantkeeper.edge.operations import ANY, OPERATOR, PERSON, TEAM, Access, Operation
from grantkeeper.edge.principals import permitted
from grantkeeper.errors import Forbidden, InsufficientScope, Unauthenticated
from grantkeeper.model import ApiKey
from tests.doubles.deployment import audit_event, deployment, provision
from tests.doubles.provider import NOON


@pytest.fixture
def wiring():
    wiring = deployment()
    provision(wiring)
    return wiring


def caller(wiring: Any, *, client_id: str | None, scopes: tuple[str, ...]) -> Request:
    text = new_api_key()
    key = ApiKey(text.key_id, text.secret_hash, scopes, NOON, NOON + 3600, client_id=client_id)
    wiring.api_keys.put(key, audit=audit_event("api_key.created"))
    headers = {"x-api-key": text.text}
    return Request("GET /v1/things", "GET", "/v1/things", {}, {}, headers, {}, b"", "192.0.2.1", "r")


def test_key_of_a_client_is_let_in_where_teams_are(wiring):
    """A client's key with the scope passes where clients may call."""
    request = caller(wiring, client_id="backend", scopes=("connections:read",))

    principal = permitted(request, Access("connections:read", TEAM), ports=wiring, now=NOON)

    assert principal.client_id == "backend"


@pytest.mark.parametrize("callers", [PERSON, OPERATOR])
def test_k05_kind_of_caller_counts_besides_the_scope(wiring, callers):
    """A client's key that holds the scope is refused where only people, or only operators, may call."""
    request = caller(wiring, client_id="backend", scopes=("admin:read",))

    with pytest.raises(Forbidden):
        permitted(request, Access("admin:read", callers), ports=wiring, now=NOON)


def test_k05_operators_key_is_told_apart_from_a_clients(wiring):
    """The operator's key passes where operators may call, and not where only teams may."""
    request = caller(wiring, client_id=None, scopes=("admin:read",))

    assert permitted(request, Access("admin:read", ANY), ports=wiring, now=NOON).client_id is None
    with pytest.raises(Forbidden):
        permitted(request, Access("admin:read", TEAM), ports=wiring, now=NOON)


def test_missing_scope_is_told_before_the_kind(wiring):
    """Who lacks the scope is told which, whatever he is."""
    request = caller(wiring, client_id=None, scopes=("admin:read",))

    with pytest.raises(InsufficientScope):
        permitted(request, Access("metrics:read", PERSON), ports=wiring, now=NOON)


def test_t11_key_never_signed_in_recently(wiring):
    """Where a recent sign-in is wanted, a key is no substitute for one."""
    request = caller(wiring, client_id=None, scopes=("admin:read",))

    with pytest.raises(Unauthenticated):
        permitted(request, Access("admin:read", ANY, recent=True), ports=wiring, now=NOON)


def test_route_that_does_not_say_who_may_call_lets_nobody_in():
    """Forgetting to say it ends in an error, not in an open door."""
    app = App()
    app.route("GET /v1/things", operation=Operation())(lambda _: json_response({}))
    request = Request("GET /v1/things", "GET", "/v1/things", {}, {}, {}, {}, b"", "192.0.2.1", "r")

    with pytest.raises(LookupError):
        app.access(request)
