"""Client authentication at our token, revocation and introspection endpoints (RFC 6749 section 2.3)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import unquote_plus

from grantkeeper import ids
from grantkeeper.edge.client_assertions import ASSERTION_TYPE, claimed_client_id, verify_assertion
from grantkeeper.errors import OAuthError
from grantkeeper.model import AuthMethod, Client
from grantkeeper.ports import Clients, RateLimits

_NO_SUCH_SECRET = ids.digest("an unknown client costs the same comparison")
MAX_HEADER = 1024


@dataclass(frozen=True, slots=True)
class _Presented:
    """What a request says of its client, not yet believed."""

    method: AuthMethod
    client_id: str
    secret: str | None = field(default=None, repr=False)
    assertion: str = field(default="", repr=False)


def authenticate_client(
    form: Mapping[str, str],
    headers: Mapping[str, str],
    *,
    clients: Clients,
    audiences: tuple[str, ...],
    used_assertions: RateLimits,
    now: int,
) -> Client:
    """
    Tell which client calls, by exactly one method, and the one it registered.

    Args:
        form: The form body, each parameter once.
        headers: Lower-case names.
        audiences: What a client assertion may be for: our issuer, our token endpoint.
        used_assertions: Remembers assertions, each good once.
        now: Epoch seconds.

    Returns:
        An active client; a public one has only named itself.

    Raises:
        OAuthError: `invalid_request` for two methods at once, `invalid_client` (401) for everything else.
            An unknown client and a wrong secret read the same.
        StoreUnavailable: It cannot be known now.
    """
    presented = _presented(form, headers)
    client = clients.get(presented.client_id) if ids.is_id(presented.client_id) else None
    hashes = client.secret_hashes if client is not None and presented.secret is not None else ()
    matched = _matches(presented.secret or "", hashes or (_NO_SUCH_SECRET,))

    if client is None or client.status != "active" or client.token_endpoint_auth_method != presented.method:
        _refuse()
    if presented.method == "private_key_jwt":
        verify_assertion(presented.assertion, client=client, audiences=audiences, used=used_assertions, now=now)
    elif presented.method != "none" and not (matched and hashes):
        _refuse()
    return client


def claimed_client(form: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """
    The client that a request says it is of, believed by nobody yet.

    Raises:
        OAuthError: As `authenticate_client`.
    """
    return _presented(form, headers).client_id


def _presented(form: Mapping[str, str], headers: Mapping[str, str]) -> _Presented:
    header = headers.get("authorization")
    ways = [name for name in ("client_secret", "client_assertion") if name in form]
    if len(ways) + (header is not None) > 1:
        raise OAuthError("invalid_request", "The client authenticates in two ways at once.")
    if header is not None:
        client_id, secret = _basic(header)
        presented = _Presented("client_secret_basic", client_id, secret)
    elif "client_assertion" in form:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            _refuse()
        assertion = form["client_assertion"]
        presented = _Presented("private_key_jwt", claimed_client_id(assertion), assertion=assertion)
    elif "client_secret" in form:
        presented = _Presented("client_secret_post", form.get("client_id", ""), form["client_secret"])
    else:
        presented = _Presented("none", form.get("client_id", ""))
    if not presented.client_id:
        _refuse()
    if form.get("client_id", presented.client_id) != presented.client_id:
        raise OAuthError("invalid_request", "The client names itself in two ways.")
    return presented


def _basic(header: str) -> tuple[str, str]:
    """Both halves are form-encoded before they are joined (RFC 6749 section 2.3.1)."""
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic" or len(credentials) > MAX_HEADER:
        _refuse()
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True).decode("utf-8")
        client_id, separator, secret = decoded.partition(":")
        if not separator:
            _refuse()
        return unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except ValueError:  # not base64, not ASCII, not UTF-8
        _refuse()


def _matches(secret: str, hashes: tuple[str, ...]) -> bool:
    """Against every live secret, in constant time each."""
    presented = ids.digest(secret)
    return bool(sum([ids.same(presented, expected) for expected in hashes]))


def _refuse() -> NoReturn:
    raise OAuthError("invalid_client", "Client authentication failed.", status=401)
