"""Whole trips through functions that have nothing to import from but the standard library and the built layer."""

from __future__ import annotations

import ast
import json
import re
import secrets
import sys
import threading

import httpx2
import pytest

from local import aws
from local.edge import Edge, deployed_routes
from tests.e2e.browser import query_of, relying_party
from tests.support.bare_functions import BareFunctions
from tests.support.stack import ROOT, ROTATING

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("bare layer")]

LAYER = ROOT / ".aws-sam" / "build" / "CommonLayer" / "python"
SHIPPED = (ROOT / "layers" / "common" / "grantkeeper", ROOT / "functions")


@pytest.fixture(scope="module")
def bare(stack, tmp_path_factory):
    """The stack's functions a second time, in a bare interpreter, with a front door of their own."""
    edge = Edge(0)
    url = f"http://localhost:{edge.port}"
    environment = aws.environment(stack.aws_endpoint_url) | stack.environment | {"ISSUER": url, "LOCAL_RUN": "1"}
    log = tmp_path_factory.mktemp("bare") / "functions.log"
    functions = BareFunctions(layer=LAYER, functions=ROOT / "functions", environment=environment, log=log)
    for logical, name in stack.functions.items():
        folder = re.sub(r"(?<!^)(?=[A-Z])", "_", logical.removesuffix("Function")).lower()
        worker = folder == "refresh_worker"
        functions.entries[name] = ("refresh", "batch_handler") if worker else (folder, "handler")
    api_id = stack.facts["outputs"]["HttpApiId"]
    edge.open(api_id=api_id, routes=deployed_routes(stack.aws("apigatewayv2"), api_id), lambda_client=functions)
    serving = threading.Thread(target=edge.serve_forever, daemon=True)
    serving.start()
    yield url, functions
    edge.shutdown()
    edge.server_close()
    functions.close()


def strangers(functions):
    """Modules that came from anywhere but the layer, the functions and the standard library."""
    known = (str(LAYER), str(ROOT / "functions"), sys.base_prefix)
    return {name: file for name, file in functions.ask({})["value"].items() if not file.startswith(known)}


def at_run_time(node):
    """A node and everything in it, but for what only a type checker reads."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from at_run_time(child)


def third_party_imports():
    """Every import of the shipped source, those inside functions too, as a statement of its own."""
    found = set()
    for root in SHIPPED:
        for path in root.rglob("*.py"):
            for node in at_run_time(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {f"import {alias.name}" for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    found |= {f"from {node.module} import {alias.name}" for alias in node.names}
    return sorted(s for s in found if s.split()[1].partition(".")[0] not in {*sys.stdlib_module_names, "grantkeeper"})


def test_the_emulator_would_hide_what_is_missing(bare):
    """The interpreter is bare indeed: what the tests import is not there."""
    _, functions = bare

    assert functions.ask({"statement": "import pytest"})["raised"].startswith("ModuleNotFoundError")


def test_every_import_of_the_shipped_source_is_satisfied_by_the_layer(bare):
    """Also those that only some path through a function reaches."""
    _, functions = bare
    statements = third_party_imports()

    assert len(statements) > 10
    assert {s: told["raised"] for s in statements if "raised" in (told := functions.ask({"statement": s}))} == {}
    assert strangers(functions) == {}


def test_whole_trips_need_nothing_but_the_layer(stack, bare, new_browser, oidc_provider):
    """Sign-in, userinfo, session refresh, connect, token, refresh, disconnect, sweep, and the triggers of events/."""
    url, functions = bare
    browser, login = new_browser(), f"joan-{secrets.token_hex(4)}"
    scope = "openid email offline_access connections:read connections:write"

    started = relying_party("start", url, stack.client_id, stack.redirect_uri, scope, ROTATING)
    assert "url" in started, started
    back = browser.open(started["url"], until=stack.redirect_uri, login=login)
    assert isinstance(back, str), back.text
    session = relying_party("finish", url, stack.client_id, back, given=started)
    assert session.get("userinfo", {}).get("email") == f"{login}@example.com", session.keys()
    refreshed = relying_party("refresh", url, stack.client_id, given=session)

    user = {"authorization": f"Bearer {refreshed['access_token']}"}
    key = {"x-api-key": stack.client_api_key}
    with httpx2.Client(base_url=url, timeout=30, trust_env=False) as http:
        body = {"service": ROTATING, "redirect_uri": stack.connect_redirect_uri}
        opened = http.post("/v1/connect-sessions", headers=user, json=body).json()
        told = query_of(browser.open(opened["connect_url"], until=stack.connect_redirect_uri, login=login))
        complete = f"/v1/connect-sessions/{told['connect_session']}/complete"
        connection = http.post(complete, headers=user, json={"confirmation": told["confirmation"]}).json()
        path = f"/v1/connections/{connection['id']}"
        answers = [
            http.get(f"{path}/token", headers=key, params={"min_ttl": 1}),
            http.get(f"{path}/token", headers=key, params={"min_ttl": 60}),
            http.post(f"{path}/sync", headers=key),
            http.get("/v1/status", headers=user),
            http.get("/v1/admin/stats", headers={"x-api-key": stack.admin_api_key}),
            http.get("/metrics", headers={"x-api-key": stack.admin_api_key}),
            http.get("/v1/providers"),
            http.delete(path, headers=user),
        ]
    assert [answer.status_code for answer in answers] == [200] * 8, [answer.text for answer in answers]

    triggers = {
        "sweeper": ("sweeper", "handler"),
        "reconcile": ("reconcile", "handler"),
        "erasure": ("erasure", "handler"),
        "refresh-batch": ("refresh", "batch_handler"),
        "rescue": ("rescue", "handler"),
        "projector-audit": ("projector", "handler"),
        "projector-grants": ("projector", "handler"),
    }
    for file, (folder, entry) in triggers.items():
        event = json.loads((ROOT / "events" / f"{file}.json").read_text())
        told = functions.ask({"function": folder, "entry": entry, "event": event})
        assert "raised" not in told, (file, told)

    loaded = functions.ask({})["value"]
    assert {"httpx2", "joserfc", "cryptography", "botocore", "aws_lambda_powertools"} <= set(loaded)
    assert strangers(functions) == {}
