"""
The bodies of the API as types: what requests hold, what answers hold.

Read by the type checker, which compares them with the views that make the answers, and by `local.openapi`, which
describes the API by them. No function loads this module: it is imported for types only. Times are epoch seconds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from pydantic import Field

from grantkeeper.model import ConnectionStatus, Reason
from grantkeeper.services.disconnect import Upstream

Id = Annotated[str, Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9_-]+$")]
Time = Annotated[int, Field(ge=0, description="Epoch seconds")]
Url = Annotated[str, Field(max_length=2048)]
UserId = Annotated[str, Field(min_length=1, max_length=256)]
Scopes = Annotated[list[str], Field(description="The provider's scopes, normalised")]
Kind = Literal["oauth2", "oauth1", "api_key"]


class Problem(TypedDict):
    """An error (RFC 9457). `type` is stable; more members say what is in question, such as `reason` or `parameter`."""

    type: str
    title: str
    status: int
    detail: NotRequired[str]
    instance: NotRequired[Annotated[str, Field(description="urn:request:<request id>")]]
    error: NotRequired[Annotated[str, Field(description="A provider's registered code, or one of RFC 6749")]]
    reason: NotRequired[str]
    parameter: NotRequired[str]
    scope: NotRequired[str]
    scopes_missing: NotRequired[list[str]]


class OAuthProblem(TypedDict):
    """An error of an OAuth endpoint (RFC 6749 section 5.2)."""

    error: str
    error_description: NotRequired[str]


# Connecting


class ConnectSessionRequest(TypedDict):
    """Permission for one user to connect one service. A client's key names the user; a user connects for himself."""

    service: Annotated[str, Field(min_length=1, examples=["gmail"])]
    redirect_uri: Annotated[str, Field(min_length=1, description="Registered for the client, exactly")]
    access: NotRequired[
        Annotated[str | None, Field(description="A named access level of the service; not with scopes")]
    ]
    scopes: NotRequired[
        Annotated[
            list[str] | None, Field(min_length=1, max_length=64, description="The provider's own; not with access")
        ]
    ]
    state: NotRequired[Annotated[str | None, Field(max_length=1024, description="Comes back in the redirect")]]
    connection_id: NotRequired[Annotated[str | None, Field(description="Re-connect this one, to the same account")]]
    user_id: NotRequired[
        Annotated[str | None, Field(min_length=1, max_length=256, description="The client's own id of the user")]
    ]
    user_sub: NotRequired[Annotated[str | None, Field(description="Our id of the user")]]


class ConnectSession(TypedDict):
    """Open `connect_url` in the user's browser within ten minutes."""

    id: Id
    connect_url: Url
    expires_at: Time


class Confirmation(TypedDict):
    """What the redirect brought, and the name of the user who is signed in at the client in that browser."""

    confirmation: Annotated[str, Field(min_length=1)]
    user_id: NotRequired[Annotated[str, Field(min_length=1)]]
    user_sub: NotRequired[Annotated[str, Field(min_length=1)]]


class ApiKeyConnection(TypedDict):
    """A key that a user made at a service himself."""

    service: Annotated[str, Field(min_length=1)]
    label: Annotated[str, Field(min_length=1, max_length=100, description="One key per label")]
    secret: Annotated[str, Field(min_length=1, max_length=4096, json_schema_extra={"writeOnly": True})]
    user_id: NotRequired[str | None]
    user_sub: NotRequired[str | None]


class Account(TypedDict):
    """Whose account it is, as the provider says."""

    id: str
    email: str | None
    name: str | None
    avatar_url: str | None


class ListedConnection(TypedDict):
    """A user's account at a service; it holds no secret."""

    id: Id
    user_sub: str
    service: str
    provider: str
    kind: Kind
    label: str | None
    status: ConnectionStatus
    reason: Reason | None
    scopes: Scopes
    missing_scopes: Annotated[list[str], Field(description="Asked for and not granted")]
    token_names: list[str]
    account: Account | None
    created_at: Time
    updated_at: Time
    reconnect_by: Annotated[int | None, Field(description="When the user will have to connect again, if it is known")]


