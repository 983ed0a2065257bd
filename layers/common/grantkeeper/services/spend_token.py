"""
Ask the provider: spend a refresh token, or probe a token that cannot be refreshed.

Every call ends in one of two ways: `Answered`, with the bytes to seal, or `Refused`, with what it means. A call whose
outcome is unknown is made once more with the same token, within the same lease; a provider that did not obey the
first time obeys now, one with a grace period repeats itself, and one that obeyed and forgets answers dead, which
`uncertain` remembers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from grantkeeper.errors import ProviderUnavailable, TokenResponseRejected
from grantkeeper.oauth.endpoints import callback_uri, resolve
from grantkeeper.oauth.profile_request import profile_request, refused_in_body, trouble_in_body
from grantkeeper.oauth.token_request import refresh_request
from grantkeeper.oauth.token_response import failure, granted, sealable, succeeds
from grantkeeper.services.lease_policy import CALL_BUDGET, SAVE_RESERVE, SECOND_CALL_NEEDS
from grantkeeper.services.refresh_run import RefreshPorts, Run

if TYPE_CHECKING:
    from grantkeeper.model import Grant, HttpRequest, HttpResponse, Reason, TokenSet
    from grantkeeper.providers.record import ProfileRequest, Provider

TOO_MANY = 429
PAUSE_BEFORE_SECOND_CALL = 0.5  # at most, in seconds


@dataclass(frozen=True, slots=True)
class Answered:
    """The provider granted: what to seal, as it came."""

    plaintext: bytes = field(repr=False)
    received_at: int


@dataclass(frozen=True, slots=True)
class Refused:
    """
    The provider did not grant, or nobody knows.

    `uncertain`: some call of this lease may have been obeyed and its answer lost, so its outcome is not known whatever
    came after it. `throttled`: it said 429, which may be meant for this connection alone.
    """

    kind: Literal["dead", "transient", "config", "user_action", "unknown"]
    error: str | None = None  # a registered code, for the caller
    reason: Reason | None = None
    retry_after: int | None = None
    uncertain: bool = False
    throttled: bool = False

    @property
    def why(self) -> str:
        """The reason in one word, for the metrics; never the provider's own text."""
        if self.throttled:
            return "throttled"
        return {"transient": "unavailable", "config": "misconfigured"}.get(self.kind, "refused")


Ask = Callable[[], Answered | Refused]


def ask_provider(ask: Ask, *, run: Run) -> Answered | Refused:
    """Call, and call once more when the outcome is unknown and the time allows it."""
    first = ask()
    if isinstance(first, Answered) or not first.uncertain or run.remaining < SECOND_CALL_NEEDS:
        return first
    run.sleep(run.jitter(PAUSE_BEFORE_SECOND_CALL))
    second = ask()
    return second if isinstance(second, Answered) else replace(second, uncertain=True)


def spending(grant: Grant, tokens: TokenSet, *, provider: Provider, issuer: str, ports: RefreshPorts, run: Run) -> Ask:
    """
    Prepare the refresh of a grant; everything that can fail before the provider is called fails here.

    Args:
        grant: Whose registration and endpoint variables are used.
        tokens: Its open token set, with a refresh token.
        provider: Its record.
        issuer: Our own, for the providers that want our redirect_uri again.

    Raises:
        ProviderNotConfigured: The registration went away.
        StoreUnavailable: Its secret cannot be read.
    """
    credentials = ports.credentials.by_client_id(provider.credentials_id, grant.credentials_id)
    request = refresh_request(
        provider,
        credentials,
        refresh_token=tokens.refresh_token or "",
        scopes=grant.scopes,
        redirect_uri=callback_uri(issuer, provider.id),
        variables=grant.variables,
    )

    resolved = resolve(provider, grant.variables)

    def judge(http: HttpResponse) -> Answered | Refused:
        now = run.clock()
        if _grants(http, grant, tokens, provider=provider, run=run):
            body = sealable(
                http.body,
                provider=resolved,
                name=grant.name,
                previous=tokens,
                received_at=now,
                client_id=grant.credentials_id,
            )
            return Answered(body, now)
        failed = failure(http, provider=provider, now=now)
        reason = _reason(failed.reason) if failed.kind == "dead" else None
        throttled = http.status == TOO_MANY
        return Refused(failed.kind, failed.error, reason, failed.retry_after, failed.outcome_unknown, throttled)

    return _asking(request, judge, ports=ports, run=run)


