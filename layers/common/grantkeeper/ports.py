"""
What the services need from the world, as protocols.

Every method that changes state takes the `AuditEvent` that belongs to it and
writes both in one transaction. Every store raises `StoreUnavailable` when
DynamoDB does not answer before the deadline; nothing else may be read into
that. "Consistent" means ConsistentRead. Expiry is checked on every read
against `now`, TTL is never trusted. Every conditional write carries a
`write_id`, so that a lost acknowledgement retried by the SDK is recognised as
our own success.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from grantkeeper.model import (
    ApiKey,
    AuditEvent,
    AuthorizationCode,
    AuthorizationRequest,
    Avatar,
    Binding,
    BranchKey,
    BreakerState,
    Client,
    Connection,
    ConnectSession,
    Consent,
    DueGrant,
    Errand,
    Grant,
    HttpRequest,
    HttpResponse,
    Identity,
    Lease,
    LeaseHeld,
    Pending,
    Profile,
    ProviderCredentials,
    Reason,
    Saved,
    Session,
    ShardMark,
    SigningKey,
    SigningKeyRing,
    User,
    Work,
)

if TYPE_CHECKING:
    from grantkeeper.counter_names import Counted

# --- people ----------------------------------------------------------------


class Users(Protocol):
    """Users and their identities (table Grants)."""

    def get(self, sub: str) -> User | None:
        """Consistent."""

    def find(self, issuer: str, subject: str) -> Identity | None:
        """Learn whose (issuer, subject) is; consistent. What else it says is of the day it was linked."""

    def provision(self, user: User, identity: Identity, *, audit: AuditEvent) -> Identity:
        """
        Create a user with a first identity, in one transaction.

        Returns:
            The identity that exists afterwards: ours, or the winner's when two first sign-ins race.
        """

    def update(self, user: User, *, expected_version: int, audit: AuditEvent) -> bool:
        """Replace the profile if its version is still the expected one; False if it moved."""

    def sync(self, identity: Identity, *, user: User | None, audit: AuditEvent | None) -> bool:
        """
        Store what a provider said of an identity that is still linked.

        Args:
            identity: With the new facts.
            user: The profile that follows from them, if it changes; at the version it was read at.
            audit: What changed; None, and `user` as well, when only the time did.

        Returns:
            False when the identity was unlinked, or the profile moved, meanwhile: nothing was stored.
        """

    def unlink(self, identity: Identity, *, kept: Identity, user: User | None, audit: AuditEvent) -> bool:
        """
        Remove an identity from its user.

        Args:
            kept: Another of his, by which he can still sign in; it must still be linked then.
            user: The profile that follows without it, if it changes; at the version it was read at.

        Returns:
            False when one of them was unlinked, or the profile moved, meanwhile: nothing was changed.
        """

    def identities(self, sub: str) -> Sequence[Identity]:
        """All identities of a user; consistent."""


class Avatars(Protocol):
    """Pictures that only a token's bearer could fetch (table Grants); a connection's is written with its profile."""

    def of_user(self, sub: str) -> Avatar | None: ...
    def of_connection(self, connection_id: str) -> Avatar | None: ...
    def put_for_user(self, sub: str, avatar: Avatar, *, audit: AuditEvent) -> None:
        """Replace the user's picture, or note that the provider has none."""


class Clients(Protocol):
    """Applications of the team (table Grants)."""

    def get(self, client_id: str) -> Client | None: ...
    def put(self, client: Client, *, audit: AuditEvent) -> None: ...
    def list(self) -> Sequence[Client]: ...
    def allows_origin(self, origin: str) -> bool:
        """True when some active client registered this origin (exact string)."""


class ApiKeys(Protocol):
    """API keys (table Grants)."""

    def get(self, key_id: str) -> ApiKey | None: ...
    def put(self, key: ApiKey, *, audit: AuditEvent) -> None:
        """Create a key; one of a user's stands in his list from then on."""

    def rotate(self, key: ApiKey, *, replaces: ApiKey, audit: AuditEvent) -> bool:
        """Give a live key its next secret; False when it was rotated or revoked since `replaces` was read."""

    def revoke(self, key: ApiKey, *, audit: AuditEvent) -> bool:
        """End a key whatever happened to it meanwhile; False when it is unknown or was revoked before."""

    def list(self) -> Sequence[ApiKey]: ...
    def of_user(self, sub: str) -> Sequence[ApiKey]:
        """A user's own keys that were not revoked, oldest first; consistent."""

    def touch(self, key_id: str, *, day: str) -> None:
        """Note the last-used day, best effort: never fails a request."""