class Connection(ListedConnection):
    """A connection with what its provider said it is good for, such as the sites of an Atlassian account."""

    metadata: dict[str, Any]
    upstream: NotRequired[Annotated[Upstream, Field(description="Of a disconnected one: how it went at the provider")]]
    manual_url: NotRequired[Annotated[str, Field(description="Where the user ends it himself")]]


class ConnectionList(TypedDict):
    """One page; `cursor` asks for the next, null on the last."""

    connections: list[ListedConnection]
    cursor: str | None


class ConnectionStats(TypedDict):
    """A user's connections, counted."""

    by_status: dict[str, int]
    by_service: dict[str, int]
    by_provider: dict[str, int]


class Disconnected(TypedDict):
    """What was done, and what will be done at the provider."""

    id: Id
    status: Literal["revoked"]
    upstream: Upstream
    manual_url: NotRequired[Annotated[str, Field(description="Where the user ends it himself")]]


class ServiceConnection(TypedDict):
    """One of the user's accounts at a service."""

    id: Id
    label: str | None
    status: ConnectionStatus
    reason: Reason | None
    reconnect_by: Annotated[int | None, Field(description="When the user will have to connect again, if it is known")]


class ServiceStatus(TypedDict):
    """Where the user stands with one service."""

    service: str
    provider: str
    display_name: str
    status: Literal["connected", "needs_reauth", "scopes_missing", "not_connected"]
    missing_scopes: list[str]
    connections: list[ServiceConnection]


class StatusList(TypedDict):
    """Every service of the deployment."""

    services: list[ServiceStatus]


# Tokens


class Token(TypedDict):
    """A working access token. `token_secret` comes with OAuth 1.0a, `metadata` where the record keeps some."""

    kind: Kind
    access_token: str
    token_type: str
    expires_at: Annotated[int | None, Field(description="Epoch seconds; null when the provider did not say")]
    scopes: Scopes
    generation: Annotated[int, Field(ge=1, description="Report it as rejected_generation when the provider says 401")]
    connection_id: Id
    token_secret: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]


class RefreshedToken(TypedDict):
    """How the token stands after a forced refresh; it holds no token."""

    kind: Kind
    expires_at: int | None
    scopes: Scopes
    generation: int
    connection_id: Id
    metadata: NotRequired[dict[str, Any]]


# A user's own account

Changed = Annotated[list[str], Field(description="What was new at `changed_at`, by field")]


class ShownFact(TypedDict):
    """What everybody sees, and whose word it is: the user's own, or a provider's."""

    value: str | None
    source: Literal["override", "provider"] | None
    provider: Annotated[str | None, Field(description="Who says so, where the user did not set it himself")]


class MailAddress(TypedDict):
    """An address is a provider's word and so is its verification: no user sets it here."""

    value: str | None
    verified: bool
    provider: str | None


class Overrides(TypedDict):
    """What the user set himself; null where he leaves it to his providers."""

    name: str | None
    avatar_url: str | None
    locale: str | None


class ProfileIdentity(TypedDict):
    """What one provider said last, and when; sign in there again to have it say so anew."""

    provider: str
    email: str | None
    email_verified: bool
    name: str | None
    avatar_url: str | None
    locale: str | None
    linked_at: Time
    synced_at: Annotated[int | None, Field(description="The last sign-in through it; null before this was kept")]
    changed: Changed
    changed_at: int | None


class Profile(TypedDict):
    """A user's own profile: what is shown, what he set, and what each provider says."""

    sub: str
    name: ShownFact
    avatar_url: ShownFact
    locale: ShownFact
    email: MailAddress
    overrides: Overrides
    identities: list[ProfileIdentity]
    created_at: Time
    updated_at: Time


