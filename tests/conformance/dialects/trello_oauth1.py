"""Trello by OAuth 1.0a, section 6b of the fact sheet, with the signatures of RFC 5849 checked from the other side."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from grantkeeper.model import HttpResponse
from tests.conformance.grants import ALICE, Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, Misspoken, answer, pairs, place_of, text_answer, words

OAUTH = "trello.com/1"
API = "api.trello.com/1"


@dataclass
class RequestToken:
    """Temporary credentials (RFC 5849 section 2.1)."""

    secret: str
    callback: str
    person: Person | None = None
    scopes: tuple[str, ...] = ()
    verifier: str = ""


class TrelloOAuth1(Vendor):
    """No scopes in the answer, no state, no refresh; a plain-text 401 for what is dead."""

    key = record_id = "trello-oauth1"
    tells_language = True
    authorize_url = f"https://{OAUTH}/OAuthAuthorizeToken"
    token_url = f"https://{OAUTH}/OAuthGetAccessToken"
    scopes = words("read write account")
    lifetime = None
    refresh_token = "never"
    reach = "token"
    probed = False
    tells_denial = False

    def __init__(self, **settings: Any) -> None:
        self._requested: dict[str, RequestToken] = {}
        self._token_secrets: dict[str, str] = {}
        self._nonces: set[tuple[str, str]] = set()
        super().__init__(**settings)

    def routes(self) -> Any:
        return {
            **{(method, f"{OAUTH}/OAuthGetRequestToken"): self.request_token for method in ("GET", "POST")},
            **{(method, f"{OAUTH}/OAuthGetAccessToken"): self.access_token for method in ("GET", "POST")},
            ("GET", f"{API}/members/me"): self.me,
            ("DELETE", f"{API}/tokens/{{token}}"): self.delete_token,
        }

    def request_token(self, call: Call) -> HttpResponse:
        """RFC 5849 section 2.1."""
        signed = self._signed(call, token_secret="")
        if signed is None:
            return text_answer("invalid signature", 401)
        callback = signed.get("oauth_callback", "")
        if callback.partition("?")[0] != self.redirect_uri:
            raise Misspoken("oauth_callback is not ours")
        token = secrets.token_hex(16)
        self._requested[token] = RequestToken(secrets.token_hex(16), callback)
        return self._form(
            oauth_token=token, oauth_token_secret=self._requested[token].secret, oauth_callback_confirmed="true"
        )

    def consent(
        self,
        url: str,
        *,
        person: Person = ALICE,
        connecting: bool = True,
        untick: Iterable[str] = (),
        deny: bool = False,
    ) -> dict[str, str]:
        """The user allows it; what comes back stands behind the callback's own query."""
        asked = pairs(urlsplit(url).query)
        if place_of(url) != place_of(self.authorize_url) or set(asked) - words("oauth_token name scope expiration"):
            raise Misspoken("not the consent page, or more than it knows")
        requested = self._requested.get(asked.get("oauth_token", ""))
        if requested is None or requested.verifier:
            raise Misspoken("an unknown request token")
        scopes = tuple(asked.get("scope", "read").split(","))
        if not asked.get("name") or not set(scopes) <= self.scopes or asked.get("expiration") != "never":
            raise Misspoken("a connection without a name, known scopes and expiration=never ends in 30 days")
        requested.person, requested.scopes, requested.verifier = person, scopes, secrets.token_hex(8)
        back = dict(parse_qsl(urlsplit(requested.callback).query))
        return back | {"oauth_token": asked["oauth_token"], "oauth_verifier": requested.verifier}

    def access_token(self, call: Call) -> HttpResponse:
        """RFC 5849 section 2.3, once."""
        asked = self._authorization(call)
        requested = self._requested.get(asked.get("oauth_token", ""))
        if requested is None or requested.person is None:
            return text_answer("token not found", 400)
        signed = self._signed(call, token_secret=requested.secret)
        if signed is None:
            return text_answer("invalid signature", 401)
        if signed.get("oauth_verifier") != requested.verifier:
            raise Misspoken("another verifier")
        del self._requested[asked["oauth_token"]]
        family = self.grants.open(requested.person, list(requested.scopes))
        token = family.new_access(None)
        self._token_secrets[token] = secrets.token_hex(16)
        return self._form(oauth_token=token, oauth_token_secret=self._token_secrets[token])

    def me(self, call: Call) -> HttpResponse:
        """Signed, or with key and token in the query."""
        token = self._authorization(call).get("oauth_token", "")
        family = self.grants.by_access(token)
        if family is None:
            return text_answer("invalid token", 401)
        if self._signed(call, token_secret=self._token_secrets[token]) is None:
            return text_answer("invalid signature", 401)
        person = family.person
        made = {
            "id": f"5f{int(person.id):022x}",
            "username": person.login,
            "fullName": person.name,
            "email": person.email if "account" in family.scopes else None,
            "avatarUrl": person.avatar and person.avatar.removesuffix(".png"),
            "prefs": {"locale": person.language},
        }
        return answer({name: made[name] for name in words(call.query["fields"].replace(",", " ")) if name in made})

    def delete_token(self, call: Call) -> HttpResponse:
        """The token in the path, and again with the key in the query."""
        token = call.path_parameters["token"]
        if call.query != {"key": self.client_id, "token": token}:
            raise Misspoken("key and token")
        family: Family | None = self.grants.by_access(token)
        if family is None:
            return text_answer("invalid token", 401)
        self.end(family, token)
        return answer({"_value": None})

    def _form(self, **members: str) -> HttpResponse:
        return HttpResponse(200, {"content-type": "text/plain"}, urlencode(members).encode())

    def _authorization(self, call: Call) -> dict[str, str]:
        """The Authorization header (RFC 5849 section 3.5.1)."""
        scheme, _, text = (call.header("authorization") or "").partition(" ")
        if scheme != "OAuth":
            raise Misspoken("no OAuth header")
        found = [part.strip().partition("=") for part in text.split(",")]
        return {unquote(name): unquote(value.strip('"')) for name, _, value in found if name != "realm"}

    def _signed(self, call: Call, *, token_secret: str) -> dict[str, str] | None:
        """The protocol parameters, if HMAC-SHA1 over the base string says so (RFC 5849 sections 3.4.1 and 3.4.2)."""
        asked = self._authorization(call)
        if asked.get("oauth_consumer_key") != self.client_id or asked.get("oauth_signature_method") != "HMAC-SHA1":
            raise Misspoken("another key or method")
        if abs(int(asked["oauth_timestamp"]) - self.clock()) > 300:
            raise Misspoken("an old timestamp")
        nonce = (asked["oauth_timestamp"], asked["oauth_nonce"])
        if nonce in self._nonces or asked.get("oauth_version", "1.0") != "1.0":
            raise Misspoken("a nonce used before")
        self._nonces.add(nonce)

        everything = [*call.query.items(), *((n, v) for n, v in asked.items() if n != "oauth_signature")]
        ordered = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in everything)
        text = "&".join(f"{name}={value}" for name, value in ordered)
        base = "&".join(quote(part, safe="~") for part in (call.method, f"https://{call.place}", text))
        key = f"{quote(self.client_secret, safe='~')}&{quote(token_secret, safe='~')}"
        made = base64.b64encode(hmac.digest(key.encode(), base.encode(), hashlib.sha1)).decode()
        return asked if hmac.compare_digest(made, asked["oauth_signature"]) else None

    def expected_profile(self, person: Person) -> dict[str, Any]:
        expected = super().expected_profile(person) | {"provider_user_id": f"5f{int(person.id):022x}"}
        avatar = person.avatar and person.avatar.removesuffix(".png") + "/170.png"
        return expected | {"email_verified": False, "avatar_url": avatar}
