"""
The provider as it truly is: which refresh token is live, which was spent, and where each answer went.

It speaks HTTP through the real request builders and readers of the product; the oracle looks at its books.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Literal, get_args
from urllib.parse import parse_qs

from grantkeeper.model import HttpRequest, HttpResponse
from grantkeeper.providers.record import (
    ProfileRequest,
    ProfileRule,
    Provider,
    RefreshRule,
    RevocationRule,
    TokenPath,
    TokenResponseRule,
)

LIFETIME = 3600
GRACE = 600
SHORT_GRACE = 60
ISSUER = "https://idp.example"
CLIENT_ID = "our-client"
CLIENT_SECRET = "our-secret"
REFRESH_MARK = "rt~"  # in every refresh token and in nothing else, so that it can be searched for
ACCESS_MARK = "at~"

Profile = Literal["strict", "family", "grace", "short_grace", "renewing", "lasting", "silent", "optional", "fixed"]
PROFILES: tuple[Profile, ...] = get_args(Profile)
Effect = Literal["token", "grant"]

_RULES: dict[str, RefreshRule] = {
    "strict": RefreshRule(rotation="always", previous_refresh_token="revoked"),
    "family": RefreshRule(rotation="always", previous_refresh_token="revoked"),
    "grace": RefreshRule(rotation="always", previous_refresh_token="grace", grace_seconds=GRACE, grace_answer="same"),
    "renewing": RefreshRule(rotation="always", previous_refresh_token="grace", grace_seconds=GRACE),
    "short_grace": RefreshRule(rotation="always", previous_refresh_token="grace", grace_seconds=SHORT_GRACE),
    "lasting": RefreshRule(rotation="none", previous_refresh_token="valid"),
    "silent": RefreshRule(rotation="none", previous_refresh_token="valid"),
    "optional": RefreshRule(rotation="optional", previous_refresh_token="revoked"),
    "fixed": RefreshRule(supported="never"),
}


_TWO = TokenResponseRule(
    tokens=(TokenPath(), TokenPath("user", access_token="/user/access_token", refresh_token="/user/refresh_token")),
    flat_refresh=True,
)


@cache
def record(profile: Profile, effect: Effect, *, names: int = 1, live: bool = False) -> Provider:
    """What the product knows of such a provider."""
    return Provider(
        token_response=TokenResponseRule() if names == 1 else _TWO,
        id="example",
        display_name="Example",
        authorization_endpoint=f"{ISSUER}/authorize",
        token_endpoint=f"{ISSUER}/token",
        revocation_endpoint=f"{ISSUER}/revoke",
        userinfo_endpoint=f"{ISSUER}/userinfo",
        refresh=_RULES[profile],
        revocation=RevocationRule(kind="rfc7009", effect=effect, requires_live_access_token=live),
        profile=ProfileRule(requests=(ProfileRequest("userinfo", f"{ISSUER}/userinfo"),)),
    )


@dataclass(slots=True)
class Issue:
    """One answer with tokens, and its way."""

    refresh_token: str | None
    access_token: str
    expires_at: float | None
    rotated: bool
    fate: str = "under way"  # under way, lost, delivered
    receiver: object = None  # the process it was delivered to
    stored: bool = False  # seen in a row, a message or unconfirmed tokens
    parked: bool = False


@dataclass(slots=True)
class Family:
    """One consent."""

    number: int
    account: str
    connection_id: str
    name: str
    current: str | None
    rotated_at: float = 0.0
    previous: str | None = None
    revoked: str = ""  # why: withdrawn, reuse, revoked by us
    issues: list[Issue] = field(default_factory=list)
    excused: str = ""
    grant_id: str = ""


class SimulatedProvider:
    """The books, and the three endpoints."""

    def __init__(self, profile: Profile, effect: Effect, *, expires_in: int | None = LIFETIME) -> None:
        self.profile = profile
        self.effect = effect
        self.expires_in = expires_in
        self.families: list[Family] = []
        self.of_refresh: dict[str, Family] = {}
        self.of_access: dict[str, Family] = {}
        self.made: dict[str, Issue] = {}  # by refresh token: the answer that first brought it
        self.ends: dict[str, float | None] = {}  # access token → when it ends
        self.scope = ""  # what answers say was granted; nothing when empty
        self.live = False  # whether a revocation must come with a set whose access token still works
        self.refreshes = 0
        self.revocations = 0
        self._serial = 0
        self.coin = lambda: 0.5
        self.cut_off: list[tuple[Family, str]] = []  # families that went with another's revocation

    # --- books ---

    def consent(self, account: str, connection_id: str, name: str, *, now: float) -> tuple[Family, bytes]:
        """A user says yes: the family, and the body of the first answer."""
        family = Family(len(self.families), account, connection_id, name, None)
        self.families.append(family)
        body = self._issue(family, now=now, first=True)
        family.issues[-1].fate = "delivered"
        family.issues[-1].stored = True
        return family, body

    def honours(self, token: str | None, *, now: float) -> bool:
        """Whether this refresh token would be taken now."""
        family = None if token is None else self.of_refresh.get(token)
        if family is None or family.revoked:
            return False
        return token == family.current or self._in_grace(family, token, now)

    def withdraw(self) -> None:
        """The user withdraws his consent in the provider's settings."""
        for family in self.families:
            family.revoked = family.revoked or "withdrawn"

    def _in_grace(self, family: Family, token: str | None, now: float) -> bool:
        grace = {"grace": GRACE, "renewing": GRACE, "short_grace": SHORT_GRACE}.get(self.profile, 0)
        return grace > 0 and token == family.previous and now <= family.rotated_at + grace

    # --- endpoints ---

    def answer(self, request: HttpRequest, *, now: float) -> tuple[HttpResponse, Issue | None]:
        """Obey a request; the issue is what is lost should the answer be."""
        if request.url.endswith("/token"):
            return self._refresh(token_of(request, "refresh_token"), now)
        if request.url.endswith("/revoke"):
            token = token_of(request, "token")
            if self.live and self._outlived(token, now):
                return HttpResponse(503, {}, b"revoke with a token that lives"), None
            self._revoke(token)
            return HttpResponse(200, {}, b""), None
        return self._userinfo(request, now), None

    def _refresh(self, token: str, now: float) -> tuple[HttpResponse, Issue | None]:
        family = self.of_refresh.get(token)
        if family is None or family.revoked:
            return dead(), None
        if token == family.current:
            self.refreshes += 1
            body = self._issue(family, now=now)
            return granted(body), family.issues[-1]
        if self._in_grace(family, token, now):  # repeats itself, or forgets what it answered before
            if self.profile == "renewing":
                since = family.rotated_at
                family.current = token
                body = self._issue(family, now=now)
                family.rotated_at = since
                return granted(body), family.issues[-1]
            body = self._again(family, now)
            return granted(body), family.issues[-1]
        if self.profile == "family":
            family.revoked = "reuse"
        return dead(), None

    def _issue(self, family: Family, *, now: float, first: bool = False) -> bytes:
        rotates = first or self.profile in ("strict", "family", "grace", "short_grace", "renewing")
        if self.profile == "optional" and not first:
            rotates = self.coin() < 0.5
        if self.profile == "fixed":
            rotates = False
        if rotates:
            self._serial += 1
            family.previous, family.current = family.current, f"{REFRESH_MARK}{self._serial}"
            family.rotated_at = now
            self.of_refresh[family.current] = family
        says = rotates or self.profile == "lasting"
        return self._body(family, now=now, rotated=rotates, says=says)

    def _again(self, family: Family, now: float) -> bytes:
        return self._body(family, now=now, rotated=False, says=True)

    def _body(self, family: Family, *, now: float, rotated: bool, says: bool) -> bytes:
        self._serial += 1
        access = f"{ACCESS_MARK}{self._serial}"
        self.of_access[access] = family
        ends = None if self.expires_in is None else now + self.expires_in
        issue = Issue(family.current if says else None, access, ends, rotated)
        family.issues.append(issue)
        self.ends[access] = ends
        if rotated and family.current is not None:
            self.made[family.current] = issue
        refresh = f',"refresh_token":"{family.current}"' if says and family.current else ""
        expires = f',"expires_in":{self.expires_in}' if self.expires_in is not None else ""
        scope = f',"scope":"{self.scope}"' if self.scope else ""
        return f'{{"access_token":"{access}","token_type":"Bearer"{expires}{refresh}{scope}}}'.encode()

    def _revoke(self, token: str) -> None:
        self.revocations += 1
        family = self.of_refresh.get(token) or self.of_access.get(token)
        if family is None:
            return
        if self.effect == "token":
            if token == family.current or self.profile == "fixed":
                family.revoked = family.revoked or "revoked by us"
            return
        for each in self.families:
            if each.account == family.account and not each.revoked:
                each.revoked = "revoked by us"
                if each is not family:
                    self.cut_off.append((each, family.connection_id))

    def _outlived(self, token: str, now: float) -> bool:
        """Whether the last access token of a consent has ended."""
        family = self.of_refresh.get(token) or self.of_access.get(token)
        if family is None or family.revoked:
            return False
        ends = family.issues[-1].expires_at
        return ends is not None and ends < now - 15

    def _userinfo(self, request: HttpRequest, now: float) -> HttpResponse:
        token = next((v for k, v in request.headers if k.lower() == "authorization"), "").removeprefix("Bearer ")
        family = self.of_access.get(token)
        ends = self.ends.get(token)
        if family is None or family.revoked or (ends is not None and now > ends):
            return HttpResponse(401, {}, b'{"error":"invalid_token"}')
        return HttpResponse(200, {}, f'{{"sub":"{family.account}","name":"Alice"}}'.encode())


def token_of(request: HttpRequest, parameter: str) -> str:
    """A parameter of a form body."""
    return parse_qs((request.body or b"").decode())[parameter][0]


def granted(body: bytes) -> HttpResponse:
    return HttpResponse(200, {"content-type": "application/json"}, body)


def dead() -> HttpResponse:
    return HttpResponse(400, {"content-type": "application/json"}, b'{"error":"invalid_grant"}')