class ProfileChange(TypedDict):
    """What the user sets himself, the whole of it: what is left out or null is left to his providers again."""

    name: NotRequired[Annotated[str | None, Field(min_length=1, max_length=200)]]
    avatar_url: NotRequired[Annotated[str | None, Field(max_length=2048, description="https; never fetched by us")]]
    locale: NotRequired[Annotated[str | None, Field(max_length=44, examples=["de-AT"], description="RFC 5646")]]


class OwnSession(TypedDict):
    """Where the user is signed in."""

    sid: Annotated[Id, Field(description="As in his tokens")]
    client_id: str
    client_name: str
    provider: Annotated[str, Field(description="Through whom he signed in")]
    created_at: Time
    last_used_at: Annotated[int, Field(description="The last sign-in or refresh, epoch seconds")]
    expires_at: Annotated[int, Field(description="The end if it is not used again, epoch seconds")]
    current: Annotated[bool, Field(description="The one this was asked in")]


class SessionList(TypedDict):
    """One page, newest first."""

    sessions: list[OwnSession]
    cursor: str | None


class EndedSessions(TypedDict):
    """How many were ended; `left` says how many more another call would."""

    revoked: int
    left: int


# Identities and consents


class Identity(TypedDict):
    """Whom a user can sign in as; or, under an issuer `client:<client id>`, that a client has its own id for him."""

    id: Id
    provider: str
    issuer: str
    email: Annotated[str | None, Field(description="As the provider says, for reading: it names and proves nobody")]
    linked_at: Time


class IdentityList(TypedDict):
    """All of the user's, oldest first."""

    identities: list[Identity]


class IdentityLinkRequest(TypedDict):
    """At which provider the user wants to prove another identity."""

    provider: Annotated[str, Field(min_length=1, examples=["google"])]
    redirect_uri: Annotated[str, Field(min_length=1, description="Registered for the client, exactly")]
    state: NotRequired[Annotated[str | None, Field(max_length=1024, description="Comes back in the redirect")]]


class IdentityLink(TypedDict):
    """
    Open `link_url` in the user's browser within ten minutes.

    It comes back to `redirect_uri` with `identity_link`, `confirmation` (or `error`) and `state`.
    """

    id: Id
    link_url: Url
    expires_at: Time


class LinkConfirmation(TypedDict):
    """What the redirect brought."""

    confirmation: Annotated[str, Field(min_length=1)]


KeyDays = Annotated[int, Field(ge=1, le=365, description="90 unless said")]


