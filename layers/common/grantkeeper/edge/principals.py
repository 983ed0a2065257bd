"""
Who calls: a user at a client (Bearer JWT), or an API key of a client, a user or the operator (`key_principals`).

The HTTP API's own authorizer knows RSA only, so the functions verify. What
cannot be a credential of ours is refused before any read. What was read is
kept for 30 seconds per execution environment, so a revoked key is dead a
minute later at the latest, and so is the access token of a user who signed
out, was suspended or lost a role, however long it says it lives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from grantkeeper.api_key_format import PREFIX, parse_api_key
from grantkeeper.edge.http import Request
from grantkeeper.edge.key_principals import active_client, active_user, by_api_key, refuse
from grantkeeper.edge.operations import Access, Caller
from grantkeeper.edge.rate_limits import count_call, note_failure, require_no_pause, somebody_guesses
from grantkeeper.errors import BadRequest, Forbidden, InsufficientScope, Unauthenticated
from grantkeeper.model import Principal
from grantkeeper.services.scopes import effective_scopes
from grantkeeper.services.verify_token import live_session, verify_access_token

if TYPE_CHECKING:
    from grantkeeper.model import Session
    from grantkeeper.ports import ApiKeys, Clients, KeySet, RateLimits, Sessions, Users

CACHE_SECONDS = 30
CACHE_SIZE = 1024
RECENT = 15 * 60  # seconds


@dataclass(slots=True)
class PrincipalCache:
    """What this execution environment has read of keys, clients and people; bounded, and old after 30 seconds."""

    _kept: dict[tuple[int, str], tuple[int, Any, Any]] = field(default_factory=dict)
    touched: dict[str, int] = field(default_factory=dict)  # key id → day of use, counted from the epoch

    def get(
        self, store: Any, name: str, *, now: int, read: Callable[[], Any], younger_than: int = CACHE_SECONDS
    ) -> Any:
        """What `read` gave less than so many seconds ago; "unknown" is kept as well: guessing costs few reads."""
        key = (id(store), name)
        kept = self._kept.get(key)
        if kept is not None and 0 <= now - kept[0] < younger_than:
            return kept[1]
        value = read()
        if len(self._kept) >= CACHE_SIZE:
            self._kept.clear()
        self._kept[key] = (now, value, store)  # the store is held so that its id stays its own
        return value

    def has_touched(self, key_id: str, *, day: int) -> bool:
        """Tell whether this key's use was noted on this day, and note that it is now."""
        if self.touched.get(key_id) == day:
            return True
        if len(self.touched) >= CACHE_SIZE:
            self.touched.clear()
        self.touched[key_id] = day
        return False


_SHARED = PrincipalCache()


def authenticate(
    request: Request,
    *,
    issuer: str,
    key_set: KeySet,
    api_keys: ApiKeys,
    clients: Clients,
    sessions: Sessions,
    users: Users,
    now: int,
    cache: PrincipalCache | None = None,
) -> Principal:
    """
    Tell who calls, by exactly one credential in a header; in a URL or a body it is none.

    A user's scopes are those his token says, as far as his role and his client still have them.

    Args:
        request: Its `Authorization: Bearer` or `X-API-Key` is read.
        issuer: Our own; access tokens for another resource are refused.
        now: Epoch seconds.

    Raises:
        BadRequest: Two credentials at once.
        Unauthenticated: None, malformed, unknown, expired, revoked, of a session that is over, a suspended user or a
            disabled client: all read the same.
        StoreUnavailable: It cannot be known now.
    """
    cache = _SHARED if cache is None else cache
    bearer, key_text = _bearer(request), request.headers.get("x-api-key")
    if bearer is not None and key_text is not None:
        raise BadRequest("Send one credential, not two.")
    if bearer is None and key_text is None:
        raise Unauthenticated("Send an access token or an API key.")
    if key_text is not None or (bearer is not None and bearer.startswith(PREFIX)):
        text = key_text or bearer or ""
        return by_api_key(text, api_keys=api_keys, clients=clients, users=users, now=now, cache=cache)
    claims = verify_access_token(bearer or "", issuer=issuer, key_set=key_set, now=now)
    return _by_claims(claims, clients=clients, sessions=sessions, users=users, now=now, cache=cache)


class PrincipalPorts(Protocol):
    """What it takes to know a caller; `Wiring` is one."""

    @property
    def issuer(self) -> str: ...
    @property
    def key_set(self) -> KeySet: ...
    @property
    def api_keys(self) -> ApiKeys: ...
    @property
    def clients(self) -> Clients: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def users(self) -> Users: ...
    @property
    def rate_limits(self) -> RateLimits: ...
    @property
    def calls_per_minute(self) -> int: ...


