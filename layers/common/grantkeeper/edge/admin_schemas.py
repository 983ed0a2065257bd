"""
The bodies of the administration's API as types, beside those of `edge.schemas`.

No function loads this module: it is imported for types only, and by `local.openapi`. Times are epoch seconds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from pydantic import Field

from grantkeeper.edge.schemas import Connection, Consent, Id, Identity, ListedConnection, OwnApiKey, Scopes, Time
from grantkeeper.model import AuthMethod, Role
from grantkeeper.services.change_user import SuspensionReason

UserStatus = Literal["active", "suspended", "erased"]


ProviderState = Literal["available", "not_configured", "disabled", "degraded"]
Text = Annotated[str, Field(min_length=1, max_length=2048)]


class AdminAuditEntry(TypedDict):
    """An entry of the audit trail: ids and words of ours, never a token or a secret."""

    id: str
    time: Time
    action: Annotated[str, Field(examples=["connection.activated"])]
    actor: Annotated[str, Field(description="`user:`, `user_key:`, `key:`, `operator:` or `system:`, and who")]
    sub: str | None
    connection_id: str | None
    client_id: str | None
    provider: str | None
    service: str | None
    reason: str | None
    request_id: str | None
    details: dict[str, str]


class AdminAuditList(TypedDict):
    """One page, newest first; it may be short or empty, and `cursor` asks for the next, null on the last."""

    events: list[AdminAuditEntry]
    cursor: str | None


class ClientRegistration(TypedDict):
    """What whoever registers a client decides (RFC 7591's names); what is left out has its default."""

    client_name: Annotated[str, Field(min_length=1, max_length=100)]
    redirect_uris: Annotated[
        list[Text],
        Field(min_length=1, max_length=50, description="https, http on a loopback address, or a reverse-DNS scheme"),
    ]
    token_endpoint_auth_method: NotRequired[AuthMethod]
    origins: NotRequired[Annotated[list[Text], Field(max_length=20, description="Browser origins that may call us")]]
    post_logout_redirect_uris: NotRequired[Annotated[list[Text], Field(max_length=50)]]
    providers: NotRequired[Annotated[list[Text], Field(description="Who may sign its users in; `*` for all")]]
    services: NotRequired[Annotated[list[Text], Field(description="What may be connected; `*` for all")]]
    scopes: NotRequired[Annotated[list[str], Field(description="The most its users' tokens and keys may have")]]
    sign_up: NotRequired[Literal["open", "invited", "domains"]]
    sign_up_domains: NotRequired[Annotated[list[Text], Field(description="With `sign_up` `domains`, and only then")]]
    id_token_signed_response_alg: NotRequired[Literal["RS256", "ES256"]]
    jwks: NotRequired[Annotated[list[dict[str, Any]], Field(max_length=10, description="Public keys, RFC 7517")]]
    resources: NotRequired[Annotated[list[Text], Field(description="APIs its tokens may be for (RFC 8707)")]]


class AdminClient(TypedDict):
    """A client. Of its secrets only how many are good: two while one rotates."""

    client_id: Id
    client_name: str
    status: Literal["active", "disabled"]
    created_at: Time
    token_endpoint_auth_method: AuthMethod
    has_secret: bool
    live_secrets: int
    redirect_uris: list[str]
    origins: list[str]
    post_logout_redirect_uris: list[str]
    providers: list[str]
    services: list[str]
    scopes: list[str]
    sign_up: Literal["open", "invited", "domains"]
    sign_up_domains: list[str]
    id_token_signed_response_alg: Literal["RS256", "ES256"]
    jwks: list[dict[str, Any]]
    resources: list[str]


class ShownAdminClient(AdminClient):
    """A client with the secret just made: to be kept now, it is not stored and never shown again."""

    client_secret: Annotated[str | None, Field(description="Null for a client that proves itself by none")]


class AdminClientList(TypedDict):
    """One page, by id."""

    clients: list[AdminClient]
    cursor: str | None


class ClientSecretRequest(TypedDict):
    """The next secret of a client."""

    keep_previous: NotRequired[
        Annotated[bool, Field(description="The one in use stays good beside it; `true` unless said")]
    ]


class AdminApiKey(TypedDict):
    """A key without its secret: the operator's has no client, a user's own has a user."""

    id: Id
    name: str
    client_id: str | None
    user: str | None
    scopes: list[str]
    status: Literal["active", "rotating", "expired", "revoked"]
    created_at: Time
    expires_at: Time
    old_secret_ends_at: Annotated[int | None, Field(description="While rotating: until when the former one is good")]
    used_day: Annotated[str | None, Field(description="The last day of use, UTC; null before the first")]


class ShownAdminApiKey(AdminApiKey):
    """A key with the secret just made: to be kept now, it is not stored and never shown again."""

    api_key: Annotated[str, Field(pattern="^gk_[a-z2-7]{16}_[0-9A-Za-z]{46}$")]


class AdminApiKeyList(TypedDict):
    """One page, the operator's keys first, then by client; it may be short, and `cursor` asks for the next."""

    api_keys: list[AdminApiKey]
    cursor: str | None


class AdminApiKeyRequest(TypedDict):
    """A key for a client's backend. One that administers or reads tokens is made with the CLI alone."""

    client_id: Id
    name: Annotated[str, Field(min_length=1, max_length=100)]
    scopes: Annotated[
        list[
            Literal[
                "connections:read",
                "connections:write",
                "users:read",
                "users:write",
                "account:write",
            ]
        ],
        Field(min_length=1, description="With `account:write` it may rotate itself"),
    ]
    expires_in_days: NotRequired[Annotated[int, Field(ge=1, le=365, description="90 unless said")]]


class RevokedApiKeys(TypedDict):
    """How many keys this call revoked; `more` says to call again, with the `cursor`."""

    revoked: int
    more: bool
    cursor: str | None


class AdminBreaker(TypedDict):
    """How a provider does. `half_open`: its time is up, and the next call decides."""

    state: Literal["closed", "open", "half_open"]
    failures: Annotated[int, Field(description="In a row")]
    failed_at: int | None
    open_until: int | None
    closed_at: int | None


class AdminProviderCredentials(TypedDict):
    """That they are there, and nothing of them."""

    registered: bool
    secret: Annotated[bool, Field(description="The newest registration has one")]
    live: Annotated[int, Field(description="Registrations, several while one rotates")]


class AdminProviderError(TypedDict):
    """The provider refused our registration, and nothing has worked since."""

    at: Time
    error: str


class AdminProvider(TypedDict):
    """A provider with how it does."""

    id: str
    display_name: str
    services: list[str]
    state: ProviderState
    breaker: AdminBreaker
    credentials: AdminProviderCredentials
    last_error: AdminProviderError | None
    connections: Annotated[dict[str, int], Field(description="By status, from the counters")]


class AdminProviderList(TypedDict):
    """Every provider of the deployment, by id."""

    providers: list[AdminProvider]


class SwitchReason(TypedDict):
    """Why, for the trail."""

    reason: NotRequired[Annotated[str | None, Field(min_length=1, max_length=200)]]


HealthStatus = Literal["ok", "warning", "failing"]


class AdminHealthCheck(TypedDict):
    """A part of the deployment."""

    name: str
    status: HealthStatus
    detail: Annotated[str, Field(description="A sentence for people")]
    measured: Annotated[dict[str, Any], Field(description="Figures, by the part's own names")]


class AdminHealth(TypedDict):
    """How the deployment does; `status` is the worst of its parts."""

    status: HealthStatus
    checked_at: Time
    checks: list[AdminHealthCheck]


CleanUpKind = Literal["revoked_connections", "api_keys"]


class CleanUpRequest(TypedDict):
    """What to take away, and how much of it at once."""

    kinds: Annotated[list[CleanUpKind], Field(min_length=1)]
    limit: NotRequired[Annotated[int, Field(ge=1, le=100, description="Removals at most, 50 unless said")]]
    older_than_days: NotRequired[
        Annotated[int, Field(ge=35, le=3650, description="Since when they are dead, 90 unless said")]
    ]


class CleanedKind(TypedDict):
    """One kind of dead rows, as far as this call looked."""

    kind: CleanUpKind
    removable: Annotated[int, Field(description="What a clean-up would take away; looked at from afar")]
    removed: int
    young: Annotated[int, Field(description="Dead, and not for long enough")]
    kept: Annotated[int, Field(description="Dead for long enough, and something about it is not settled")]


class AdminCleanup(TypedDict):
    """What one call saw or did; the figures of all pages add up, and `cursor` is null on the last."""

    kinds: list[CleanedKind]
    looked_at: int
    cursor: str | None


class AdminUser(TypedDict):
    """A user as operators see him."""

    sub: Id
    email: str | None
    email_verified: bool
    name: str | None
    role: Role
    status: UserStatus
    created_at: Time
    updated_at: Time


class AdminUserList(TypedDict):
    """One page, by e-mail address; it may be short, and `cursor` asks for the next, null on the last."""

    users: list[AdminUser]
    cursor: str | None


class AdminSession(TypedDict):
    """Where a user is signed in; the family of its refresh tokens is told to nobody."""

    sid: Id
    client_id: str
    provider: str
    created_at: Time
    last_used_at: Time
    expires_at: Time


class AdminUserDetail(AdminUser):
    """A user and what is his: of long lists the first 25, and how many there are in `counts`."""

    avatar_url: str | None
    locale: str | None
    overrides: Annotated[dict[str, str], Field(description="What he set himself")]
    identities: list[Identity]
    sessions: list[AdminSession]
    connections: list[ListedConnection]
    consents: list[Consent]
    api_keys: list[OwnApiKey]
    counts: Annotated[dict[str, int], Field(description="How many of each kind there are")]


class AdminHistoryEntry(TypedDict):
    """What happened, who did it, and why: ids and enums, which is all that the trail holds."""

    id: str
    time: Time
    action: str
    actor: str
    client_id: str | None
    reason: str | None
    request_id: str | None
    details: dict[str, str]


class AdminConnection(Connection):
    """A connection with what operators look for: who opened it, what was asked, and the newest of its trail."""

    client_id: str
    requested_scopes: Scopes
    used_day: Annotated[str | None, Field(description="The last day a token was handed out, UTC")]
    history: Annotated[list[AdminHistoryEntry], Field(description="Newest first, 50 at most")]


class ErasureRequest(TypedDict):
    """The id of the user once more: there is no way back."""

    confirm: Id


class Erasure(TypedDict):
    """How far an erasure is; `left` is the proof, and empty in the end."""

    sub: Id
    state: Annotated[
        Literal["active", "erasing", "erased"],
        Field(description="`active`: never begun; `erasing`: it goes on by itself, sooner if asked again"),
    ]
    erased_at: Annotated[int | None, Field(description="Since when the user is refused everywhere, epoch seconds")]
    removed: Annotated[dict[str, int], Field(description="What this call removed, by kind")]
    left: Annotated[dict[str, int], Field(description="What stands still, by kind; what is not named is gone")]
    again_at: Annotated[int | None, Field(description="When another call can do more; null when nothing is to do")]
    one_time_until: Annotated[
        int | None, Field(description="By when codes that were open then have expired, which nobody can list")
    ]


class RoleChange(TypedDict):
    """The role a user shall have."""

    role: Role


class Suspension(TypedDict):
    """Why; a word of a few, because the trail keeps it longer than the user."""

    reason: NotRequired[SuspensionReason | None]


ADMIN_PARAMETERS: dict[str, tuple[Any, str]] = {
    "user:audit": (Id, "Only of this user"),
    "actor:audit": (Annotated[str, Field(max_length=100)], "Only by this actor, such as `user:usr_…` or `key:…`"),
    "connection:audit": (Id, "Only of this connection, its refreshes among them"),
    "action:audit": (Annotated[str, Field(max_length=100)], "Only this action; all that begin so with a full stop"),
    "from:audit": (Time, "Not before"),
    "to:audit": (Time, "Not after"),
    "day": (Annotated[str, Field(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")], "The UTC day"),
    "format": (Literal["ndjson", "csv"], "`ndjson` unless said"),
    "older_than_days": (
        Annotated[int, Field(ge=35, le=3650)],
        "Since when they are dead, 90 unless said",
    ),
    "client_id:key": (Id, "Only of this client"),
    "user:key": (Id, "Only this user's own"),
    "q": (Annotated[str, Field(max_length=254)], "How the e-mail address begins; or the whole id of a user"),
    "provider:of": (Id, "Only of this provider"),
    "user:of": (Id, "Only of this user, by our id; what he had too"),
    "role": (Role, "Only with this role"),
    "status:user": (UserStatus, "Only with this status; `erased` while the erasure is not finished"),
}