class ApiKeyRequest(TypedDict):
    """A key for the caller's own connections: it acts as he does at his client, within the scopes of his own token."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    scopes: Annotated[list[Literal["connections:read", "connections:token", "connections:write"]], Field(min_length=1)]
    expires_in_days: NotRequired[KeyDays]


class ApiKeyRotation(TypedDict):
    """How long the key shall live from now."""

    expires_in_days: NotRequired[KeyDays]


class OwnApiKey(TypedDict):
    """A key without its secret."""

    id: Id
    name: str
    client_id: str
    scopes: list[str]
    status: Literal["active", "rotating", "expired", "revoked"]
    created_at: Time
    expires_at: Time
    old_secret_ends_at: Annotated[int | None, Field(description="While rotating: until when the former one is good")]
    used_day: Annotated[str | None, Field(description="The last day of use, UTC; null before the first")]


class ShownApiKey(OwnApiKey):
    """A key with the secret just made: to be kept now, it is not stored and never shown again."""

    api_key: Annotated[str, Field(pattern="^gk_[a-z2-7]{16}_[0-9A-Za-z]{46}$")]


class ApiKeyList(TypedDict):
    """All of them, oldest first: there are 25 at most."""

    api_keys: list[OwnApiKey]


class Consent(TypedDict):
    """That a user lets a client read the tokens of a connection; one that was withdrawn stays in the list."""

    client_id: Id
    client_name: Annotated[str | None, Field(description="null for a client that is gone")]
    connection_id: Id
    service: str | None
    provider: str | None
    label: str | None
    scopes: Annotated[list[str], Field(description="The provider's scopes that the connection had at that time")]
    granted_at: Time
    withdrawn_at: int | None


class ConsentList(TypedDict):
    """One page, newest first; `cursor` asks for the next, null on the last."""

    consents: list[Consent]
    cursor: str | None


class ConsentRequest(TypedDict):
    """For which connection of the user's; by service, and he chooses. A client's key names the user."""

    redirect_uri: Annotated[str, Field(min_length=1, description="Registered for the client, exactly")]
    service: NotRequired[Annotated[str | None, Field(description="One of this service; or name a connection_id")]]
    connection_id: NotRequired[str | None]
    state: NotRequired[Annotated[str | None, Field(max_length=1024, description="Comes back in the redirect")]]
    user_id: NotRequired[
        Annotated[str | None, Field(min_length=1, max_length=256, description="The client's own id of the user")]
    ]
    user_sub: NotRequired[Annotated[str | None, Field(description="Our id of the user")]]


class ConsentLink(TypedDict):
    """
    Open `consent_url` in the user's browser within ten minutes.

    It comes back to `redirect_uri` with `consent_request`, `result` (`granted` or `denied`; or `error`), when granted
    with `connection_id`, and with `state`.
    """

    id: Id
    consent_url: Url
    expires_at: Time


class ConsentAnswer(TypedDict):
    """What our page sends."""

    form_token: str
    answer: Literal["allow", "deny"]
    connection: NotRequired[str]


# The trail and the numbers


class AuditEntry(TypedDict):
    """What happened to the user's account and connections. Who else acted is told by kind only."""

    id: str
    time: Time
    action: str
    by: Literal["you", "your_key", "another_user", "client", "system"]
    connection_id: str | None
    client_id: str | None
    provider: str | None
    service: str | None
    reason: str | None
    changed: Annotated[list[str], Field(description="Which fields of a profile, never what they say")]


class AuditList(TypedDict):
    """One page, newest first."""

    events: list[AuditEntry]
    cursor: str | None


class ConnectionCounts(TypedDict):
    """Connections of everybody."""

    by_status: dict[str, int]
    by_provider: dict[str, dict[str, int]]


class Counts(TypedDict):
    """A number, and what it is made of."""

    total: int
    by_provider: dict[str, int]


class Refusals(TypedDict):
    """What was refused, and what was found wrong."""

    sign_ins: int
    confirmations: int
    reuse_detected: int
    tampering_detected: int


class Failures(Counts):
    """Attempts of the refresh worker that brought no tokens."""

    by_reason: dict[str, int]


class Today(TypedDict):
    """The current day, UTC."""

    users: int
    sign_ins: int
    refreshes: int


class CountedDay(TypedDict):
    """What happened on a UTC day."""

    day: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    users: Annotated[int, Field(description="New ones, less those that were erased")]
    sign_ins: int
    sign_ins_refused: int
    refreshes: int
    refresh_failures: int
    needs_reauth: Annotated[int, Field(description="Grants that died")]
    connected: Annotated[int, Field(description="Connections activated, for the first time or again")]
    disconnected: int


class Reconciliation(TypedDict):
    """What the last recount of the trail and the tables found."""

    at: Time
    day: Annotated[str, Field(description="The UTC day whose entries were recounted")]
    drift: Annotated[dict[str, int], Field(description="Counter and what it lacks; empty when all agree")]


class AdminStats(TypedDict):
    """Counters of all time and of the last days: the same cost however many connections there are."""

    users: int
    connections: ConnectionCounts
    sign_ins: Counts
    refreshes: Counts
    refresh_failures: Failures
    needs_reauth_reasons: dict[str, int]
    refusals: Refusals
    today: Today
    days: Annotated[list[CountedDay], Field(description="Oldest first, today last")]
    reconciliation: Reconciliation | None