def _grants(http: HttpResponse, grant: Grant, spent: TokenSet, *, provider: Provider, run: Run) -> bool:
    """Tell whether an answer holds what must be kept: the token, or at least a new refresh token."""
    try:
        held = granted(http, provider=provider, names=[grant.name], lenient=True)
        return bool(held) or succeeds(http, provider=provider, name=grant.name, spent=spent)
    except Exception as error:  # noqa: BLE001 - a bug of ours: what came with a success is kept for better code to read
        run.report("answer_unreadable", {"connection_id": grant.connection_id, "error": type(error).__name__})
        return 200 <= http.status < 300


def probing(
    grant: Grant, tokens: TokenSet, plaintext: bytes, *, provider: Provider, ports: RefreshPorts, run: Run
) -> Ask:
    """
    Prepare the probe of a token that was reported rejected and cannot be refreshed.

    The provider is asked who the token belongs to. 401 is a dead answer, any other answer but 429 and 5xx shows that
    the token is known, and then the same set is kept as a new generation. Where nobody can be asked (a user's own API
    key, OAuth 1.0a), the report stands for itself.
    """
    probe = _probe(resolve(provider, grant.variables))
    if probe is None or grant.kind != "oauth2":
        return lambda: Refused("dead", reason="credentials_rejected")
    request = profile_request(probe, tokens.access_token, {"metadata": tokens.metadata})
    if request is None:
        return lambda: Refused("dead", reason="credentials_rejected")

    def judge(http: HttpResponse) -> Answered | Refused:
        now = run.clock()
        if http.status == 401 or refused_in_body(probe, http, provider):
            return Refused("dead", reason="credentials_rejected")
        if http.status == TOO_MANY or http.status >= 500 or trouble_in_body(probe, http, provider):
            retry_after = failure(http, provider=provider, now=now).retry_after
            return Refused("transient", retry_after=retry_after, throttled=http.status == TOO_MANY)
        return Answered(plaintext, now)

    asking = _asking(request, judge, ports=ports, run=run)

    def ask() -> Answered | Refused:
        answer = asking()
        return replace(answer, uncertain=False) if isinstance(answer, Refused) else answer  # a probe spends nothing

    return ask


def _probe(provider: Provider) -> ProfileRequest | None:
    """The request that tells whose token it is, if the provider has one."""
    from grantkeeper.providers.record import ProfileRequest  # noqa: PLC0415 - comes with the provider, not before it

    with_us = ("oauth1", "introspection")  # opened by our registration beside the token, which is not at hand here
    always = (request for request in provider.profile.requests if request.when == "always" and not request.optional)
    asked = (request for request in always if request.auth not in with_us)
    request = next(asked, None)
    if request is None and provider.userinfo_endpoint is not None:
        return ProfileRequest("userinfo", provider.userinfo_endpoint)
    return request


def _asking(
    request: HttpRequest, judge: Callable[[HttpResponse], Answered | Refused], *, ports: RefreshPorts, run: Run
) -> Ask:
    http = ports.provider_http  # built before the call, where it may still fail

    def ask() -> Answered | Refused:
        budget = min(CALL_BUDGET, run.remaining - SAVE_RESERVE)
        if budget <= 0:
            return Refused("transient")
        try:
            return judge(http.send(request, budget=budget))
        except ProviderUnavailable as error:
            return Refused("transient", retry_after=error.retry_after, uncertain=error.outcome_unknown)
        except TokenResponseRejected:  # an answer too large to be one: it may have been a grant
            return Refused("transient", uncertain=True)

    return ask


def _reason(reason: str | None) -> Reason:
    match reason:
        case (
            "revoked_by_user"
            | "expired_unused"
            | "expired_no_refresh_token"
            | "spent_elsewhere"
            | "rotation_outcome_unknown"
            | "credentials_rejected"
            | "scopes_missing"
            | "identity_changed"
        ):
            return reason
        case _:
            return "revoked_by_user"