# --- one-time things (table Requests) --------------------------------------


class AuthorizationRequests(Protocol):
    """Trips to consent pages."""

    def put(self, request: AuthorizationRequest) -> None: ...
    def get(self, state_hash: str, *, now: int) -> AuthorizationRequest:
        """
        Read without consuming; consistent.

        Raises:
            AuthorizationRequestExpired: Unknown, expired or already redeemed.
        """

    def redeem(self, state_hash: str, *, now: int) -> AuthorizationRequest:
        """
        Spend the request: of any number of racing callers exactly one returns.

        Raises:
            AuthorizationRequestExpired: Unknown, expired or already redeemed.
        """


class Codes(Protocol):
    """Authorization codes we issue."""

    def put(self, code: AuthorizationCode) -> None: ...
    def redeem(self, code_hash: str, *, now: int) -> tuple[AuthorizationCode | None, bool]:
        """
        Spend a code; kept as spent until it expires.

        Returns:
            (code, True) for the one winner; (code, False) for a second use, whose family must be revoked;
            (None, False) when unknown or expired.
        """


class ConnectSessions(Protocol):
    """Permissions to connect, and where each one stands."""

    def put(self, session: ConnectSession, *, audit: AuditEvent) -> None: ...
    def get(self, session_id: str, *, now: int) -> ConnectSession:
        """
        Consistent.

        Raises:
            ConnectSessionExpired: Unknown or past `expires_at`.
        """

    def find_by_ticket(self, ticket_hash: str, *, now: int) -> ConnectSession:
        """
        By the hash of the ticket in the connect URL; does not consume it.

        Raises:
            ConnectSessionExpired: Unknown or past `expires_at`.
        """

    def bind_browser(self, session_id: str, browser_hash: str, *, now: int) -> None:
        """Remember the browser that opened the ticket last; only while the session is `open`."""

    def end(self, session_id: str, *, now: int, audit: AuditEvent) -> bool:
        """open|authorized → ended; False if it was over already."""


class Errands(Protocol):
    """What clients send a user's browser to us for, and where each one stands; what they bring about, with them."""

    def put(self, errand: Errand, *, audit: AuditEvent) -> None: ...

    def get(self, errand_id: str, *, now: int) -> Errand:
        """
        Consistent.

        Raises:
            ErrandExpired: Unknown or past `expires_at`.
        """

    def prove(self, errand: Errand, *, now: int, audit: AuditEvent) -> None:
        """
        open → proven, with the errand's browser, identity and confirmation hash.

        Raises:
            ErrandExpired: It is not open any more.
        """

    def end(self, errand_id: str, *, audit: AuditEvent) -> bool:
        """open|proven → ended; False if it was over already, done included."""

    def link(
        self, errand: Errand, identity: Identity, *, user: User | None, now: int, audit: AuditEvent
    ) -> Identity | None:
        """
        proven → done, and the identity is its user's, in one transaction.

        Args:
            user: The profile that follows with it, if it changes; at the version it was read at.

        Returns:
            The identity that exists afterwards: ours, or whoever's it is already; None when the user was changed
            meanwhile. Of these the first alone changed anything.

        Raises:
            ErrandExpired: It is not proven any more.
        """

    def allow(self, errand: Errand, consent: Consent, *, now: int, audit: AuditEvent) -> None:
        """
        proven → done, and the consent counts, in one transaction.

        Raises:
            ErrandExpired: It is not proven any more.
        """


class Consents(Protocol):
    """What users let clients use (table Grants); `Connections.has_consent` is what the token call asks."""

    def list(self, sub: str) -> Sequence[Consent]:
        """All of a user's, the withdrawn ones too, newest first; consistent."""

    def withdraw(self, sub: str, client_id: str, connection_id: str, *, now: int, audit: AuditEvent) -> bool:
        """End a consent and keep that it was; False when there is none."""