class OfferedService(TypedDict):
    """A service as a connect page draws it."""

    id: str
    display_name: str
    icon: Annotated[str, Field(description="A key into the interface's own set of pictures")]
    connect: Annotated[
        Literal["redirect", "api_key"], Field(description="By a connect session, or by the user's own key")
    ]
    access: Annotated[list[str], Field(description="Named access levels, from less to more")]
    default_access: str | None
    tokens: list[str]
    state: Literal["available", "not_configured", "disabled", "degraded"]
    docs_url: str | None


class OfferedProvider(TypedDict):
    """A provider, and what can be connected there."""

    id: str
    display_name: str
    icon: str
    state: Literal["available", "not_configured", "disabled", "degraded"]
    retry_at: Annotated[int | None, Field(description="When a provider that is down is called again, epoch seconds")]
    max_live_grants_per_user: Annotated[
        int | None, Field(description="More consents of one account than these end the oldest, without a word")
    ]
    sign_in: bool
    services: list[OfferedService]


class ProviderList(TypedDict):
    """Every provider of the deployment."""

    providers: list[OfferedProvider]


class JwkSet(TypedDict):
    """RFC 7517 section 5: public halves only."""

    keys: list[dict[str, str]]


class AuthorizationServerMetadata(TypedDict):
    """RFC 8414 section 2; more members than these."""

    issuer: Url
    authorization_endpoint: Url
    token_endpoint: Url
    jwks_uri: Url
    response_types_supported: list[str]
    code_challenge_methods_supported: list[str]


class OpenIdConfiguration(AuthorizationServerMetadata):
    """OpenID Connect Discovery 1.0 section 3; more members than these."""

    userinfo_endpoint: Url
    end_session_endpoint: Url
    subject_types_supported: list[str]
    id_token_signing_alg_values_supported: list[str]


class OpenApi(TypedDict):
    """OpenAPI 3.1; more members than these."""

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]


class Health(TypedDict):
    """The function runs."""

    status: Literal["ok"]


# OAuth


class TokenRequest(TypedDict):
    """RFC 6749 sections 4.1.3 and 6."""

    grant_type: Literal["authorization_code", "refresh_token"]
    code: NotRequired[str]
    redirect_uri: NotRequired[str]
    code_verifier: NotRequired[str]
    refresh_token: NotRequired[str]
    scope: NotRequired[str]
    resource: NotRequired[str]
    client_id: NotRequired[str]
    client_secret: NotRequired[str]
    client_assertion: NotRequired[str]
    client_assertion_type: NotRequired[str]


