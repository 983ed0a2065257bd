"""Client authentication at our token, revocation and introspection endpoints (RFC 6749 section 2.3)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import NoReturn
from urllib.parse import unquote_plus

from grantkeeper import ids
from grantkeeper.errors import OAuthError
from grantkeeper.model import AuthMethod, Client
from grantkeeper.ports import Clients

_NO_SUCH_SECRET = ids.digest("an unknown client costs the same comparison")
MAX_HEADER = 1024


def authenticate_client(form: Mapping[str, str], headers: Mapping[str, str], *, clients: Clients) -> Client:
    """
    Tell which client calls, by exactly one method, and the one it registered.

    Args:
        form: The form body, each parameter once.
        headers: Lower-case names.

    Returns:
        An active client; a public one has only named itself.

    Raises:
        OAuthError: `invalid_request` for two methods at once, `invalid_client` (401) for everything else.
            An unknown client and a wrong secret read the same.
    """
    method, client_id, secret = _presented(form, headers)
    client = clients.get(client_id) if ids.is_id(client_id) else None
    hashes = client.secret_hashes if client is not None and secret is not None else ()
    matched = _matches(secret or "", hashes or (_NO_SUCH_SECRET,))

    if client is None or client.status != "active" or client.token_endpoint_auth_method != method:
        _refuse()
    if method != "none" and not (matched and hashes):
        _refuse()
    return client


def _presented(form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[AuthMethod, str, str | None]:
    header = headers.get("authorization")
    if "client_assertion" in form or "client_assertion_type" in form:
        raise OAuthError("invalid_client", "Client assertions are not supported here.", status=401)
    if header is not None:
        if "client_secret" in form:
            raise OAuthError("invalid_request", "The client authenticates in two ways at once.")
        client_id, secret = _basic(header)
        if form.get("client_id", client_id) != client_id:
            raise OAuthError("invalid_request", "The client names itself in two ways.")
        return "client_secret_basic", client_id, secret
    client_id = form.get("client_id", "")
    if not client_id:
        _refuse()
    if "client_secret" in form:
        return "client_secret_post", client_id, form["client_secret"]
    return "none", client_id, None


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
    except (binascii.Error, UnicodeError):
        _refuse()


def _matches(secret: str, hashes: tuple[str, ...]) -> bool:
    """Against every live secret, in constant time each."""
    presented = ids.digest(secret)
    return bool(sum([ids.same(presented, expected) for expected in hashes]))


def _refuse() -> NoReturn:
    raise OAuthError("invalid_client", "Client authentication failed.", status=401)
