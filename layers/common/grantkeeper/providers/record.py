"""
The provider record: an authorization server and its dialect, as data.

Names come from RFC 8414, RFC 7591 and OpenID Connect Discovery where they
have one. The defaults describe a plain RFC 6749 server, so that such a
provider needs an id, two endpoints and its scopes. Every departure from the
standard is a named field; no code asks which provider it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from grantkeeper.model import AuthMethod

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ScopeParameter:
    """
    A second scope parameter beside the first, e.g. Slack's `user_scope`.

    Among our names its scopes carry `prefix`, so that one list holds both kinds; the provider never sees the prefix.
    """

    parameter: str
    prefix: str
    separator: str | None = None  # None: as the first parameter's


@dataclass(frozen=True, slots=True)
class ScopeRule:
    """How scopes travel (RFC 6749 section 3.3 says: `scope`, separated by spaces)."""

    parameter: str | None = "scope"  # None: the provider has no scope parameter
    separator: str = " "
    response_separator: str | None = None  # None: as `separator`
    aliases: Mapping[str, str] = field(default_factory=dict)  # name in the answer → name asked for
    strip_prefixes: tuple[str, ...] = ()  # "https://graph.microsoft.com/" before a scope means nothing
    case_insensitive: bool = False
    never_returned: tuple[str, ...] = ()  # asked for, never listed in the answer (offline_access)
    omitted_means: Literal["requested", "unknown"] = "requested"
    extra: tuple[ScopeParameter, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenPath:
    """Where one named token stands in the token response: JSON pointers (RFC 6901)."""

    name: str = "main"
    access_token: str = "/access_token"
    refresh_token: str = "/refresh_token"
    expires_in: str = "/expires_in"
    scope: str = "/scope"
    token_type: str = "/token_type"
    optional: bool = False
    scope_prefix: str = ""  # of this token's scopes among ours, see `ScopeParameter`


@dataclass(frozen=True, slots=True)
class TokenResponseRule:
    """What a token response looks like (RFC 6749 section 5.1)."""

    encoding: Literal["json", "form"] = "json"  # form: old servers that answer application/x-www-form-urlencoded
    token_types: tuple[str, ...] = ("bearer",)  # lower case; what `token_type` may say (Slack: "bot", "user")
    success_pointer: str | None = None  # e.g. "/ok"; with `success_value` it must hold beside HTTP 2xx
    success_value: Any = True
    error_pointer: str = "/error"
    more_error_pointers: tuple[str, ...] = ()  # where else a failure's code may stand, e.g. "/error/.tag"
    tokens: tuple[TokenPath, ...] = (TokenPath(),)
    flat_refresh: bool = False  # a refresh answers flat, whatever the nesting of the first answer
    refresh_token_expires_in: str | None = None
    id_token: str = "/id_token"
    metadata: Pairs = ()  # (name, pointer) to keep
    # (name, pointer) into the validated ID token, to keep beside `metadata`: a refresh may bring no ID token
    kept_claims: Pairs = ()
    default_expires_in: int | Literal["never", "unknown"] = "unknown"


@dataclass(frozen=True, slots=True)
class RefreshRule:
    """How the provider refreshes. The defaults are the safe side: assume a rotated token dies at once."""

    supported: Literal["always", "conditional", "never"] = "always"
    rotation: Literal["none", "optional", "always"] = "optional"
    previous_refresh_token: Literal["valid", "grace", "revoked"] = "revoked"
    grace_seconds: int = 0
    grace_answer: Literal["same", "another"] = "another"  # to a replay in that time: `another` makes the first void
    previous_access_token: Literal["valid", "revoked"] = "valid"
    absolute_days: int | None = None
    inactivity_days: int | None = None
    keepalive_days: int | None = None
    max_live_grants_per_user: int | None = None
    # what the schedule may ask of the provider; an operator's own record can say otherwise
    max_per_minute: int = 3000
    max_concurrent: int = 50
    throttled: Literal["application", "connection"] = "application"  # whom a 429 of the token endpoint speaks of


@dataclass(frozen=True, slots=True)
class RevocationRule:
    """How a grant is revoked upstream, and what else goes with it."""

    kind: Literal["rfc7009", "custom", "none"] = "none"
    method: Literal["POST", "DELETE"] = "POST"
    url_template: str | None = None  # custom only; {client_id} and {token} are filled in, percent-encoded
    auth: Literal["client", "client_secret_basic", "client_secret_post", "bearer", "none"] = "client"
    encoding: Literal["form", "json", "none"] = "form"
    token_parameter: str = "token"
    token_hint: Literal["refresh_token", "access_token"] = "refresh_token"
    requires_live_access_token: bool = False
    effect: Literal["token", "grant", "installation", "project_user"] = "grant"
    success_statuses: tuple[int, ...] = (200, 204)
    success_pointer: str | None = None  # must be true in the body, for those who refuse in a 200 (Slack: "/ok")
    tokens: tuple[str, ...] = ()  # which named tokens are revoked; empty: all. Slack's bot token is the workspace's
    gone: tuple[str, ...] = ("invalid_token", "invalid_grant")  # error codes that mean: revoked already
    manual_url: str | None = None


@dataclass(frozen=True, slots=True)
class ProfileRequest:
    """
    One call of the profile probe, with the access token as Bearer unless `auth` says otherwise.

    `url` may hold places of answers before it (`{metadata#/user_id}`, percent-encoded) and `{token}`, for the APIs that
    want the token in the path. Without the answer of an `optional` one the profile is poorer and the account still
    known: it is asked briefly, and what goes wrong with it is passed over.
    """

    name: str
    url: str
    method: Literal["GET", "POST"] = "GET"
    headers: Pairs = ()
    body: str | None = None  # JSON, e.g. a GraphQL query; None with POST: an empty body
    # none: `{token}` in the URL carries it; introspection: in the body, beside our own credentials (RFC 7662)
    auth: Literal["bearer", "query", "none", "oauth1", "introspection"] = "bearer"
    token_parameter: str = "access_token"  # with auth="query"
    success_pointer: str | None = None  # must be true in the body, for those who refuse in a 200 (Slack: "/ok")
    when: Literal["always", "email_missing", "no_id_token"] = "always"  # no_id_token: after the trip that brought one
    optional: bool = False


@dataclass(frozen=True, slots=True)
class AvatarRule:
    """
    Where a picture of the account is.

    `url`: at `map["avatar_url"]`. `computed`: composed by `template` from places of the answers (Discord). `binary`: at
    the address `template`, to be fetched with the access token; never shown as a URL, since nobody else can open it.
    """

    kind: Literal["url", "computed", "binary"] = "url"
    template: str | None = None


@dataclass(frozen=True, slots=True)
class SameAccount:
    """What an answer tells of the account must be one of the values that were kept when it was connected."""

    told: str  # "userinfo#/sub"
    kept: tuple[str, ...]  # ("metadata#/sub",)


@dataclass(frozen=True, slots=True)
class ProfileRule:
    """
    Where the profile comes from.

    `map` gives, per field of `model.Profile`, places tried in order: `"id_token#/sub"`, `"token_response#/data/gid"`,
    `"metadata#/team_id"` (what the record keeps of token responses, known after a refresh too) or
    `"<request name>#/pointer"`. `"emails#primary_verified"` is the one named selector (GitHub's list of addresses).
    `id_template` composes `provider_user_id` from such places: `"{id_token#/tid}:{id_token#/oid}"`.
    """

    requests: tuple[ProfileRequest, ...] = ()
    map: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            "provider_user_id": ("id_token#/sub", "userinfo#/sub"),
            "email": ("id_token#/email", "userinfo#/email"),
            "email_verified": ("id_token#/email_verified", "userinfo#/email_verified"),
            "name": ("id_token#/name", "userinfo#/name"),
            "avatar_url": ("id_token#/picture", "userinfo#/picture"),
            "locale": ("id_token#/locale", "userinfo#/locale"),
        }
    )
    id_template: str | None = None
    # how a later answer shows that it is of the account that was connected, where the id itself cannot be asked again;
    # empty: the answers alone tell the id
    same_account: tuple[SameAccount, ...] = ()
    # by_presence: the provider shows verified addresses only
    email_verified_policy: Literal["claim", "by_presence", "always_false"] = "always_false"
    email_verified_values: tuple[Any, ...] = (True,)  # what counts as yes, of exactly this type (Zoom: 1)
    avatar: AvatarRule = AvatarRule()


@dataclass(frozen=True, slots=True)
class PostConnect:
    """
    A question asked once the account is known; its answer is kept beside the connection: the sites a token is good for.

    It is asked with the access token, after every connect and at every sync. `request.name` is what the answer is kept
    under; `keep` names values of each entry of the list at `entries`. Without the answer of a `required` one there is
    no connection; otherwise the connection is made without it, or keeps what it had.
    """

    request: ProfileRequest
    keep: Pairs  # (name, pointer into an entry)
    entries: str = ""  # pointer to the list; "": the answer is the list
    required: bool = False


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One row of an error table; the most specific match wins (number of fields that are set)."""

    outcome: Literal["dead", "transient", "config", "user_action"]
    error: str | None = None
    status: int | None = None
    status_class: int | None = None  # 5 for 5xx
    error_code: str | None = None  # Microsoft's error_codes[], Google's error_subtype
    body_text: str | None = None
    reason: str | None = None  # a model.Reason for dead rows


DEFAULT_ERRORS: tuple[ErrorRule, ...] = (
    ErrorRule("dead", error="invalid_grant"),
    ErrorRule("config", error="invalid_client"),
    ErrorRule("config", error="unauthorized_client"),
    ErrorRule("config", error="invalid_scope"),
    ErrorRule("config", error="unsupported_grant_type"),
    ErrorRule("transient", error="temporarily_unavailable"),
    ErrorRule("transient", error="server_error"),
    ErrorRule("transient", error="slow_down"),
    ErrorRule("transient", status=408),
    ErrorRule("transient", status=429),
    ErrorRule("transient", status_class=5),
)


@dataclass(frozen=True, slots=True)
class RedirectUriRule:
    """What the provider accepts as redirect_uri, so that a local set-up can be checked."""

    localhost: Literal["allowed", "forbidden"] = "allowed"  # over http
    loopback_ip: Literal["allowed", "forbidden"] = "allowed"
    query: Literal["allowed", "forbidden"] = "allowed"
    max_length: int | None = None  # characters of the whole URL


@dataclass(frozen=True, slots=True)
class OAuth1Rule:
    """OAuth 1.0a (RFC 5849): `authorization_endpoint` and `token_endpoint` are steps two and three of section 2."""

    request_token_endpoint: str
    signature_method: Literal["HMAC-SHA1", "PLAINTEXT"] = "HMAC-SHA1"
    request_method: Literal["GET", "POST"] = "POST"  # of both token requests
    denied_parameter: str = "denied"  # in the callback of a user who declined


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the endpoints' host or path, e.g. `{tenant}`."""

    name: str
    pattern: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """What a user connects at a provider: named access levels, scopes, a probe."""

    id: str
    display_name: str
    access: Mapping[str, tuple[str, ...]]  # level → scopes, e.g. {"read": (...), "write": (...)}
    default_access: str = "read"
    base_scopes: tuple[str, ...] = ()  # always asked for, e.g. ("openid", "email")
    offline_scopes: tuple[str, ...] = ()  # e.g. ("offline_access",)
    docs_url: str | None = None
    icon: str | None = None  # key into a frontend's icon set; None: the id


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact of the record was read, and when."""

    url: str
    checked: str  # yyyy-mm-dd
    status: Literal["verified", "unverified"] = "verified"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """An authorization server and its dialect."""

    id: str
    display_name: str
    authorization_endpoint: str
    token_endpoint: str
    protocol: Literal["oauth2", "oidc", "oauth1", "api_key"] = "oidc"  # api_key: users bring keys they made there
    credentials_ref: str | None = None  # whose registration it shares; None: its own
    variables: tuple[Variable, ...] = ()

    issuer: str | None = None
    issuer_template: str | None = None  # "https://…/{tenantid}/v2.0"
    issuer_claims: Pairs = ()  # (template variable, claim)
    issuer_aliases: tuple[str, ...] = ()
    # the ID token's claim that names the user's organisation, set by the provider and never by the user or its operator
    organization_claim: str | None = None
    refresh_endpoint: str | None = None  # None: token_endpoint
    revocation_endpoint: str | None = None
    introspection_endpoint: str | None = None
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    jwks_uri: str | None = None
    authorization_response_iss: Literal["absent", "if_present", "required"] = "if_present"

    response_mode: Literal["query", "form_post"] = "query"
    pkce: Literal["required", "supported", "unsupported"] = "supported"  # always S256
    nonce: bool = True
    id_token_signed_response_alg: Literal["RS256", "ES256", "PS256", "EdDSA"] = "RS256"
    prompt_values_supported: tuple[str, ...] = ()  # of sign-in: "none", "login", "select_account"

    scope: ScopeRule = ScopeRule()
    signin_scopes: tuple[str, ...] = ()  # empty: cannot sign users in
    services: tuple[Service, ...] = ()
    authorization_params: Pairs = ()
    signin_params: Pairs = ()
    connect_params: Pairs = ()

    token_endpoint_auth_method: AuthMethod = "client_secret_basic"
    token_request_encoding: Literal["form", "json"] = "form"
    token_request_headers: Pairs = (("accept", "application/json"),)
    code_params: Pairs = ()
    refresh_params: Pairs = ()
    refresh_sends_redirect_uri: bool = False
    refresh_sends_scope: bool = False

    token_response: TokenResponseRule = TokenResponseRule()
    refresh: RefreshRule = RefreshRule()
    revocation: RevocationRule = RevocationRule()
    profile: ProfileRule = ProfileRule()
    post_connect: tuple[PostConnect, ...] = ()
    errors: tuple[ErrorRule, ...] = ()  # beside DEFAULT_ERRORS, and above them
    redirect_uris: RedirectUriRule = RedirectUriRule()
    allow_private_addresses: bool = False  # local use only; refused in a deployed record
    oauth1: OAuth1Rule | None = None  # with protocol="oauth1"
    registration_url: str | None = None  # where an operator registers
    icon: str | None = None  # key into a frontend's icon set; None: the id
    sources: tuple[Source, ...] = ()

    @property
    def credentials_id(self) -> str:
        """The provider id under which the registration (client_id, secret) is kept."""
        return self.credentials_ref or self.id

    def service(self, service_id: str) -> Service | None:
        """The service of this id, if the provider has it."""
        return next((s for s in self.services if s.id == service_id), None)
