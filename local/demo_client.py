"""
How an application of the team talks to Grantkeeper: the part of the demo application that is worth copying.

It signs users in with the authorization code flow and PKCE and checks the ID
token; it opens connect sessions and confirms them for the user who came back;
it asks for access tokens with its API key.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from joserfc import jwk, jwt

SERVICE = "demo"


@dataclass
class Visitor:
    """One browser, as the application remembers it."""

    state: str = ""
    nonce: str = ""
    verifier: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    profile: dict[str, Any] = field(default_factory=dict)
    connect_state: str = ""
    connection_id: str = ""


@dataclass(frozen=True)
class DemoClient:
    """The application as Grantkeeper's client; the API key stays on this side."""

    issuer: str
    callback_uri: str
    connected_uri: str
    client_id: str
    api_key: str = field(repr=False)

    # --- signing in: OpenID Connect Core section 3.1, with PKCE (RFC 7636) ---

    def sign_in_url(self, visitor: Visitor) -> str:
        """Where to send the browser; what comes back must fit what is kept here."""
        visitor.state, visitor.nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        visitor.verifier = secrets.token_urlsafe(32)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(visitor.verifier.encode()).digest()).rstrip(b"=")
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.callback_uri,
            "scope": "openid profile email",
            "state": visitor.state,
            "nonce": visitor.nonce,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        return f"{self.issuer}/oauth2/authorize?{urlencode(query)}"

    def finish_sign_in(self, visitor: Visitor, answer: dict[str, str]) -> None:
        """
        Exchange the code and believe the ID token only after checking it.

        Raises:
            ValueError: The answer is not the one to our question.
        """
        if not visitor.state or not secrets.compare_digest(answer.get("state", ""), visitor.state):
            raise ValueError("This answer belongs to another sign-in.")
        if answer.get("iss") != self.issuer:  # RFC 9207
            raise ValueError("This answer comes from another issuer.")
        if "error" in answer:
            raise ValueError(f"Signing in failed: {answer['error']}.")
        tokens = _call(
            f"{self.issuer}/oauth2/token",
            form={
                "grant_type": "authorization_code",
                "code": answer.get("code", ""),
                "redirect_uri": self.callback_uri,
                "client_id": self.client_id,
                "code_verifier": visitor.verifier,
            },
        )
        keys = jwk.KeySet.import_key_set(_call(f"{self.issuer}/.well-known/jwks.json"))  # type: ignore[arg-type]
        claims = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
        jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.client_id},
            nonce={"essential": True, "value": visitor.nonce},
            exp={"essential": True},
        ).validate(claims)
        bearer = {"authorization": f"Bearer {tokens['access_token']}"}
        profile = _call(f"{self.issuer}/oauth2/userinfo", headers=bearer)
        if profile["sub"] != claims["sub"]:  # OpenID Connect Core section 5.3.2
            raise ValueError("The profile is somebody else's.")
        visitor.claims, visitor.profile, visitor.state, visitor.verifier = claims, profile, "", ""

    # --- connecting: open, send the browser, confirm for the user who came back ---

    def connect_url(self, visitor: Visitor) -> str:
        """Open a connect session for the signed-in user; the browser goes to the URL it answers."""
        visitor.connect_state = secrets.token_urlsafe(32)
        session = self._api(
            "/v1/connect-sessions",
            json_body={
                "service": SERVICE,
                "redirect_uri": self.connected_uri,
                "state": visitor.connect_state,
                "user_sub": visitor.claims["sub"],
            },
        )
        return str(session["connect_url"])

    def finish_connect(self, visitor: Visitor, answer: dict[str, str]) -> None:
        """
        Confirm for the user who is signed in here and now, not for the one who started.

        Raises:
            ValueError: The answer is not the one to our question.
        """
        if not visitor.connect_state or not secrets.compare_digest(answer.get("state", ""), visitor.connect_state):
            raise ValueError("This answer belongs to another connection.")
        if "error" in answer:
            raise ValueError(f"Connecting failed: {answer['error']}.")
        connection = self._api(
            f"/v1/connect-sessions/{answer.get('connect_session', '')}/complete",
            json_body={"confirmation": answer.get("confirmation", ""), "user_sub": visitor.claims["sub"]},
        )
        visitor.connect_state, visitor.connection_id = "", str(connection["id"])

    def token(self, visitor: Visitor) -> dict[str, Any]:
        """The token call. A backend would use the token; this one shows how it begins, never all of it."""
        answer = self._api(f"/v1/connections/{visitor.connection_id}/token?min_ttl=60")
        shown = ("kind", "token_type", "expires_at", "scopes", "generation", "connection_id")
        return {"access_token": f"{answer['access_token'][:6]}…"} | {name: answer.get(name) for name in shown}

    def _api(self, path: str, *, json_body: dict[str, Any] | None = None) -> dict[str, Any]:
        return _call(f"{self.issuer}{path}", json_body=json_body, headers={"x-api-key": self.api_key})


def _call(
    url: str,
    *,
    form: dict[str, str] | None = None,
    json_body: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """
    One request to Grantkeeper.

    Raises:
        OSError: It said no or nothing; the message is its own.
    """
    request = Request(url, headers=headers or {})  # noqa: S310 - the issuer's URL, from our own configuration
    if form is not None:
        request.data = urlencode(form).encode()
    elif json_body is not None:
        request.data = json.dumps(json_body).encode()
        request.add_header("content-type", "application/json")
    try:
        with urlopen(request, timeout=30) as response:  # noqa: S310
            answer: dict[str, Any] = json.load(response)
            return answer
    except HTTPError as error:
        raise OSError(f"{error.code} from {urlsplit(url).path}: {error.read(2000).decode(errors='replace')}") from None
