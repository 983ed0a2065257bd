"""
What a route promises: read by the function that enforces it, and by what describes the API.

An operation is made when its function starts, so it is a handful of words: the types of bodies are named, and stand in
`edge.schemas`, which no function loads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Caller = Literal["user", "user_key", "client_key", "operator_key"]

PERSON: tuple[Caller, ...] = ("user",)
TEAM: tuple[Caller, ...] = ("user", "client_key")
# A user's own key reads and uses his connections. It signs nobody in, so it never confirms who came back in a browser.
KEYS_TOO: tuple[Caller, ...] = ("user", "user_key", "client_key")
CLIENT: tuple[Caller, ...] = ("client_key",)
OPERATOR: tuple[Caller, ...] = ("user", "operator_key")
ANY: tuple[Caller, ...] = ("user", "client_key", "operator_key")


@dataclass(frozen=True, slots=True)
class Access:
    """
    Who may call a route under /v1.

    Args:
        scope: Which a principal must have (RFC 6750 section 3.1).
        callers: Kinds of principals; another kind is answered 403 whatever its scopes.
        owned: It is about one person's things: to everybody else they do not exist (404), by their ids and in lists.
        recent: A user must have signed in at most 15 minutes ago; no key ever did.
        others: What everybody else is answered who names a thing of his.
        elsewhere: What he himself is answered at a client that his thing is not at, or that he does not let use it;
            None where that makes no difference.
    """

    scope: str
    callers: tuple[Caller, ...] = TEAM
    owned: bool = False
    recent: bool = False
    others: int = 404
    elsewhere: int | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """
    One route as the description of the API shows it; its name and words are its handler's.

    Args:
        answers: The type of a good answer's body in `edge.schemas`; None when there is none.
        status: Of a good answer.
        media: Its media type; the body of one that is not JSON is a string, that of `image/*` bytes.
        also: Other media types it may come in, strings as well.
        conditional: It carries an ETag, and what the caller has already is answered with 304.
        versioned: It changes what the caller has read: If-Match is required (RFC 6585 section 3), and what was changed
            meanwhile is answered with 412.
        takes: The type of the JSON body.
        form: The type of the form body (application/x-www-form-urlencoded).
        query: Parameters, by their names in `edge.schemas.PARAMETERS` or `edge.admin_schemas.ADMIN_PARAMETERS`; `*name`
            is required, and `name:of` is a parameter `name` that means something else elsewhere.
        access: None where everybody may call, or where the route has OAuth's own rules (`security`).
        security: How an OAuth endpoint tells who calls: by the client's authentication, or an access token.
        errors: Statuses besides those every such route may answer.
        fails: In which form errors come: RFC 9457, RFC 6749, or a page for people.
    """

    answers: str | None = None
    status: int = 200
    media: str = "application/json"
    also: tuple[str, ...] = ()
    conditional: bool = False
    versioned: bool = False
    takes: str | None = None
    form: str | None = None
    query: tuple[str, ...] = ()
    access: Access | None = None
    security: Literal["client", "confidential_client", "access_token"] | None = None
    errors: tuple[int, ...] = ()
    fails: Literal["problem", "oauth", "page"] = "problem"