class Sessions(Protocol):
    """Refresh-token families of users at clients (table Requests)."""

    def create(self, session: Session, *, audit: AuditEvent) -> bool:
        """
        Open a family. False, and nothing written, when the family exists: the second use of its code was faster and
        put a revoked one in its place. Our own write that comes back by an SDK retry (same current_hash) is True.
        """

    def get(self, family: str) -> Session | None:
        """Consistent, whatever its status or age."""

    def rotate(self, successor: Session, *, expected_counter: int) -> bool:
        """Replace the family's item if it is active and its counter is still the expected one."""

    def revoke(self, family: str, *, audit: AuditEvent) -> bool:
        """active → revoked; False if it was already, or is unknown."""

    def find(self, sub: str, sid: str) -> Session | None:
        """The session that tokens name `sid`; consistent, whatever its status or age."""

    def list(self, sub: str) -> Sequence[Session]:
        """A user's sessions, expired ones left out by the caller."""


# --- connections and grants (table Grants) ---------------------------------


class Connections(Protocol):
    """The public halves of connections."""

    def get(self, connection_id: str) -> Connection | None:
        """Consistent."""

    def list_for_user(self, sub: str) -> Sequence[Connection]:
        """All of a user's connections, consistent; the caller filters and pages."""

    def find_account(self, sub: str, service: str, account_id: str) -> str | None:
        """The connection id that user already has for this account at this service."""

    def authorize(self, pending: Pending, session: ConnectSession, *, now: int, audit: AuditEvent) -> None:
        """
        Store unconfirmed tokens and move the session open → authorized with its confirmation hash, in one transaction.

        Raises:
            ConnectSessionExpired: The session is not open any more.
        """

    def pending(self, connection_id: str, session_id: str, *, now: int) -> Pending | None:
        """The unconfirmed half of a session; consistent."""

    def confirm(self, pending: Pending, *, consent_client_id: str, now: int, audit: AuditEvent) -> Connection:
        """
        Move pending grants into place, byte for byte, and activate the connection, in one transaction.

        Each grant gets the generation of its predecessor + 1 (1 when there is none); leases of older generations are
        thereby void. Writes the account item, the user's list entry, the consent and the session's `confirmed`.
        Doing it again for a confirmed session returns the connection unchanged.

        Raises:
            ConnectSessionExpired: Nothing pending, or the session was ended.
            Conflict: The account was connected by a racing session.
        """

    def abandon(self, connection_id: str, session_id: str, *, now: int) -> bool:
        """
        Put the end of unconfirmed tokens so far back that `over_at` is `now`: `pending` and `confirm` find nothing any
        more, by no clock and in no request in flight, and the item is due at once, for the worker that revokes upstream
        and then calls `discard`. False when there is nothing.
        """

    def unconfirmed(self, connection_id: str) -> Sequence[Pending]:
        """
        Every unconfirmed half of a connection, those past their time too; consistent. For the worker discarding them.
        """

    def postpone_discard(self, connection_id: str, session_id: str, *, due_at: int) -> None:
        """Move the time at which unconfirmed tokens past theirs are looked at again; nothing else of them."""

    def discard(self, connection_id: str, session_id: str, *, audit: AuditEvent) -> Pending | None:
        """Delete unconfirmed tokens; returns what was deleted, so that it can be revoked upstream."""

    def add_api_key(self, connection: Connection, grant: Grant, *, consent_client_id: str, audit: AuditEvent) -> None:
        """A user's own key for a service: connection and grant at once."""

    def disconnect(self, connection_id: str, *, now: int, audit: AuditEvent) -> Connection | None:
        """
        Revoke at once: the status of META and of every grant becomes `revoked`, in one transaction; the sealed sets
        stay until upstream revocation is done, then `erase`. None when unknown; idempotent.
        """

    def erase(self, connection_id: str, *, audit: AuditEvent, write_ids: Collection[str] | None = None) -> None:
        """
        Empty the sealed sets of a revoked connection; the tombstones stay.

        Args:
            write_ids: Only the sets of these writes; what came later stays, and stays due. None: all.
        """

    def unerased(self, connection_id: str) -> Sequence[int]:
        """Generations of the sealed sets of a revoked connection that are not erased yet; consistent."""

    def sharing(self, credentials_id: str, account_id: str, *, now: int) -> Sequence[str]:
        """
        Ids of the connections under the same credentials and provider account: the radius of a revocation.

        The live ones, and those that wait for their confirmation, until nobody confirms them any more by any clock.
        """

    def update_profile(
        self, connection_id: str, profile: Profile, *, now: int, audit: AuditEvent, avatar: Avatar | None = None
    ) -> bool:
        """Replace the account's profile on META, unless the connection is revoked (False); never touches a grant."""

    def update_metadata(self, connection_id: str, metadata: Mapping[str, Any], *, now: int, audit: AuditEvent) -> bool:
        """Replace the answers of the record's `post_connect` on META, unless revoked (False); never touches a grant."""

    def update_scopes(self, connection_id: str, scopes: Sequence[str], *, now: int, audit: AuditEvent) -> bool:
        """Replace the granted scopes on META after a refresh changed them, unless the connection is revoked (False)."""

    def update_forecast(self, connection_id: str, reconnect_by: int | None, *, now: int, audit: AuditEvent) -> bool:
        """Replace `reconnect_by` on META after a refresh moved it, unless revoked (False); never touches a grant."""

    def has_consent(self, sub: str, client_id: str, connection_id: str) -> bool:
        """True when the user allows this client to use the connection."""

    def consented(self, sub: str, client_id: str) -> frozenset[str]:
        """Ids of all connections of the user that this client may use; consistent."""

    def touch(self, connection_id: str, *, day: str) -> None:
        """Write `used_day`, at most once a day; best effort."""


