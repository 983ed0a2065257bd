"""
The records of the domain, all frozen, in the words of the design.

Times are epoch seconds. A hash is the unpadded base64url of SHA-256
(`ids.digest`), stored where the value itself must not be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from grantkeeper import ids

Role = Literal["user", "auditor", "admin"]
ConnectionStatus = Literal["pending", "active", "needs_reauth", "revoked"]
GrantStatus = Literal["active", "needs_reauth", "revoked"]
Reason = Literal[
    "revoked_by_user",
    "expired_unused",
    "expired_no_refresh_token",
    "spent_elsewhere",
    "rotation_outcome_unknown",
    "credentials_rejected",
    "scopes_missing",
    "identity_changed",
]
Purpose = Literal["signin", "connect", "prove", "link"]  # prove: who is it? link: which identity?
AuthMethod = Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]

ALL_SCOPES = (
    "openid", "profile", "email", "offline_access",
    "connections:read", "connections:token", "connections:write", "users:read", "users:write",
    "account:write", "admin:read", "admin:write", "audit:read", "metrics:read",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class User:
    """
    A person known to us; `sub` in our tokens.

    `email`, `name`, `avatar_url` and `locale` are what the providers say (`services.provider_facts`); what the user set
    himself stands apart in `overrides`.
    """

    sub: str
    created_at: int
    updated_at: int
    email: str | None = None
    email_verified: bool = False
    name: str | None = None
    avatar_url: str | None = None
    locale: str | None = None
    role: Role = "user"
    status: Literal["active", "suspended", "erased"] = "active"
    version: int = 1
    overrides: Mapping[str, str] = field(default_factory=dict)

    def shown(self, name: str) -> str | None:
        """`name`, `avatar_url` or `locale` as everybody sees it: what the user set, else what a provider says."""
        value: str | None = self.overrides.get(name) or getattr(self, name)
        return value


@dataclass(frozen=True, slots=True)
class Identity:
    """
    (issuer, subject) names a user. A client's own user id has the issuer `client:<client_id>`.

    What the provider said last, when it last did, and what was new the last time anything was.
    """

    issuer: str
    subject: str
    sub: str
    provider: str
    linked_at: int
    email: str | None = None
    email_verified: bool = False
    name: str | None = None
    avatar_url: str | None = None
    locale: str | None = None
    synced_at: int = 0  # 0: linked before this was kept
    changed_at: int = 0
    changed: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """What its user may call it; says neither issuer nor subject."""
        return ids.pair_digest(self.issuer, self.subject)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a provider says of an account, normalised. `provider_user_id` is its stable id, never an e-mail."""

    provider_user_id: str
    email: str | None = None
    email_verified: bool = False
    name: str | None = None
    avatar_url: str | None = None
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class Avatar:
    """
    A picture that only a token's bearer could fetch, kept by us; one without bytes notes that the provider has none.

    `digest` is of the bytes: it tells a changed picture, and is the ETag.
    """

    provider: str
    changed_at: int
    content_type: str = ""
    digest: str = ""
    image: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Client:
    """An application of the team (RFC 6749 section 2, metadata names of RFC 7591)."""

    client_id: str
    client_name: str
    redirect_uris: tuple[str, ...]
    created_at: int
    token_endpoint_auth_method: AuthMethod = "none"
    secret_hashes: tuple[str, ...] = ()  # several while a secret rotates
    origins: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    providers: tuple[str, ...] = ("*",)  # who may sign users in
    services: tuple[str, ...] = ("*",)  # what may be connected
    scopes: tuple[str, ...] = ("openid", "profile", "email", "connections:read", "connections:write")
    sign_up: Literal["open", "invited", "domains"] = "open"
    sign_up_domains: tuple[str, ...] = ()
    id_token_signed_response_alg: Literal["RS256", "ES256"] = "RS256"
    jwks: tuple[Mapping[str, Any], ...] = ()  # public keys of a `private_key_jwt` client, several while one rotates
    resources: tuple[str, ...] = ()  # APIs of the team its users' access tokens may be for (RFC 8707)
    status: Literal["active", "disabled"] = "active"

    @property
    def confidential(self) -> bool:
        """True when the client can keep a secret (RFC 6749 section 2.1)."""
        return self.token_endpoint_auth_method != "none"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """
    A key of a client, of a user at a client (`sub`), or of the operator (`client_id` None: admin scopes, never tokens).

    While it is rotated it has two secrets: the one before is good until `old_secret_ends_at`.
    """

    key_id: str
    secret_hash: str
    scopes: tuple[str, ...]
    created_at: int
    expires_at: int
    client_id: str | None = None
    name: str = ""
    status: Literal["active", "revoked"] = "active"
    sub: str | None = None
    rotated_at: int = 0  # when the present secret was made, where it is not the first
    old_secret_hash: str | None = None
    old_secret_ends_at: int = 0
    used_day: str | None = None

    def state(self, now: int) -> Literal["active", "rotating", "expired", "revoked"]:
        """How it stands, by our clock."""
        if self.status == "revoked":
            return "revoked"
        if now >= self.expires_at:
            return "expired"
        return "rotating" if now < self.old_secret_ends_at else "active"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: a user at a client, by a Bearer JWT or a key of his own (`key_id`); a client's or operator's key."""

    kind: Literal["user", "api_key"]
    scopes: frozenset[str]
    client_id: str | None = None
    sub: str | None = None  # only for kind == "user"
    role: Role = "user"
    sid: str | None = None
    auth_time: int | None = None
    key_id: str | None = None

    @property
    def actor(self) -> str:
        """The name of the principal in audit entries: `user:<sub>`, `user_key:<key id>` or `key:<key id>`."""
        if self.kind == "user":
            return f"user:{self.sub}" if self.key_id is None else f"user_key:{self.key_id}"
        return f"key:{self.key_id}"


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """
    One trip to a consent page, stored under the hash of `state`.

    `sealed` holds the PKCE verifier and the nonce under HKDF(state): the table alone opens nothing.
    """

    state_hash: str
    purpose: Purpose
    provider: str
    credentials_id: str  # client_id of the provider credentials used
    redirect_uri: str  # ours, at the provider
    browser_hash: str  # hash of the binding cookie
    sealed: bytes
    scopes: tuple[str, ...]  # asked of the provider
    created_at: int
    expires_at: int
    variables: tuple[tuple[str, str], ...] = ()
    # purpose == "signin": the client's own request
    client_id: str | None = None
    client_redirect_uri: str | None = None
    client_state: str | None = None
    client_nonce: str | None = None
    client_scopes: tuple[str, ...] = ()
    code_challenge: str | None = None
    resource: str | None = None
    max_age: int | None = None
    prompt: str | None = None
    # purpose == "connect"
    connect_session_id: str | None = None
    # purpose == "prove" (who is it?) or "link" (which identity?)
    errand_id: str | None = None


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """A code of ours: 60 s, bound to client, redirect_uri and challenge (RFC 6749 section 4.1.2)."""

    code_hash: str
    client_id: str
    redirect_uri: str
    code_challenge: str
    sub: str
    scopes: tuple[str, ...]
    provider: str
    expires_at: int
    family: str  # the session this code opens; a second use of the code revokes it
    nonce: str | None = None
    auth_time: int | None = None
    resource: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A user's sign-in at one client: a family of rotating refresh tokens."""

    family: str
    sid: str  # what tokens and lists show; not the family
    sub: str
    client_id: str
    scopes: tuple[str, ...]
    provider: str
    created_at: int
    expires_at: int  # absolute, 30 days
    idle_expires_at: int  # 7 days after the last use
    current_hash: str
    previous_hash: str | None = None
    rotated_at: int = 0
    counter: int = 1
    sealed_successor: bytes = b""  # the current refresh token, sealed under a key derived from the previous one
    status: Literal["active", "revoked"] = "active"
    auth_time: int | None = None
    nonce: str | None = None
    resource: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectSession:
    """Permission for one user to connect one service, 10 minutes."""

    id: str
    client_id: str
    sub: str
    service: str
    provider: str
    scopes: tuple[str, ...]  # provider scopes, resolved
    redirect_uri: str
    ticket_hash: str
    created_at: int
    expires_at: int
    state: str | None = None  # the client's own
    connection_id: str | None = None  # set for a re-connect
    opened_by: str = ""  # actor
    # open → authorized (tokens are pending) → confirmed; or ended
    status: Literal["open", "authorized", "confirmed", "ended"] = "open"
    confirmation_hash: str | None = None
    pending_connection_id: str | None = None
    browser_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Errand:
    """
    What a client sends one user's browser to us for, 10 minutes: to link an identity, or to allow it a connection.

    `id` is the hash of the ticket in its URL. Who follows the URL proves first that he is the user.
    """

    id: str
    kind: Literal["link", "consent"]
    client_id: str
    sub: str
    redirect_uri: str
    created_at: int
    expires_at: int
    opened_by: str  # actor
    state: str | None = None  # the client's own
    # open → proven (who came back is the user) → done; or ended
    status: Literal["open", "proven", "done", "ended"] = "open"
    browser_hash: str | None = None  # of the browser in which it was proven
    # kind == "link"
    provider: str | None = None  # to be linked
    proven_at: str | None = None  # the provider at which he proves first who he is
    identity: Identity | None = None  # the proven one, not linked yet
    confirmation_hash: str | None = None
    # kind == "consent": one of the two, as the client sent it, unjudged
    service: str | None = None
    connection_id: str | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """That a user lets a client use a connection, with what he saw when he said so."""

    sub: str
    client_id: str
    connection_id: str
    created_at: int
    service: str | None = None
    provider: str | None = None
    label: str | None = None
    scopes: tuple[str, ...] = ()
    withdrawn_at: int | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """A user's account at a service; holds no secret."""

    id: str
    sub: str
    client_id: str  # who opened it
    provider: str
    service: str
    account_id: str  # provider_user_id
    credentials_id: str
    scopes: tuple[str, ...]  # granted, normalised
    requested_scopes: tuple[str, ...]
    status: ConnectionStatus
    created_at: int
    updated_at: int
    kind: Literal["oauth2", "oauth1", "api_key"] = "oauth2"
    label: str | None = None
    reason: Reason | None = None
    used_day: str | None = None
    token_names: tuple[str, ...] = ("main",)
    reconnect_by: int | None = None
    profile: Profile | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)  # answers of the record's `post_connect`, by their name

    @property
    def missing_scopes(self) -> tuple[str, ...]:
        """Requested and not granted, in the order they were asked."""
        return tuple(s for s in self.requested_scopes if s not in self.scopes)


