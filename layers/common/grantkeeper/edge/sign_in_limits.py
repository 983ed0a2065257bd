"""Limits of the OAuth endpoints: how often they may be asked, and how fast anybody may guess at what they take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Protocol

from grantkeeper import ids
from grantkeeper.edge.http import Request
from grantkeeper.edge.oauth_clients import authenticate_client, claimed_client
from grantkeeper.edge.rate_limits import count_sign_in, note_failure, require_no_pause
from grantkeeper.errors import OAuthError, TooManyRequests
from grantkeeper.model import Client
from grantkeeper.ports import Clients, RateLimits
from grantkeeper.services.issue_tokens import parse_refresh_token


class SignInPorts(Protocol):
    """What it takes to know a client and to count; `Wiring` is one."""

    @property
    def issuer(self) -> str:
        """Our own."""

    @property
    def clients(self) -> Clients:
        """All there are."""

    @property
    def rate_limits(self) -> RateLimits:
        """The table of windows."""

    @property
    def calls_per_minute(self) -> int:
        """Of one client; sign-ins are a share of it."""


def limited_client(form: Mapping[str, str], request: Request, *, ports: SignInPorts, now: int) -> Client:
    """
    Authenticate the client of a request, and count the call: by the client that proved itself, else by the address.

    Raises:
        OAuthError: As `authenticate_client`; 429 `temporarily_unavailable` with `Retry-After`, because RFC 6749 has no
            word for it at this endpoint (RFC 6585 section 4 has the status).
        StoreUnavailable: It cannot be known, or not be counted, now.
    """
    limits = ports.rate_limits

    def authenticate() -> Client:
        return authenticate_client(
            form,
            request.headers,
            clients=ports.clients,
            audiences=(ports.issuer, f"{ports.issuer}/oauth2/token"),
            used_assertions=limits,
            now=now,
        )

    claimed = claimed_client(form, request.headers)
    name = f"client:{claimed}" if ids.is_id(claimed) else "client:"
    client = slowed(name, authenticate, wrong="invalid_client", request=request, limits=limits, now=now)
    proven = client.client_id if client.confidential else None
    try:
        count_sign_in(proven, request, limits=limits, per_minute=ports.calls_per_minute, now=now)
    except TooManyRequests as error:
        _too_many(error)
    return client


def slowed_refresh(
    form: Mapping[str, str], refresh: Callable[[], Mapping[str, Any]], *, request: Request, limits: RateLimits, now: int
) -> Mapping[str, Any]:
    """
    Refresh, with a pause for whoever sends a family's dead or wrong tokens again and again from one address.

    Raises:
        OAuthError: As the refresh; 429 `temporarily_unavailable` during a pause.
        StoreUnavailable: As the refresh.
    """
    token = parse_refresh_token(form.get("refresh_token", ""))
    if token is None:
        return refresh()
    name = f"refresh:{token.family}"
    return slowed(name, refresh, wrong="invalid_grant", request=request, limits=limits, now=now)


def slowed[R](
    credential: str, judge: Callable[[], R], *, wrong: str, request: Request, limits: RateLimits, now: int
) -> R:
    """Judge a credential unless its guesser must wait; the OAuth error `wrong` is a failure, and nothing else is."""
    try:
        require_no_pause(credential, request, limits=limits, now=now)
        return judge()
    except TooManyRequests as error:
        _too_many(error)
    except OAuthError as error:
        if error.error == wrong:
            note_failure(credential, request, limits=limits, now=now)
        raise


def _too_many(error: TooManyRequests) -> NoReturn:
    raise OAuthError("temporarily_unavailable", error.detail, status=429, retry_after=error.retry_after) from None
