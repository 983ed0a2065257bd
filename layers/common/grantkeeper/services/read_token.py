"""The token call: hand out an access token that works, refreshed when it has to be."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from grantkeeper import ids
from grantkeeper.errors import (
    ConsentRequired,
    GrantkeeperError,
    NotFound,
    ProviderMisconfigured,
    ProviderNotConfigured,
    ProviderUnavailable,
    ReauthorizationRequired,
    RefreshPending,
    StoreUnavailable,
    TooManyRequests,
)
from grantkeeper.services.before_the_call import SOON
from grantkeeper.services.dead_answer import usable
from grantkeeper.services.lease_policy import CLOCK_SKEW, until_grown
from grantkeeper.services.note_use import note_use
from grantkeeper.services.open_grant import open_grant, reseal_if_old
from grantkeeper.services.people import client_of
from grantkeeper.services.refresh import refresh
from grantkeeper.services.refresh_run import Cause, RefreshPorts, Run, provider_of
from grantkeeper.services.successor import read_tokens
from grantkeeper.services.take_lease import PATIENCE
from grantkeeper.services.visibility import NOBODY

if TYPE_CHECKING:
    from grantkeeper.model import Grant, Principal, TokenSet

DEFAULT_MIN_TTL = 60
MAX_MIN_TTL = 3600
PATIENCE_WITH_A_TOKEN = 2.0  # seconds to wait for a fresher one when the present one is still good
ROUNDS = 3

Consent = Callable[[str, str, str], bool]  # (sub, client id, connection id)
FirstUse = Callable[[str, str], bool]  # (connection id, day)

# What keeps a refresh from happening and says nothing of the grant: a token that is still good is served all the same.
_TROUBLE = (
    RefreshPending,
    ProviderUnavailable,
    ProviderMisconfigured,
    ProviderNotConfigured,
    StoreUnavailable,
    TooManyRequests,
)


@dataclass(frozen=True, slots=True)
class TokenWanted:
    """
    What the caller asks for.

    Args:
        connection_id: Whose token.
        name: Which of its tokens.
        min_ttl: Seconds the token should still be good for.
        rejected_generation: "The provider answered 401 to this generation."
        scopes: Provider scopes the caller cannot do without.
        force: Refresh even if it is not due; a failure is told even if the present token still works.
    """

    connection_id: str
    name: str = "main"
    min_ttl: int = DEFAULT_MIN_TTL
    rejected_generation: int | None = None
    scopes: tuple[str, ...] = ()
    force: bool = False


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A token as it is handed out; its repr shows none."""

    connection_id: str
    generation: int
    kind: Literal["oauth2", "oauth1", "api_key"]
    access_token: str = field(repr=False)
    token_type: str
    expires_at: int | None
    scopes: tuple[str, ...]
    token_secret: str | None = field(default=None, repr=False)  # OAuth 1.0a
    metadata: Mapping[str, Any] = field(default_factory=dict)  # what the record keeps, e.g. Salesforce's instance_url

    def as_json(self) -> dict[str, Any]:
        """The body of the answer."""
        body: dict[str, Any] = {
            "kind": self.kind,
            "access_token": self.access_token,
            "token_type": self.token_type,
            "expires_at": self.expires_at,
            "scopes": list(self.scopes),
            "generation": self.generation,
            "connection_id": self.connection_id,
        }
        if self.token_secret is not None:
            body["token_secret"] = self.token_secret
        return body | {"metadata": dict(self.metadata)} if self.metadata else body


def read_token(
    wanted: TokenWanted,
    *,
    principal: Principal,
    has_consent: Consent,
    first_use: FirstUse,
    ports: RefreshPorts,
    run: Run,
    request_id: str = "",
) -> TokenAnswer:
    """
    Hand out a token of a connection.

    A token that is good for `min_ttl` is served as it is, with one read. Otherwise it is refreshed, by us or by
    whoever is at it already. When that fails and the present token still works and was not reported rejected, it is
    served with the truth about its end. A rejected generation is never served again.

    Args:
        principal: Has the scope `connections:token`.
        has_consent: Whether a user lets a client use a connection; may remember a yes for 30 s.
        first_use: Whether this container has not noted the connection's use on that day yet.

    Raises:
        NotFound: Unknown, or not the caller's.
        ConsentRequired: The user does not let this client use the connection.
        ConnectionRevoked: Disconnected; final.
        ReauthorizationRequired: The user must connect again; `reason`, and `scopes_missing` with that reason.
        RefreshPending, ProviderUnavailable, ProviderMisconfigured, StoreUnavailable, TooManyRequests: Nothing to serve
            now; `retry_after` says when to ask again.
        GrantUnreadable: The stored set is not what was written.
    """
    grant = _permitted(wanted, principal=principal, has_consent=has_consent, ports=ports)
    cause = Cause("force" if wanted.force else "read", principal.actor, request_id)
    grant, plaintext = current_grant(grant, wanted, cause=cause, ports=ports, run=run)

    missing = [scope for scope in wanted.scopes if scope not in grant.scopes]
    if missing:
        raise ReauthorizationRequired(
            "The user has not granted these scopes.", reason="scopes_missing", scopes_missing=missing
        )
    if plaintext is None:
        plaintext = open_grant(grant, ports=ports, run=run)
        reseal_if_old(grant, plaintext, ports=ports)
    provider = provider_of(grant, ports=ports)
    tokens = read_tokens(plaintext, grant=grant, provider=provider)
    note_use(grant, first_use=first_use, ports=ports, run=run)
    # one more read, and only where the record asks for what a caller needs beside the token
    connection = ports.connections.get(grant.connection_id) if provider.post_connect else None
    return _answer(grant, tokens, known={} if connection is None else connection.metadata)