class TokenResponse(TypedDict):
    """RFC 6749 section 5.1, OpenID Connect Core section 3.1.3.3."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str
    refresh_token: NotRequired[str]
    id_token: NotRequired[str]


class RevocationRequest(TypedDict):
    """RFC 7009 section 2.1."""

    token: Annotated[str, Field(min_length=1)]
    token_type_hint: NotRequired[str]
    client_id: NotRequired[str]
    client_secret: NotRequired[str]
    client_assertion: NotRequired[str]
    client_assertion_type: NotRequired[str]


class IntrospectionRequest(RevocationRequest):
    """RFC 7662 section 2.1."""


class Introspection(TypedDict):
    """RFC 7662 section 2.2; of a token that is not good, `active` alone."""

    active: bool
    token_type: NotRequired[str]
    iss: NotRequired[str]
    sub: NotRequired[str]
    aud: NotRequired[str]
    client_id: NotRequired[str]
    scope: NotRequired[str]
    sid: NotRequired[str]
    jti: NotRequired[str]
    iat: NotRequired[int]
    exp: NotRequired[int]
    auth_time: NotRequired[int]
    role: NotRequired[str]


class UserInfo(TypedDict):
    """OpenID Connect Core section 5.4, by the scopes of the token."""

    sub: str
    name: NotRequired[str]
    picture: NotRequired[str]
    locale: NotRequired[str]
    updated_at: NotRequired[int]
    email: NotRequired[str]
    email_verified: NotRequired[bool]


class EndSessionRequest(TypedDict, total=False):
    """OpenID Connect RP-Initiated Logout 1.0 section 2."""

    id_token_hint: str
    client_id: str
    post_logout_redirect_uri: str
    state: str
    ui_locales: str
    logout_hint: str


class AuthorizationRequest(TypedDict):
    """RFC 6749 section 4.1.1, RFC 7636, OpenID Connect Core section 3.1.2.1."""

    response_type: Literal["code"]
    client_id: str
    redirect_uri: str
    scope: str
    code_challenge: str
    code_challenge_method: Literal["S256"]
    state: NotRequired[str]
    nonce: NotRequired[str]
    provider: NotRequired[str]
    prompt: NotRequired[str]
    max_age: NotRequired[str]
    login_hint: NotRequired[str]
    resource: NotRequired[str]
    response_mode: NotRequired[Literal["query"]]


Whole = Annotated[int, Field(ge=0, le=999_999_999_999)]

PARAMETERS: dict[str, tuple[Any, str]] = {
    "user_id": (UserId, "Whose, by the client's own id; for a client's key, and not with user_sub"),
    "user_sub": (Id, "Whose, by our id; not with user_id"),
    "service": (str, "Only of this service"),
    "status": (ConnectionStatus, "Only with this status"),
    "limit": (Annotated[int, Field(ge=1, le=100)], "Entries on a page, 25 unless said"),
    "cursor": (
        Annotated[str, Field(min_length=1)],
        "The cursor of the page before; opaque, and good for the same caller and question only",
    ),
    "days": (Annotated[int, Field(ge=1, le=90)], "How many days to show, today among them; 30 unless said"),
    "keep_current": (Literal["true", "false"], "Leave the session this is asked in; `false` unless said"),
    "token": (str, "Which token of the connection, `main` unless said; Slack has `bot` and `user`"),
    "min_ttl": (Annotated[int, Field(ge=0, le=86_400)], "Seconds the token should still be good for, 60 unless said"),
    "rejected_generation": (Whole, "The provider answered 401 to the token of this generation"),
    "scopes": (str, "The provider's scopes the caller cannot do without, separated by spaces"),
    "response_type": (Literal["code"], "RFC 6749 section 4.1.1"),
    "client_id": (str, "The client"),
    "redirect_uri": (str, "Registered for the client, exactly; any port on a loopback address"),
    "scope": (str, "Has `openid` in it"),
    "code_challenge": (Annotated[str, Field(min_length=43, max_length=43)], "RFC 7636 section 4.2"),
    "code_challenge_method": (Literal["S256"], "RFC 7636 section 4.3"),
    "state": (str, "Comes back unchanged"),
    "nonce": (str, "Comes back in the ID token"),
    "provider": (str, "Who signs the user in; without it a page lets him choose"),
    "prompt": (str, "`none`, `login`, `consent`, `select_account` (OpenID Connect Core section 3.1.2.1)"),
    "max_age": (Annotated[int, Field(ge=0)], "Seconds since the user last proved himself at the provider"),
    "login_hint": (str, "Passed on to the provider"),
    "resource": (str, "A registered API of the team the access token is for (RFC 8707)"),
    "response_mode": (Literal["query"], "How the answer comes"),
    "id_token_hint": (str, "The session's ID token, expired or not"),
    "post_logout_redirect_uri": (str, "Registered for the client, exactly"),
    "ui_locales": (str, "Not used"),
    "logout_hint": (str, "Not used"),
    "code": (str, "The provider's"),
    "error": (str, "The provider's"),
    "iss": (str, "The provider's issuer (RFC 9207)"),
}
