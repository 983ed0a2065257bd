"""
What the description of the API says in words of its own: how to authenticate, every kind of error, examples.

The errors are those of `grantkeeper.errors`, so that one who adds a class has told it here as well.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from grantkeeper import errors
from grantkeeper.edge.http import PROBLEM_BASE

REFERENCE = "#/components/schemas/{model}"
TAGS = {  # the functions, in the order and the words of the pages
    "connections": ("Connections", "Connect services, list and disconnect them"),
    "refresh": ("Tokens", "Working access tokens, and profiles read again"),
    "session": ("Sessions", "Tokens of ours (OAuth 2.0, OpenID Connect)"),
    "authorize": ("Signing in", "Sending the browser to a provider"),
    "callback": ("Coming back", "The provider's redirect"),
    "account": ("Account", "A user's own account"),
    "admin_stats": ("Numbers", "Statistics, for people and for Prometheus"),
    "admin": ("Administration", "For operators"),
    "discovery": ("Public", "What everybody may know"),
    "console": ("Console", "The console's pages"),
}
STATUSES = {
    400: "Something in the request is wrong", 401: "The credential is missing or not valid",
    403: "The credential may not do this", 404: "Unknown, or somebody else's",
    409: "It stands otherwise than this needs", 410: "It is over", 412: "It was changed meanwhile",
    413: "The body is over 64 KiB", 415: "The body is of another type", 422: "It cannot be done",
    428: "If-Match is missing", 429: "Too many requests; see Retry-After",
    500: "A fault of ours", 502: "The provider's answer cannot be used",
    503: "We or the provider cannot answer now; see Retry-After",
}  # fmt: skip


ABOUT = """
## How to authenticate

Send exactly one credential, in a header; in a URL or a body it is none.

| Who calls | Credential | Header |
|---|---|---|
| a user, at a client | an access token of ours: the code flow at `/oauth2/authorize` | `Authorization: Bearer` |
| a user's program | an API key of his own, from `POST /v1/api-keys` | `X-API-Key` |
| a client's backend | an API key of the client's, from its operator | `X-API-Key` |
| an operator | an API key of the deployment's | `X-API-Key` |

`x-access` says of every operation under `/v1` which scope it takes, from which of these callers, whether it is about
one person's things (somebody else is answered as for an unknown id), and whether one must have signed in within 15
minutes. The same as a table: docs/access.md.

## Connecting a service

1. A backend, or a page with its user's token, calls `POST /v1/connect-sessions` and sends the browser to `connect_url`.
2. The user consents at the provider and comes back to `redirect_uri` with `connect_session` and `confirmation`.
3. Whoever serves that page calls `POST /v1/connect-sessions/{{id}}/complete` for the user who is signed in there.
4. The backend reads `GET /v1/connections/{{id}}/token` whenever it needs a token, and keeps none. If the provider
   answers 401 to it, it asks again with `rejected_generation`.

## Errors

Under `/v1` an error is `application/problem+json` (RFC 9457); its `type` is one of these. OAuth's endpoints answer
`error` and `error_description` (RFC 6749 section 5.2), pages for people are HTML. Where there is a `Retry-After`,
waiting helps. Members beside the usual ones are named in the third column.

