"""
A server of OAuth 1.0a behind the `ProviderHttp` port, with a signature check of its own (RFC 5849 section 3.4).

    provider = OAuth1Provider(key="ours", secret="s")
    callback = provider.consent(location)      # the user says yes; what the browser brings back
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from grantkeeper.model import HttpRequest, HttpResponse


def escape(text: str) -> str:
    """RFC 5849 section 3.6."""
    return quote(text, safe="-._~")


def signature(method: str, url: str, params: list[tuple[str, str]], *, consumer_secret: str, token_secret: str) -> str:
    """HMAC-SHA1 (section 3.4.2) over the base string (3.4.1), written from the RFC."""
    split = urlsplit(url)
    pairs = sorted((escape(k), escape(v)) for k, v in [*parse_qsl(split.query, keep_blank_values=True), *params])
    normal = "&".join(f"{k}={v}" for k, v in pairs)
    base = "&".join(escape(part) for part in (method, f"{split.scheme}://{split.netloc.lower()}{split.path}", normal))
    key = f"{escape(consumer_secret)}&{escape(token_secret)}"
    return base64.b64encode(hmac.new(key.encode(), base.encode(), hashlib.sha1).digest()).decode()


def header_params(request: HttpRequest) -> dict[str, str]:
    """The parameters of the Authorization header (section 3.5.1)."""
    scheme, _, rest = dict(request.headers)["authorization"].partition(" ")
    assert scheme == "OAuth"
    return {
        unquote(name.strip()): unquote(value.strip().strip('"'))
        for name, _, value in (part.partition("=") for part in rest.split(","))
    }


class OAuth1Provider:
    """Checks every signature, timestamp and nonce; spends a verifier once."""

    def __init__(self, *, key: str, secret: str, now: int, host: str = "trello.com") -> None:
        self.key, self.secret, self.now, self.host = key, secret, now, host
        self.confirms_callback: str | None = "true"
        self.answer_instead: HttpResponse | None = None
        self.member: dict[str, Any] = {"id": "5abbe4b7ddc1b351ef961414", "fullName": "Ada", "username": "ada"}
        self.requests: list[HttpRequest] = []
        self.temporary: dict[str, dict[str, str]] = {}
        self.tokens: dict[str, str] = {}
        self.nonces: set[str] = set()

    # --- the browser ---

    def consent(self, url: str, *, deny: bool = False) -> dict[str, str]:
        """The user decides; the parameters his browser comes back with."""
        query = dict(parse_qsl(urlsplit(url).query))
        held = self.temporary[query["oauth_token"]]
        back = dict(parse_qsl(urlsplit(held["callback"]).query))
        if deny:
            return back | {"denied": query["oauth_token"]}
        held["verifier"] = secrets.token_hex(8)
        return back | {"oauth_token": query["oauth_token"], "oauth_verifier": held["verifier"]}

    # --- the wire ---

    def send(self, request: HttpRequest, *, budget: float = 8.0) -> HttpResponse:
        """One request."""
        self.requests.append(request)
        if self.answer_instead is not None:
            answer, self.answer_instead = self.answer_instead, None
            return answer
        if urlsplit(request.url).path.startswith("/1/tokens/"):
            return self._withdraw(request)
        params = header_params(request)
        refused = self._refused(request, params)
        if refused is not None:
            return self._text(401, refused)
        path = urlsplit(request.url).path
        if path == "/1/OAuthGetRequestToken":
            return self._request_token(params)
        if path == "/1/OAuthGetAccessToken":
            return self._access_token(params)
        known = params.get("oauth_token") in self.tokens
        return HttpResponse(200, {}, json.dumps(self.member).encode()) if known else self._text(401, "invalid token")

    def _refused(self, request: HttpRequest, params: dict[str, str]) -> str | None:
        token = params.get("oauth_token", "")
        secret = self.temporary.get(token, {}).get("secret") or self.tokens.get(token, "")
        if abs(int(params["oauth_timestamp"]) - self.now) > 300:
            return "oauth_problem=timestamp_refused"
        if params["oauth_nonce"] in self.nonces or not self._signed(request, params, secret):
            return "invalid signature"
        self.nonces.add(params["oauth_nonce"])
        return None

    def _signed(self, request: HttpRequest, params: dict[str, str], token_secret: str) -> bool:
        signed = [(name, value) for name, value in params.items() if name != "oauth_signature"]
        expected = signature(
            request.method, request.url, signed, consumer_secret=self.secret, token_secret=token_secret
        )
        return params["oauth_consumer_key"] == self.key and hmac.compare_digest(params["oauth_signature"], expected)

    def _request_token(self, params: dict[str, str]) -> HttpResponse:
        token, secret = secrets.token_hex(16), secrets.token_hex(16)
        self.temporary[token] = {"secret": secret, "callback": params["oauth_callback"]}
        answer = {"oauth_token": token, "oauth_token_secret": secret}
        if self.confirms_callback is not None:
            answer["oauth_callback_confirmed"] = self.confirms_callback
        return self._text(200, urlencode(answer))

    def _access_token(self, params: dict[str, str]) -> HttpResponse:
        held = self.temporary.pop(params["oauth_token"], None)
        if held is None or held.get("verifier") != params.get("oauth_verifier"):
            return self._text(401, "invalid token")
        token, secret = secrets.token_hex(32), secrets.token_hex(16)
        self.tokens[token] = secret
        return self._text(200, urlencode({"oauth_token": token, "oauth_token_secret": secret}))

    def _withdraw(self, request: HttpRequest) -> HttpResponse:
        split = urlsplit(request.url)
        query = dict(parse_qsl(split.query))
        token = unquote(split.path.rpartition("/")[2])
        if request.method != "DELETE" or query != {"key": self.key, "token": token} or token not in self.tokens:
            return self._text(401, "invalid token")
        del self.tokens[token]
        return self._text(200, "{}")

    def _text(self, status: int, text: str) -> HttpResponse:
        from email.utils import formatdate

        return HttpResponse(status, {"date": formatdate(self.now, usegmt=True)}, text.encode())