def _permitted(wanted: TokenWanted, *, principal: Principal, has_consent: Consent, ports: RefreshPorts) -> Grant:
    """The grant, if the caller may have its tokens: its user at a client he allows, or that client's key."""
    client_id = client_of(principal)
    known = ids.is_id(wanted.connection_id) and ids.is_id(wanted.name)
    grant = ports.grants.get(wanted.connection_id, wanted.name) if known else None
    if principal.kind == "user" and (grant is None or grant.sub != principal.sub):
        raise NotFound("No such connection.")
    owner = NOBODY if grant is None else grant.sub
    if has_consent(owner, client_id, wanted.connection_id) and grant is not None:
        return grant
    if principal.kind == "user":
        raise ConsentRequired("The user has not allowed this client to use the connection.")

    # A client is told that consent is missing for what it connected itself; of all else it learns nothing (T-02).
    connection = ports.connections.get(wanted.connection_id) if known else None
    if grant is not None and connection is not None and connection.client_id == client_id:
        raise ConsentRequired("The user has not allowed this client to use the connection.")
    raise NotFound("No such connection.")


def current_grant(
    grant: Grant, wanted: TokenWanted, *, cause: Cause, ports: RefreshPorts, run: Run
) -> tuple[Grant, bytes | None]:
    """
    The grant to serve, refreshed if it has to be, and its open set where a refresh of ours left it in hand.

    Raises:
        GrantkeeperError: As `read_token`.
    """
    force = wanted.force
    for _ in range(ROUNDS):
        grant = _note_rejection(usable(grant), wanted, ports=ports)
        if not force and not _wants_refresh(grant, wanted, now=run.clock()):
            return grant, None
        serves = _serves(grant, now=run.clock())
        try:
            patience = PATIENCE_WITH_A_TOKEN if serves else PATIENCE
            done = refresh(grant, cause=cause, ports=ports, run=run, patience=patience)
        except _TROUBLE as trouble:
            if wanted.force or not _serves(grant, now=run.clock()):
                raise
            return _seen_again(grant, trouble, ports=ports, run=run), None
        if done.grant.generation == grant.generation:
            return _served_or_pending(done.grant, run=run), None
        if _serves(done.grant, now=run.clock()):
            return done.grant, done.plaintext
        grant, force = done.grant, False
    raise RefreshPending("The connection is being refreshed.", retry_after=SOON)


def _seen_again(grant: Grant, trouble: GrantkeeperError, *, ports: RefreshPorts, run: Run) -> Grant:
    """The row as it is now: while we waited it may have been reported rejected, or disconnected."""
    if isinstance(trouble, StoreUnavailable):
        return grant
    current = grant
    with contextlib.suppress(StoreUnavailable):
        current = usable(ports.grants.get(grant.connection_id, grant.name))
    if not _serves(current, now=run.clock()):
        raise trouble
    return current


def _note_rejection(grant: Grant, wanted: TokenWanted, *, ports: RefreshPorts) -> Grant:
    """Store "answered 401" before anything else, so that nobody is served this generation again."""
    if wanted.rejected_generation != grant.generation or grant.rejected_generation == grant.generation:
        return grant
    if ports.grants.reject(grant):
        return replace(grant, rejected_generation=grant.generation)
    return usable(ports.grants.get(grant.connection_id, grant.name))


def _wants_refresh(grant: Grant, wanted: TokenWanted, *, now: int) -> bool:
    if grant.rejected_generation == grant.generation:
        return True
    if grant.expires_at is None:
        return False
    # Nobody can ask for more than nine tenths of a lifetime: such a token would be refreshed at every call.
    lifetime = max(grant.expires_at - grant.refreshed_at, 0)
    min_ttl = min(wanted.min_ttl, MAX_MIN_TTL, lifetime * 9 // 10)
    return grant.expires_at - now < min_ttl or not _serves(grant, now=now)


def _serves(grant: Grant, *, now: int) -> bool:
    """Tell whether the token can be handed out: not reported rejected, and still good."""
    if grant.rejected_generation == grant.generation:
        return False
    return grant.expires_at is None or grant.expires_at > now + CLOCK_SKEW


def _served_or_pending(grant: Grant, *, run: Run) -> Grant:
    """A generation younger than a minute is not refreshed again: serve it, or say when it will be."""
    now = run.clock()
    if _serves(grant, now=now):
        return grant
    raise RefreshPending(
        "This generation is too young to be refreshed again.", retry_after=until_grown(grant, now=now) or SOON
    )


def _answer(grant: Grant, tokens: TokenSet, *, known: Mapping[str, Any]) -> TokenAnswer:
    secret = tokens.metadata.get("token_secret") if grant.kind == "oauth1" else None
    return TokenAnswer(
        connection_id=grant.connection_id,
        generation=grant.generation,
        kind=grant.kind,
        access_token=tokens.access_token,
        token_type="OAuth" if grant.kind == "oauth1" else tokens.token_type,  # the scheme of RFC 5849 section 3.5.1
        expires_at=tokens.expires_at,
        scopes=grant.scopes,
        token_secret=secret if isinstance(secret, str) else None,
        metadata={**known, **{name: value for name, value in tokens.metadata.items() if name != "token_secret"}},
    )