| `type`: {base}… | Status | Meaning |
|---|---|---|
{catalogue}
""".strip()

EXAMPLES: Mapping[str, Any] = {
    "ConnectSessionRequest": {
        "service": "gmail", "redirect_uri": "https://app.example/connected", "user_id": "42", "access": "read",
        "state": "from-my-page",
    },
    "ConnectSession": {
        "id": "5yBh0Bd6PcSGAyUOQiGrRWZMLJs0MzmZpbOWIFXnVWo",
        "connect_url": "https://id.example.com/connect/7V0mS8kq3mT5y9v0WmJ0hKQe2b0uT0s1b3xw2Fq9c8A",
        "expires_at": 1800000600,
    },
    "Confirmation": {"confirmation": "Jb0f0yZ2Yv0q4L2c3m7Zt7n1r5u8wQeXkTzVdHsGaPo", "user_id": "42"},
    "ApiKeyConnection": {"service": "heygen", "label": "production", "secret": "the user's own key", "user_id": "42"},
    "ApiKeyRequest": {"name": "nightly export", "scopes": ["connections:read"], "expires_in_days": 30},
    "ProfileChange": {"name": "Ada", "locale": "de-AT"},
    "TokenRequest": {
        "grant_type": "authorization_code", "code": "wq0pJx6l3S8nTg1vK5bE7yRzA2dFhMoCiUuXtNsQjLk",
        "redirect_uri": "https://app.example/callback", "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "client_id": "my-app",
    },
    "RevocationRequest": {"token": "gkr_family_wq0pJx6l3S8nTg1vK5bE7yRzA2dFhMoCiUuXtNsQjLk", "client_id": "my-app"},
    "IntrospectionRequest": {"token": "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.c2lnbmF0dXJl"},
    "Token": {
        "kind": "oauth2", "access_token": "ya29.a0AfH6SMBx", "token_type": "Bearer", "expires_at": 1800003599,
        "scopes": ["https://www.googleapis.com/auth/gmail.readonly"], "generation": 7, "connection_id": "con_4f3k2m1x",
    },
    "problem-401": {
        "type": f"{PROBLEM_BASE}unauthenticated", "title": "Authentication required", "status": 401,
        "detail": "The credential is not valid.", "instance": "urn:request:JKJaXmPLvHcESHA=",
        "error": "invalid_token",
    },
    "problem-403": {
        "type": f"{PROBLEM_BASE}insufficient-scope", "title": "Insufficient scope", "status": 403,
        "detail": "The scope connections:token is needed.", "instance": "urn:request:JKJaXmPLvHcESHA=",
        "scope": "connections:token",
    },
    "problem-409": {
        "type": f"{PROBLEM_BASE}reauthorization-required", "title": "Reauthorization required", "status": 409,
        "detail": "The user must connect again.", "instance": "urn:request:JKJaXmPLvHcESHA=",
        "reason": "revoked_by_user",
    },
}  # fmt: skip


def about() -> str:
    """The text that the pages begin with."""
    rows = (f"| `{error.slug}` | {error.status} | {_meaning(error)} |" for error in kinds())
    return ABOUT.format(base=f"`{PROBLEM_BASE}`", catalogue="\n".join(rows))


def kinds() -> Iterator[type[errors.GrantkeeperError]]:
    """Every kind of problem, in the order of `grantkeeper.errors`; one without a slug is told as its base."""
    found = (value for value in vars(errors).values() if inspect.isclass(value))
    for value in found:
        if issubclass(value, errors.GrantkeeperError) and value is not errors.OAuthError and "slug" in vars(value):
            yield value


def example(name: str) -> dict[str, Any]:
    """The members that show an example of a type or a response; none where there is none."""
    return {"example": EXAMPLES[name]} if name in EXAMPLES else {}


def _meaning(error: type[errors.GrantkeeperError]) -> str:
    words = "A fault of ours." if error is errors.GrantkeeperError else inspect.getdoc(error) or ""
    return " ".join(words.partition("\n\n")[0].split()).replace("*", "").replace("|", "/")


def _failure(form: str, status: int) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": {"$ref": REFERENCE.format(model="Problem")}}}
    oauth = {"application/json": {"schema": {"$ref": REFERENCE.format(model="OAuthProblem")}}}
    page = {"text/html": {"schema": {"type": "string"}}}
    # What is wrong before a route is reached is told in one form, whatever form the route itself would use.
    content = {"problem": problem, "oauth": oauth | problem, "page": page | problem}[form]
    content = {
        media: value | (example(f"{form}-{status}") if "problem" in media else {}) for media, value in content.items()
    }
    described: dict[str, Any] = {"description": STATUSES[status], "content": content}
    if status in (429, 503):
        described["headers"] = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds"}}
    return described


FAILURES: Mapping[str, Any] = {
    f"{form}-{status}": _failure(form, status) for form in ("problem", "oauth", "page") for status in STATUSES
}

SECURITY: Mapping[str, Any] = {
    "user": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A user's access token"},
    "user_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A user's own key"},
    "client_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A client's key"},
    "operator_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The operator's key"},
    "client": {"type": "http", "scheme": "basic", "description": "The client's id and secret, here or in the form"},
}

IF_MATCH: Mapping[str, Any] = {
    "name": "If-Match", "in": "header", "required": True, "schema": {"type": "string"},
    "description": "The ETag of the state the change is of (RFC 9110 section 13.1.1)",
}  # fmt: skip