class Grants(Protocol):
    """The secret halves and their leases."""

    def get(self, connection_id: str, name: str = "main") -> Grant | None:
        """Consistent."""

    def names(self, connection_id: str) -> Sequence[str]:
        """Names of the connection's tokens."""

    def take_lease(self, lease: Lease) -> LeaseHeld | None:
        """
        Take the lease: there is none, or its generation is lower, or it is of this generation with its intent cleared.

        Returns:
            None when it is ours (a lost acknowledgement is recognised by its write_id), else the lease that stands.
        """

    def take_over(self, lease: Lease, *, orphan: Lease) -> bool:
        """Take an orphan's place, if it is still exactly that orphan (same write_id)."""

    def release_lease(self, lease: Lease) -> None:
        """Clear the intent of our own lease: the outcome is known. Best effort; expiry frees it otherwise."""

    def save(self, successor: Grant) -> Saved:
        """
        Write generation g + 1 in one plain conditional write.

        Condition: the stored generation is `successor.generation - 1` and the status is not `revoked`. The fence is the
        generation, not the lease. Our own write_id on the stored item means saved.
        """

    def strike(self, grant: Grant, *, now: int) -> Grant | None:
        """Store a dead answer for the current generation (strikes, time, due_at); None when the generation moved."""

    def mark_needs_reauth(self, grant: Grant, reason: Reason, *, now: int, audit: AuditEvent) -> bool:
        """active → needs_reauth on GRANT and META in one transaction, if the generation is still the grant's."""

    def reject(self, grant: Grant) -> bool:
        """Store `rejected_generation = grant.generation`, if that is still the generation."""

    def keep_for_revocation(self, successor: Grant) -> bool:
        """
        Store tokens that arrived after a revoke, so that the worker revokes them and not their predecessors.

        Condition: the stored generation is `successor.generation - 1` and the status is `revoked`; it stays revoked.
        Our own write_id on the stored item means True. False when the generation moved or the grant is not revoked.
        """

    def reseal(self, grant: Grant, *, sealed: bytes) -> bool:
        """Replace the sealed bytes by the same set under another key, if generation, n and write_id are the grant's."""

    def postpone(
        self,
        connection_id: str,
        name: str,
        *,
        generation: int,
        due_at: int | None,
        revoked: bool = False,
        failed: str | None = None,
    ) -> None:
        """
        Move `due_at`, if generation and `revoked` are still what was read; None takes it off the index.

        `failed`: why the attempt brought no tokens, to be counted.
        """

    def due(self, shard: int, *, before: int, limit: int, without: Collection[str] = frozenset()) -> Sequence[DueGrant]:
        """Oldest first, from the due index: hints, possibly stale. `without`: providers passed over."""


# --- system records --------------------------------------------------------