def permitted(request: Request, access: Access, *, ports: PrincipalPorts, now: int) -> Principal:
    """
    Authenticate, count, and require what the route's operation says: how every route under /v1 begins.

    Raises:
        TooManyRequests: The caller's minute is spent, or somebody guesses at this key from this address.
        Forbidden: This kind of caller is not for this route.
        GrantkeeperError: As `authenticate`, `require_scope` and `require_recent_sign_in`.
    """
    limits = ports.rate_limits
    if somebody_guesses():
        require_no_pause(_presented_key(request), request, limits=limits, now=now)
    try:
        principal = authenticate(
            request,
            issuer=ports.issuer,
            key_set=ports.key_set,
            api_keys=ports.api_keys,
            clients=ports.clients,
            sessions=ports.sessions,
            users=ports.users,
            now=now,
        )
    except Unauthenticated:
        note_failure(_presented_key(request), request, limits=limits, now=now)
        raise
    count_call(principal, request, scope=access.scope, limits=limits, per_minute=ports.calls_per_minute, now=now)
    require_scope(principal, access.scope)
    if caller_of(principal) not in access.callers:
        raise Forbidden("This is not for your kind of credential.")
    if access.recent:
        require_recent_sign_in(principal, sessions=ports.sessions, now=now)
    return principal


def caller_of(principal: Principal) -> Caller:
    """The kind of a principal: a user at a client or by a key of his own, a client by its key, the operator by his."""
    if principal.kind == "user":
        return "user" if principal.key_id is None else "user_key"
    return "operator_key" if principal.client_id is None else "client_key"


def require_scope(principal: Principal, scope: str) -> None:
    """
    Let through who has the scope.

    Raises:
        InsufficientScope: The principal lacks it (RFC 6750 section 3.1).
    """
    if scope not in principal.scopes:
        raise InsufficientScope(f"The scope {scope} is needed.", scope=scope)


def require_live_session(principal: Principal, *, sessions: Sessions, now: int) -> Session | None:
    """
    Look a user's session up, where a token alone is not enough: signed out is signed out at once (S-09, S-24).

    Returns:
        The session; None for an API key, which has none.

    Raises:
        Unauthenticated: The session was revoked or is over.
        StoreUnavailable: It cannot be known now.
    """
    if principal.key_id is not None:
        return None
    claims = {"sub": principal.sub, "sid": principal.sid, "client_id": principal.client_id}
    session = live_session(claims, sessions=sessions, now=now)
    if session is None:
        refuse()
    return session


def require_recent_sign_in(principal: Principal, *, sessions: Sessions, now: int) -> None:
    """
    Let through a user who signed in at most 15 minutes ago: for keys and identities (T-11).

    Raises:
        Unauthenticated: An API key, or an older sign-in; `error` is `reauthentication_required`.
    """
    session = require_live_session(principal, sessions=sessions, now=now)
    if session is None or now - session.created_at > RECENT:
        raise Unauthenticated("Sign in again for this.", error="reauthentication_required")


def _presented_key(request: Request) -> str | None:
    """The name of the key a request presents; None for what cannot be one of ours, which nobody guesses at."""
    text = request.headers.get("x-api-key") or request.headers.get("authorization", "")[len("bearer ") :]
    presented = parse_api_key(text)
    return None if presented is None else f"key:{presented.key_id}"


def _bearer(request: Request) -> str | None:
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        refuse()
    return token


def _by_claims(
    claims: Mapping[str, Any], *, clients: Clients, sessions: Sessions, users: Users, now: int, cache: PrincipalCache
) -> Principal:
    """What a verified token says, held against what is true now (S-09, S-24)."""
    client = active_client(claims["client_id"], clients=clients, now=now, cache=cache)
    named = f"{claims['sub']} {claims.get('sid')} {client.client_id}"
    session = cache.get(sessions, named, now=now, read=lambda: live_session(claims, sessions=sessions, now=now))
    if session is None:
        refuse()
    user = active_user(claims["sub"], users=users, now=now, cache=cache)
    return Principal(
        kind="user",
        scopes=frozenset(effective_scopes(str(claims.get("scope", "")).split(), client=client, role=user.role)),
        client_id=client.client_id,
        sub=user.sub,
        role=user.role,
        sid=session.sid,
        auth_time=claims.get("auth_time"),
    )
