"""
An OpenID provider in the process: the `ProviderHttp` port answered by a small, strict authorization server.

It signs real ID tokens with a real RSA key, checks client authentication, redirect_uri and PKCE, spends codes once and
rotates refresh tokens in the way a test asks for. What a provider can do wrong is an attribute.

    provider = FakeProvider()
    callback = provider.consent(authorization_url)     # the user says yes; what the browser brings back
    provider.rotation = "always"                       # from now on refresh tokens are single use
    provider.answer_next(503)                          # the next call fails
    provider.lose_next_answer()                        # the next call is obeyed, its answer lost
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from grantkeeper.errors import ProviderUnavailable
from grantkeeper.model import HttpRequest, HttpResponse, ProviderCredentials
from grantkeeper.providers.record import ProfileRequest, ProfileRule, Provider, RevocationRule, ScopeRule, Service

NOON = 1_800_000_000
ISSUER = "https://idp.example"

_SHARED_KEY = RSAKey.generate_key(2048, parameters={"kid": "k1", "use": "sig", "alg": "RS256"})


@dataclass
class Account:
    """Somebody with an account at the provider."""

    subject: str = "alice"
    claims: dict[str, Any] = field(
        default_factory=lambda: {"email": "alice@example.com", "email_verified": True, "name": "Alice Example"}
    )


@dataclass
class _Code:
    client_id: str
    redirect_uri: str
    challenge: str | None
    nonce: str | None
    scope: str
    account: Account
    spent_family: str | None = None


@dataclass
class _Family:
    """One consent: its refresh tokens in order, the last one current."""

    id: str
    client_id: str
    scope: str
    account: Account
    refresh_tokens: list[str] = field(default_factory=list)
    access_tokens: list[str] = field(default_factory=list)
    rotated_at: int = 0
    revoked: bool = False


class FakeProvider:
    """Stands behind `ports.ProviderHttp`; safe to call from many threads."""

    def __init__(self, *, now: int = NOON, provider_id: str = "example", issuer: str = ISSUER) -> None:
        self.now = now
        self.id = provider_id
        self.issuer = issuer
        self.host = urlsplit(issuer).netloc
        self.client_id = "our-client"
        self.client_secret = "our secret:%+"
        self.more_registrations: set[tuple[str, str]] = set()  # (client_id, secret), while one of ours rotates
        self.key = _SHARED_KEY
        self.published_keys: list[RSAKey] = [self.key]
        self.alg = "RS256"
        # behaviour
        self.rotation: Literal["none", "always"] = "none"
        self.previous_refresh_token: Literal["valid", "grace", "revoked"] = "revoked"
        self.grace_seconds = 60
        self.expires_in: int | None = 3600
        self.issues_refresh_tokens = True
        self.issues_id_tokens = True
        self.granted_scope: str | None = None  # None: as asked
        self.auth_time: int | None = None
        self.id_token_overrides: dict[str, Any] = {}  # a value of None drops the claim
        self.response_iss: str | None = None  # RFC 9207
        self.extra_token_fields: dict[str, Any] = {}
        # what happened
        self.requests: list[HttpRequest] = []
        self.token_calls: list[dict[str, str]] = []
        self.revoked_tokens: list[str] = []
        self._codes: dict[str, _Code] = {}
        self._families: list[_Family] = []
        self._faults: list[HttpResponse | Exception | Literal["lose"]] = []
        self._lock = threading.RLock()

    # --- what the product is told of us ---

    def record(self, **changes: Any) -> Provider:
        """Our provider record."""
        provider = Provider(
            id=self.id,
            display_name="Example ID",
            protocol="oidc",
            issuer=self.issuer,
            authorization_endpoint=f"{self.issuer}/authorize",
            token_endpoint=f"{self.issuer}/token",
            revocation_endpoint=f"{self.issuer}/revoke",
            userinfo_endpoint=f"{self.issuer}/userinfo",
            jwks_uri=f"{self.issuer}/jwks",
            pkce="required",
            prompt_values_supported=("none", "login", "select_account"),
            scope=ScopeRule(never_returned=("offline_access",)),
            signin_scopes=("openid", "email", "profile"),
            services=(
                Service(
                    id=f"{self.id}-files",
                    display_name="Example Files",
                    access={"read": ("files.read",), "write": ("files.read", "files.write")},
                    base_scopes=("openid", "email"),
                    offline_scopes=("offline_access",),
                ),
            ),
            connect_params=(("prompt", "consent"),),
            revocation=RevocationRule(kind="rfc7009"),
            profile=ProfileRule(
                requests=(ProfileRequest("userinfo", f"{self.issuer}/userinfo"),), email_verified_policy="claim"
            ),
        )
        return replace(provider, **changes)

    def credentials(self) -> ProviderCredentials:
        """Our registration of the product."""
        return ProviderCredentials(self.id, self.client_id, self.client_secret)

    # --- the browser's side ---

    def consent(self, url: str, *, account: Account | None = None, deny: str | None = None) -> dict[str, str]:
        """
        The user answers at the consent page `url` leads to.

        Args:
            deny: an error code of RFC 6749 section 4.1.2.1 to answer with.

        Returns:
            The parameters the browser brings back to the redirect_uri.
        """
        split = urlsplit(url)
        assert f"{split.scheme}://{split.netloc}{split.path}" == f"{self.issuer}/authorize"
        asked = {name: values[0] for name, values in parse_qs(split.query, strict_parsing=True).items()}
        assert all(len(values) == 1 for values in parse_qs(split.query).values()), "a parameter is repeated"
        assert asked["response_type"] == "code"
        assert asked["client_id"] in {self.client_id, *(name for name, _ in self.more_registrations)}
        if "code_challenge" in asked:
            assert asked["code_challenge_method"] == "S256"

        answer = {"state": asked["state"]}
        if self.response_iss is not None:
            answer["iss"] = self.response_iss
        if deny is not None:
            return answer | {"error": deny, "error_description": "<script>alert(1)</script>"}
        code = secrets.token_urlsafe(24)
        with self._lock:
            self._codes[code] = _Code(
                client_id=asked["client_id"],
                redirect_uri=asked["redirect_uri"],
                challenge=asked.get("code_challenge"),
                nonce=asked.get("nonce"),
                scope=asked.get("scope", ""),
                account=account or Account(),
            )
        return answer | {"code": code}

    def grant(
        self, scope: str = "openid files.read offline_access", *, account: Account | None = None
    ) -> dict[str, Any]:
        """A token response as a finished consent would have given: for tests that begin with a grant."""
        with self._lock:
            return self._issue(self._new_family(self.client_id, scope, account or Account()), nonce=None)

    # --- faults ---

    def answer_next(self, status: int, body: Mapping[str, Any] | bytes = b"", **headers: str) -> None:
        """The next call to the token endpoint gets this answer and has no effect."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self._faults.append(HttpResponse(status, {"content-type": "application/json", **names}, raw))

    def fail_next(self, error: Exception) -> None:
        """The next call to the token endpoint raises and has no effect."""
        self._faults.append(error)

    def lose_next_answer(self) -> None:
        """The next call to the token endpoint is obeyed and its answer lost."""
        self._faults.append("lose")

    def revoke_everything(self) -> None:
        """The user withdraws every consent in his account settings."""
        with self._lock:
            for family in self._families:
                family.revoked = True

    @property
    def live_refresh_tokens(self) -> list[str]:
        """The refresh tokens that would be honoured now."""
        return [token for family in self._families if not family.revoked for token in family.refresh_tokens[-1:]]

    # --- ports.ProviderHttp ---

    def send(self, request: HttpRequest, *, budget: float = 8.0) -> HttpResponse:
        """Answer one request of the product."""
        assert budget > 0, "a call without a deadline"
        with self._lock:
            self.requests.append(request)
            split = urlsplit(request.url)
            assert split.netloc == self.host, f"a request went astray to {split.netloc}"
            if split.path == "/token":
                return self._token_endpoint(request)
            if split.path == "/jwks":
                return _json({"keys": [key.as_dict(private=False) for key in self.published_keys]})
            if split.path == "/userinfo":
                return self._userinfo(request)
            if split.path == "/revoke":
                return self._revoke(request)
            return _json({"error": "not_found"}, status=404)

    def _token_endpoint(self, request: HttpRequest) -> HttpResponse:
        assert request.method == "POST"
        fault = self._faults.pop(0) if self._faults else None
        if isinstance(fault, HttpResponse):
            return fault
        if isinstance(fault, Exception):
            raise fault
        answer = self._token(request)
        if fault == "lose":
            raise ProviderUnavailable("The provider did not answer.", outcome_unknown=True)
        return answer

    def _token(self, request: HttpRequest) -> HttpResponse:
        form = _form(request)
        self.token_calls.append({k: v for k, v in form.items() if k != "client_secret"})
        client_id = self._authenticated(request, form)
        if client_id is None:
            return _json({"error": "invalid_client"}, status=401)
        if form.get("grant_type") == "authorization_code":
            return self._redeem_code(form, client_id)
        if form.get("grant_type") == "refresh_token":
            return self._refresh(form, client_id)
        return _json({"error": "unsupported_grant_type"}, status=400)

    def _authenticated(self, request: HttpRequest, form: Mapping[str, str]) -> str | None:
        """Basic or post, never both (RFC 6749 section 2.3)."""
        header = _header(request, "authorization")
        if header is not None:
            assert "client_secret" not in form, "two ways of client authentication at once"
            identifier, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
            client_id, secret = unquote_plus(identifier), unquote_plus(secret)
        else:
            client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        known = {(self.client_id, self.client_secret), *self.more_registrations}
        return client_id if (client_id, secret) in known else None

    def _redeem_code(self, form: Mapping[str, str], client_id: str) -> HttpResponse:
        code = self._codes.get(form.get("code", ""))
        if code is None or code.client_id != client_id or code.redirect_uri != form.get("redirect_uri"):
            return _json({"error": "invalid_grant"}, status=400)
        if code.spent_family is not None:  # RFC 6749 section 4.1.2: revoke what the first use got
            self._family(code.spent_family).revoked = True
            return _json({"error": "invalid_grant"}, status=400)
        if code.challenge is not None and _s256(form.get("code_verifier", "")) != code.challenge:
            return _json({"error": "invalid_grant"}, status=400)
        family = self._new_family(client_id, code.scope, code.account)
        code.spent_family = family.id
        return _json(self._issue(family, nonce=code.nonce))

    def _refresh(self, form: Mapping[str, str], client_id: str) -> HttpResponse:
        token = form.get("refresh_token", "")
        family = next((f for f in self._families if token in f.refresh_tokens), None)
        if family is None or family.revoked or family.client_id != client_id:
            return _json({"error": "invalid_grant"}, status=400)
        if token != family.refresh_tokens[-1] and not self._honours_previous(family, token):
            family.revoked = True
            return _json({"error": "invalid_grant"}, status=400)
        return _json(self._issue(family, nonce=None, refreshing=True))

    def _honours_previous(self, family: _Family, token: str) -> bool:
        if self.previous_refresh_token == "valid":
            return True
        immediate = len(family.refresh_tokens) > 1 and token == family.refresh_tokens[-2]
        return (
            self.previous_refresh_token == "grace" and immediate and self.now <= family.rotated_at + self.grace_seconds
        )

    def _issue(self, family: _Family, *, nonce: str | None, refreshing: bool = False) -> dict[str, Any]:
        access_token = f"at-{secrets.token_urlsafe(18)}"
        family.access_tokens.append(access_token)
        body: dict[str, Any] = {"access_token": access_token, "token_type": "Bearer"}
        body["scope"] = self.granted_scope if self.granted_scope is not None else family.scope
        if self.expires_in is not None:
            body["expires_in"] = self.expires_in
        if self.issues_refresh_tokens and (not refreshing or self.rotation == "always"):
            family.refresh_tokens.append(f"rt-{secrets.token_urlsafe(18)}")
            family.rotated_at = self.now
            body["refresh_token"] = family.refresh_tokens[-1]
        if self.issues_id_tokens and "openid" in family.scope.split():
            body["id_token"] = self.id_token(
                family.account, nonce=nonce, access_token=access_token, audience=family.client_id
            )
        return body | self.extra_token_fields

    def id_token(
        self, account: Account, *, nonce: str | None, access_token: str | None = None, audience: str | None = None
    ) -> str:
        """An ID token for the product, with `id_token_overrides` applied."""
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": account.subject,
            "aud": audience or self.client_id,
            "iat": self.now,
            "exp": self.now + 3600,
            **account.claims,
        }
        if nonce is not None:
            claims["nonce"] = nonce
        if self.auth_time is not None:
            claims["auth_time"] = self.auth_time
        if access_token is not None:
            digest = hashlib.sha256(access_token.encode()).digest()
            claims["at_hash"] = base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
        claims = {name: v for name, v in (claims | self.id_token_overrides).items() if v is not None}
        return jwt.encode({"alg": self.alg, "kid": self.key.kid}, claims, self.key, algorithms=[self.alg])

    def _userinfo(self, request: HttpRequest) -> HttpResponse:
        token = (_header(request, "authorization") or "").removeprefix("Bearer ")
        family = next((f for f in self._families if token in f.access_tokens and not f.revoked), None)
        if family is None:
            return _json({"error": "invalid_token"}, status=401)
        return _json({"sub": family.account.subject, **family.account.claims})

    def _revoke(self, request: HttpRequest) -> HttpResponse:
        form = _form(request)
        if self._authenticated(request, form) is None:
            return _json({"error": "invalid_client"}, status=401)
        token = form.get("token", "")
        self.revoked_tokens.append(token)
        for family in self._families:
            if token in family.refresh_tokens or token in family.access_tokens:
                family.revoked = True
        return _json({})

    def accounts(self) -> list[Account]:
        """Whose grants there are; a test may change what an account says of itself."""
        return [family.account for family in self._families]

    def _new_family(self, client_id: str, scope: str, account: Account) -> _Family:
        family = _Family(secrets.token_hex(4), client_id, scope, account)
        self._families.append(family)
        return family

    def _family(self, family_id: str) -> _Family:
        return next(f for f in self._families if f.id == family_id)


def query_string(parameters: Mapping[str, str]) -> str:
    """The raw query of a callback."""
    return urlencode(parameters)


def _form(request: HttpRequest) -> dict[str, str]:
    pairs = parse_qsl((request.body or b"").decode(), keep_blank_values=True, strict_parsing=True)
    assert len({name for name, _ in pairs}) == len(pairs), "a form parameter is repeated"
    return dict(pairs)


def _header(request: HttpRequest, name: str) -> str | None:
    return next((value for header, value in request.headers if header.lower() == name), None)


def _json(body: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    return HttpResponse(status, {"content-type": "application/json"}, json.dumps(body).encode())


def _s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