class Providers(Protocol):
    """The deployment's provider records and registrations (item PROVIDERS), cached for a minute."""

    def overrides(self) -> Mapping[str, Mapping[str, Any]]:
        """provider id → record fields added or overridden, for `providers.catalog`."""

    def registrations(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """provider id → live registrations `{client_id, secret_parameter, auth_method, state}`, newest first."""

    def disabled(self) -> frozenset[str]:
        """Providers an admin switched off."""

    def put(
        self,
        provider_id: str,
        *,
        record: Mapping[str, Any] | None,
        registrations: Sequence[Mapping[str, Any]] | None,
        disabled: bool | None,
        audit: AuditEvent,
    ) -> None:
        """Change one provider's part of the item; None leaves that part as it is."""


class Secrets(Protocol):
    """Provider client secrets (SSM SecureString), read at first use, kept 5 minutes, stale up to 1 hour on error."""

    def get(self, parameter: str) -> str:
        """Raises StoreUnavailable when it cannot be read and nothing is cached."""

    def put(self, parameter: str, value: str) -> None: ...


class Breakers(Protocol):
    """Circuit breaker per provider (item BREAKER#provider)."""

    def open_until(self, provider: str) -> int:
        """Epoch second until which the provider is not to be called; 0 when closed. Cached a few seconds."""

    def state(self, provider: str) -> BreakerState:
        """The breaker with when it was last closed. Cached a few seconds."""

    def record_failure(self, provider: str, *, now: int, retry_after: int | None = None) -> bool:
        """Count a failure; True when it opened a closed breaker."""

    def record_success(self, provider: str) -> bool:
        """Forget failures; True when it closed an open breaker."""

    def record_refusal(self, provider: str, *, error: str | None, now: int) -> None:
        """The provider refused our registration: `misconfigured` until `record_success` or `forget`; stops no call."""

    def misconfigured(self, provider: str) -> bool:
        """True while our registration is known to be refused. Cached a few seconds."""

    def forget(self, provider: str) -> None:
        """An operator changed the registration: whatever was held against the provider is forgotten."""


class DeploymentSecrets(Protocol):
    """Random keys of the deployment itself (table Requests), for what is worth a MAC and no more: list cursors."""

    def key(self, name: str) -> bytes:
        """32 random bytes, the same for every caller of one name; made at first use, read once per container."""


class DueShards(Protocol):
    """The high-water mark of the due index (item CONFIG)."""

    def mark(self) -> ShardMark:
        """Consistent; a mark of 0 before there is any."""

    def replace(self, mark: ShardMark, *, expected: ShardMark) -> ShardMark | None:
        """Put a mark in place of the expected one; the mark as written, or None when somebody else was faster."""


class Counters(Protocol):
    """Counters kept by the projector."""

    def unseen(self, events: Sequence[Counted]) -> Sequence[Counted]:
        """Those that are not counted yet, each once."""

    def add_once(self, events: Sequence[Counted], *, now: int) -> None:
        """Count what is not counted yet, in whatever company and order it comes."""

    def totals(self) -> Mapping[str, int]:
        """All counters summed over shards: constant cost, however many connections there are."""

    def of_day(self, day: str) -> Mapping[str, int]:
        """The counters of one UTC day (`yyyy-mm-dd`)."""

    def of_days(self, days: Sequence[str], *, only: Sequence[str] | None = None) -> Mapping[str, Mapping[str, int]]:
        """The counters of many UTC days, or some of them, read together."""


class AuditTrail(Protocol):
    """The audit table."""

    def record(self, event: AuditEvent) -> None:
        """Write an entry that stands alone: a refusal, a tampering alarm. Same id twice is one entry."""

    def for_user(self, sub: str, *, limit: int, before: str | None = None) -> tuple[Sequence[AuditEvent], str | None]:
        """Newest first, with the key to go on from."""

    def for_connection(
        self, connection_id: str, *, limit: int, before: str | None = None
    ) -> tuple[Sequence[AuditEvent], str | None]: ...

    def day(self, day: str, *, limit: int, before: str | None = None) -> tuple[Sequence[AuditEvent], str | None]:
        """All entries of a day (`yyyy-mm-dd`), for export and filters."""

    def generation_recorded(self, connection_id: str, name: str, generation: int) -> bool:
        """True when the trail knows this generation: how an old row put back is found out."""


class RateLimits(Protocol):
    """Fixed windows (item RL#…)."""

    def hit(self, key: str, *, limit: int, window: int, now: int) -> int:
        """Count one; returns 0 when allowed, else seconds to wait."""

    def add(self, key: str, *, amount: int, window: int, now: int) -> int:
        """Count some; returns how many everybody counted in this window."""


# --- crypto ----------------------------------------------------------------


class Sealer(Protocol):
    """Seals and cannot open (callback, connections): GenerateDataKey only."""

    def seal(self, plaintext: bytes, *, binding: Binding) -> bytes:
        """Raises StoreUnavailable when KMS does not answer."""


class SealingKey(Protocol):
    """A key in hand: sealing with it calls nobody and cannot fail."""

    def seal(self, plaintext: bytes, *, binding: Binding) -> bytes: ...


class Vault(Protocol):
    """Opens grants (refresh alone)."""

    def open(self, sealed: bytes, *, binding: Binding) -> bytes:
        """
        Raises:
            GrantUnreadable: Not sealed for this binding, or edited.
            StoreUnavailable: KMS does not answer.
        """

    def prepare(self, binding: Binding, *, sealed: bytes) -> SealingKey:
        """
        The key for the next save, ready before the provider is called.

        Args:
            sealed: The current set, whose key serves when no branch key exists yet.
        """

    def is_current(self, sealed: bytes, *, binding: Binding) -> bool:
        """True when sealed under the newest key there is for this user; if not, the set wants re-sealing."""


class BranchKeys(Protocol):
    """Branch keys (items BRANCH#bucket#version)."""

    def newest(self, bucket: int) -> BranchKey | None:
        """The newest version, cached for minutes; None while there is none."""

    def get(self, bucket: int, version: int) -> BranchKey | None:
        """One version; consistent."""

    def add(self, key: BranchKey, *, audit: AuditEvent) -> bool:
        """Add version newest + 1; False if that version exists: a racing caller was first."""


class SigningKeys(Protocol):
    """Signing keys (item SIGNER)."""

    def public(self) -> Sequence[SigningKey]:
        """All keys, without their private halves; consistent."""

    def load(self) -> SigningKeyRing:
        """Keys and private halves; consistent."""

    def replace(self, ring: SigningKeyRing, *, audit: AuditEvent) -> bool:
        """Store a ring in place of version `ring.version - 1`; False if a racing caller was first."""


class KeyMaker(Protocol):
    """Makes keys that nobody sees: KMS returns them wrapped (the sweeper and the operator)."""

    def signing_pair(self, alg: Literal["ES256", "RS256"]) -> tuple[Mapping[str, str], bytes]:
        """A new pair: (public JWK, wrapped private half). Raises StoreUnavailable."""

    def branch_key(self, *, bucket: int, version: int) -> bytes:
        """A new wrapped branch key. Raises StoreUnavailable."""


class Signer(Protocol):
    """Session and ID tokens (the session function alone)."""

    def sign(self, claims: Mapping[str, Any], *, alg: Literal["ES256", "RS256"], typ: str) -> str:
        """A compact JWS with the active key's kid. Raises StoreUnavailable before the first key exists."""


class KeySet(Protocol):
    """Our published keys (item SIGNER), read once per 5 minutes; an unknown kid refetches at most every 30 s."""

    def jwks(self) -> Mapping[str, Any]:
        """The JWK Set as published."""

    def find(self, kid: str) -> Mapping[str, Any] | None:
        """A public JWK by kid."""


# --- the outside -----------------------------------------------------------


class ProviderHttp(Protocol):
    """The only code that talks to providers."""

    def send(self, request: HttpRequest, *, budget: float = 8.0) -> HttpResponse:
        """
        One attempt within `budget` seconds in all (connect 2 s).

        Raises:
            ProviderUnavailable: No answer; `outcome_unknown` when the request may have arrived.
            TokenResponseRejected: The answer is over the size cap.
        """


class WorkQueue(Protocol):
    """SQS: refresh, upstream revocation, erasure, re-sealing."""

    def send(self, work: Iterable[Work], *, delay: int = 0) -> None:
        """Raises StoreUnavailable when SQS refuses."""

    def depth(self) -> int:
        """Approximate number of messages waiting and in flight."""


class RescueQueue(Protocol):
    """Where a sealed answer waits when DynamoDB refuses it."""

    def park(self, successor: Grant) -> None:
        """Raises StoreUnavailable when SQS refuses as well."""


class DeadLetters(Protocol):
    """Where what cannot be processed waits for a person."""

    def park(self, facts: Mapping[str, str]) -> None:
        """Keep ids that lead to it. Raises StoreUnavailable when SQS refuses."""


class EventBus(Protocol):
    """EventBridge."""

    def publish(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """(detail type, detail) pairs. Raises StoreUnavailable if any entry was refused."""


class Credentials(Protocol):
    """Provider credentials joined from registrations and secrets."""

    def active(self, provider: str) -> ProviderCredentials:
        """The newest live registration. Raises ProviderNotConfigured."""

    def by_client_id(self, provider: str, client_id: str) -> ProviderCredentials:
        """A live registration, also a retiring one. Raises ProviderNotConfigured."""

    def client_ids(self, provider: str) -> Sequence[str]:
        """Those of all registrations, the retiring ones too."""
