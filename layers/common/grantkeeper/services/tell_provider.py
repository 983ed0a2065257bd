"""One revocation at the provider: the request, and what its answer means (RFC 7009, or the record's own way)."""

from __future__ import annotations

from typing import Literal

from grantkeeper.errors import ProviderMisconfigured, ProviderUnavailable, TokenResponseRejected
from grantkeeper.model import Grant, HttpRequest, HttpResponse, TokenSet
from grantkeeper.oauth.answers import lenient_object
from grantkeeper.oauth.json_pointer import lookup
from grantkeeper.oauth.token_request import revocation_request
from grantkeeper.oauth.token_response import failure
from grantkeeper.providers.record import Provider
from grantkeeper.services.lease_policy import CALL_BUDGET
from grantkeeper.services.provider_health import note_failure
from grantkeeper.services.refresh_run import RefreshPorts, Run
from grantkeeper.services.report_registration import report_registration

Told = Literal["revoked", "gone", "not_supported"]

ANSWER_RESERVE = 3.0  # seconds a call leaves for what follows it
LEAST_BUDGET = 1.0
LATER = 60


def tell_provider(grant: Grant, tokens: TokenSet, *, provider: Provider, ports: RefreshPorts, run: Run) -> Told:
    """
    Revoke a token set upstream. Doing it again is harmless.

    Returns:
        `revoked`; `gone`: it was no longer known there; `not_supported`: there is no way, or the provider said so.

    Raises:
        ProviderUnavailable: To be tried again; `retry_after`.
        ProviderMisconfigured: Our registration was refused; to be tried again when an operator has acted.
        ProviderNotConfigured: The registration went away.
        StoreUnavailable: Its secret cannot be read.
    """
    if provider.revocation.tokens and grant.name not in provider.revocation.tokens:
        return "not_supported"  # not the user's alone to revoke, e.g. a workspace's bot token
    credentials = ports.credentials.by_client_id(provider.credentials_id, grant.credentials_id)
    request = revocation_request(provider, credentials, token_set=tokens, variables=grant.variables)
    if request is None:
        return "not_supported"
    now = run.clock()
    open_until = ports.breakers.open_until(provider.id)
    if open_until > now:
        raise ProviderUnavailable("The provider is not answering.", retry_after=open_until - now)

    answer = _send(request, grant, ports=ports, run=run)
    if _revoked(answer, provider):
        return "revoked"
    failed = failure(answer, provider=provider, now=run.clock())
    if failed.error in provider.revocation.gone or failed.kind == "dead":
        return "gone"
    if failed.kind == "config":
        report_registration(grant, error=failed.error, ports=ports, run=run)
        raise ProviderMisconfigured("The provider refused our registration.", error=failed.error)
    if failed.kind == "unknown" and 400 <= answer.status < 500 and answer.status not in (401, 403, 408, 429):
        return "not_supported"  # e.g. unsupported_token_type: asking again changes nothing (RFC 7009 section 2.2.1)
    _failed(grant, ports=ports, run=run, retry_after=failed.retry_after)
    raise ProviderUnavailable("The provider did not revoke.", retry_after=failed.retry_after or LATER)


def _revoked(answer: HttpResponse, provider: Provider) -> bool:
    rule = provider.revocation
    if answer.status not in rule.success_statuses:
        return False
    return rule.success_pointer is None or lookup(lenient_object(answer.body), rule.success_pointer) is True


def _send(request: HttpRequest, grant: Grant, *, ports: RefreshPorts, run: Run) -> HttpResponse:
    budget = min(CALL_BUDGET, run.remaining - ANSWER_RESERVE)
    if budget < LEAST_BUDGET:
        raise ProviderUnavailable("There is no time left to ask the provider.", retry_after=LATER)
    try:
        return ports.provider_http.send(request, budget=budget)
    except ProviderUnavailable as error:
        _failed(grant, ports=ports, run=run, retry_after=error.retry_after)
        # whether it arrived does not matter: revoking twice is harmless
        raise ProviderUnavailable("The provider did not answer.", retry_after=error.retry_after or LATER) from None
    except TokenResponseRejected:  # too much of an answer
        raise ProviderUnavailable("The provider's answer is too large.", retry_after=LATER) from None


def _failed(grant: Grant, *, ports: RefreshPorts, run: Run, retry_after: int | None) -> None:
    note_failure(grant.provider, ports=ports, run=run, retry_after=retry_after)