def consent_of(connection: Connection, *, client_id: str, now: int) -> Consent:
    """That its user lets a client use a connection as it is now."""
    return Consent(
        sub=connection.sub,
        client_id=client_id,
        connection_id=connection.id,
        created_at=now,
        service=connection.service,
        provider=connection.provider,
        label=connection.label,
        scopes=connection.scopes,
    )


@dataclass(frozen=True, slots=True)
class Grant:
    """
    The secret half of a connection, one per named token; its item is written by connect, refresh and disconnect only.

    `status` is the authority; a connection's is its mirror. `sealed` is empty on a tombstone.
    """

    connection_id: str
    name: str
    sub: str
    provider: str
    service: str
    credentials_id: str
    grant_id: str  # new per consent
    n: int  # counts within grant_id; in the AAD
    generation: int  # public, never falls; outside the AAD
    status: GrantStatus
    sealed: bytes
    scopes: tuple[str, ...]
    refreshed_at: int
    write_id: str
    variables: tuple[tuple[str, str], ...] = ()
    kind: Literal["oauth2", "oauth1", "api_key"] = "oauth2"
    reason: Reason | None = None  # of an active one: what its last answer is suspected of
    expires_at: int | None = None  # None: not told, or never
    refreshable: bool = True
    due_at: int | None = None
    consented_at: int = 0  # 0: before it was kept
    refresh_token_expires_at: int | None = None  # None: not told
    reconnect_by: int | None = None  # when its user has to connect again however well it is kept
    warned_of: int | None = None  # the forecast that was told: `Connection Expiring` came for it
    previous_refresh_token_hash: str | None = None
    rejected_generation: int = 0  # reported as answered 401; never served again
    strikes: int = 0
    strike_generation: int = 0
    strike_at: int = 0
    caused_by: str = "connect"  # connect | read | sweep | force | rescue: cause of the last save, for the audit entry
    actor: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """
    The right to refresh one grant at one generation.

    `intent` is the hash of the refresh token about to be spent; None once the outcome is known. A lease past
    `until` whose intent still stands is an orphan: somebody died between the provider and the save.
    """

    connection_id: str
    name: str
    generation: int
    owner: str
    until: int
    intent: str | None
    attempt: int
    write_id: str
    taken_at: int
    seen_at: int = 0  # when it was first found orphaned, 0 until then


