"""
Slack behind the `ProviderHttp` port: two tokens from one consent, errors in a 200, refreshes that answer flat.

    slack = Slack(rotation=True)
    back = slack.consent(location)       # what the browser brings to our callback
"""

from __future__ import annotations

import json
import secrets
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from grantkeeper.model import HttpRequest, HttpResponse

CLIENT = ("123.456", "s3cret")


class Slack:
    """One workspace, one person; tokens are single use where they are refresh tokens."""

    def __init__(self, *, rotation: bool = True) -> None:
        self.rotation = rotation
        self.requests: list[HttpRequest] = []
        self.live: dict[str, str] = {}  # access token → bot or user
        self.refresh_tokens: dict[str, str] = {}
        self.asked: dict[str, str] = {}

    def consent(self, url: str) -> dict[str, str]:
        """The person says yes to everything."""
        self.asked = dict(parse_qsl(urlsplit(url).query))
        return {"code": "c0de", "state": self.asked["state"]}

    def send(self, request: HttpRequest, *, budget: float = 8.0) -> HttpResponse:
        """One call of the web API; HTTP 200 whatever happens."""
        self.requests.append(request)
        method = urlsplit(request.url).path.removeprefix("/api/")
        answer = self._access(request) if method == "oauth.v2.access" else self._api(method, request)
        return HttpResponse(200, {}, json.dumps(answer).encode())

    def _access(self, request: HttpRequest) -> dict[str, Any]:
        basic = b64decode(dict(request.headers)["authorization"].removeprefix("Basic ")).decode()
        if tuple(basic.split(":")) != CLIENT:
            return {"ok": False, "error": "bad_client_secret"}
        form = dict(parse_qsl((request.body or b"").decode()))
        if form["grant_type"] == "refresh_token":
            kind = self.refresh_tokens.pop(form["refresh_token"], None)
            if kind is None:
                return {"ok": False, "error": "invalid_refresh_token"}
            return {"ok": True, "team": {"id": "T1"}} | self._token(kind)
        answer = {"ok": True, "app_id": "A1", "team": {"id": "T1", "name": "Acme"}, "enterprise": None}
        if self.asked.get("scope"):
            answer |= self._token("bot") | {"bot_user_id": "U0BOT"}
        person = {"id": "U1"} | (self._token("user") if self.asked.get("user_scope") else {})
        return answer | {"authed_user": person}

    def _token(self, kind: str) -> dict[str, Any]:
        token = f"xox{kind[0]}-{secrets.token_hex(8)}"
        self.live[token] = kind
        answer: dict[str, Any] = {"access_token": token, "token_type": kind}
        answer["scope"] = self.asked["scope" if kind == "bot" else "user_scope"]
        if self.rotation:
            refresh_token = f"xoxe-{secrets.token_hex(8)}"
            self.refresh_tokens[refresh_token] = kind
            answer |= {"refresh_token": refresh_token, "expires_in": 43200}
        return answer

    def _api(self, method: str, request: HttpRequest) -> dict[str, Any]:
        token = dict(request.headers)["authorization"].removeprefix("Bearer ")
        if token not in self.live:
            return {"ok": False, "error": "token_revoked"}
        if method == "auth.revoke":
            del self.live[token]
            return {"ok": True, "revoked": True}
        if method == "users.info":
            assert dict(parse_qsl(urlsplit(request.url).query)) == {"user": "U1", "include_locale": "true"}
            return {"ok": True, "user": {"id": "U1", "real_name": "Ada", "profile": {"email": "ada@acme.example"}}}
        return {"ok": True, "team_id": "T1", "user_id": "U0BOT"}
