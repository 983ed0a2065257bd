"""The functions behind the API over one world: payload 2.0 events in, answers out, credentials made on request."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

from grantkeeper.api_key_format import new_api_key
from grantkeeper.model import ApiKey, Session
from tests.doubles.aws import ENVIRONMENT
from tests.doubles.connect_world import ConnectWorld
from tests.doubles.deployment import deployment
from tests.doubles.provider import NOON
from tests.support.described import check_answer
from tests.support.functions import CONTEXT

ROOT = Path(__file__).parents[2]
EVENT = json.loads((ROOT / "events" / "connections.json").read_text())
SCOPES = "openid connections:read connections:write"


@dataclass
class Api:
    """Functions over one world, each route at the one that has it."""

    world: ConnectWorld
    modules: list[ModuleType]
    keys: dict[str, str] = field(default_factory=dict)

    def call(
        self, method: str, path: str, *, route: str | None = None, as_: dict[str, str] | None = None, **parts: Any
    ) -> Any:
        """
        Args: route: where path parameters are; as_: credential headers; parts: query, json, body, headers.
        """
        body = json.dumps(parts["json"]) if "json" in parts else parts.get("body", "")
        headers = {"content-type": "application/json"} if "json" in parts else {}
        template = route or path
        named = {
            name[1:-1]: value
            for name, value in zip(template.split("/"), path.split("/"), strict=True)
            if name.startswith("{")
        }
        event = EVENT | {
            "routeKey": f"{method} {template}",
            "rawPath": path,
            "rawQueryString": urlencode(parts.get("query", {})),
            "pathParameters": named,
            "headers": {**headers, **(as_ or {}), **parts.get("headers", {})},
            "body": body,
        }
        event["requestContext"] = EVENT["requestContext"] | {
            "http": EVENT["requestContext"]["http"] | {"method": method, "path": path}
        }
        key = f"{method} {template}"
        module = next((m for m in self.modules if key in _app(m).routes), self.modules[0])
        answer = module.handler(event, CONTEXT)
        check_answer(key, answer["statusCode"], answer["headers"], answer["body"])
        return Answer(answer)

    def user(self, sub: str = "usr_alice", *, client_id: str = "app", scope: str = SCOPES) -> dict[str, str]:
        """A signed-in user's credential."""
        self._sign_in(sub, client_id)
        claims = {
            "iss": self.world.wiring.issuer, "aud": self.world.wiring.issuer, "sub": sub, "client_id": client_id,
            "scope": scope, "iat": NOON, "exp": NOON + 900, "jti": "j", "sid": f"sid_{sub}_{client_id}",
        }  # fmt: skip
        token = self.world.wiring.signer.sign(claims, alg="ES256", typ="at+jwt")
        return {"authorization": f"Bearer {token}"}

    def _sign_in(self, sub: str, client_id: str) -> None:
        """The session that stands behind his tokens, once."""
        end = NOON + 86_400
        session = Session(
            family=f"fam_{sub}_{client_id}", sid=f"sid_{sub}_{client_id}", sub=sub, client_id=client_id,
            scopes=tuple(SCOPES.split()), provider="example", created_at=NOON, expires_at=end, idle_expires_at=end,
            current_hash="h",
        )  # fmt: skip
        self.world.wiring.sessions.create(session, audit=self.world.event("user.signed_in"))

    def key(self, client_id: str | None = "app", *scopes: str) -> dict[str, str]:
        """An API key's credential."""
        made = new_api_key()
        scopes = scopes or ("connections:read", "connections:write")
        self.world.wiring.api_keys.put(
            ApiKey(made.key_id, made.secret_hash, scopes, NOON, NOON + 86_400, client_id=client_id),
            audit=self.world.event("api_key.created"),
        )
        return {"x-api-key": made.text}


def _app(module: ModuleType) -> Any:
    """The one with the routes: of a function that works off a queue too, not all is behind the API."""
    return getattr(module, "routes", None) or module.app


class Answer:
    def __init__(self, answer: dict[str, Any]) -> None:
        self.status = answer["statusCode"]
        self.headers = answer["headers"]
        self.raw = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
        self.body = json.loads(self.raw) if answer["body"] and not answer["isBase64Encoded"] else None

    @property
    def told(self) -> dict[str, Any]:
        """The problem without what differs per request."""
        return {k: v for k, v in self.body.items() if k != "instance"}


def api_of(monkeypatch: Any, *functions: str) -> Api:
    """Load functions afresh, as an execution environment does, over one world of doubles."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setitem(os.environ, name, value)
    world = ConnectWorld(wiring=deployment())
    modules = []
    for name in functions:
        spec = importlib.util.spec_from_file_location(f"{name}_app", ROOT / "functions" / name / "app.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(module, "app_wiring", world.wiring)
        monkeypatch.setattr(module, "_now", lambda: world.now)
        modules.append(module)
    return Api(world, modules)