@dataclass(frozen=True, slots=True)
class TokenSet:
    """What we keep of a token response: `expires_at`, not `expires_in`. Its repr shows no token."""

    access_token: str = field(repr=False)
    token_type: str = "Bearer"
    expires_at: int | None = None
    refresh_token: str | None = field(default=None, repr=False)
    refresh_token_expires_at: int | None = None
    scopes: tuple[str, ...] | None = None  # None: the answer did not say
    id_token: str | None = field(default=None, repr=False)
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)  # holds the token secret of OAuth 1.0a
    subject: str | None = None  # hash of the account's subject, from the first answer that told it
    suspect: str | None = None  # the member by which the answer belongs to somebody else: never to be served


@dataclass(frozen=True, slots=True)
class ProviderCredentials:
    """Our own registration at a provider; several may be live while a secret rotates."""

    provider: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    auth_method: AuthMethod | None = None  # None: the record's
    state: Literal["active", "retiring"] = "active"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair of ours as it is published; the private half is kept apart, wrapped by KMS."""

    kid: str  # RFC 7638 thumbprint
    alg: Literal["ES256", "RS256"]
    public_jwk: Mapping[str, str]  # the members of RFC 7638 and no other
    created_at: int
    active_from: int  # signs from then on, published all the while
    retire_at: int | None = None  # its last token has expired: it leaves the JWK Set; None for the newest
    state: Literal["live", "revoked"] = "live"

    def is_live(self, now: float) -> bool:
        """True while tokens of this key are to be believed."""
        return self.state == "live" and (self.retire_at is None or self.retire_at > now)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One entry of the trail. `details` holds ids and enums, never a token, code or state."""

    id: str
    time: int
    action: str  # e.g. "connection.activated"
    actor: str
    sub: str | None = None
    connection_id: str | None = None
    client_id: str | None = None
    provider: str | None = None
    service: str | None = None
    reason: str | None = None
    request_id: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DueGrant:
    """A hint of the due index; the row itself decides."""

    connection_id: str
    name: str
    provider: str
    generation: int
    due_at: int


@dataclass(frozen=True, slots=True)
class Work:
    """
    A queue message: ids only, grouped by provider. kind: refresh | revoke | erase | reseal.

    `lanes`: how many of its ids a worker may have under way at once. `delay`: seconds before it is delivered.
    """

    kind: Literal["refresh", "revoke", "erase", "reseal"]
    provider: str
    ids: tuple[tuple[str, int], ...]  # (connection id, generation), at most 25
    request_id: str = ""
    lanes: int = 25
    delay: int = 0
