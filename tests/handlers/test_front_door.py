"""Every function behind the API stands behind the front door, where a deployment has one."""

from __future__ import annotations

import hashlib

import pytest

from grantkeeper.edge.front_door import SECRET
from grantkeeper.edge.http import App
from tests.support.functions import CONTEXT, ROOT, _load, http_event

SECRET_OF_TODAY = "c" * 32
BEHIND_THE_API = sorted(
    path.parent.name for path in (ROOT / "functions").glob("*/app.py") if "App(" in path.read_text()
)


@pytest.mark.parametrize("name", BEHIND_THE_API)
def test_no_function_answers_past_the_distribution(name, monkeypatch):
    """403 at each of its routes before anything is read; with the secret it is asked."""
    monkeypatch.setenv("ORIGIN_SECRET_HASHES", hashlib.sha256(SECRET_OF_TODAY.encode()).hexdigest())
    module = _load(name)
    [app] = {id(value): value for value in vars(module).values() if isinstance(value, App)}.values()

    for route in app.routes:
        fields = dict.fromkeys(("ticket", "provider", "id", "file", "sid", "sub", "client_id", "connection_id"), "x")
        assert module.handler(http_event(route, path_parameters=fields), CONTEXT)["statusCode"] == 403
    asked = []
    monkeypatch.setitem(app.routes, route, lambda request: asked.append(request) or 1 / 0)
    event = http_event(route, path_parameters=fields, headers={SECRET: SECRET_OF_TODAY})
    assert module.handler(event, CONTEXT)["statusCode"] == 500
    assert asked
