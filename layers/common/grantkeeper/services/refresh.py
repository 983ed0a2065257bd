"""
The refresh protocol (refresh.md): at most one refresh of a grant in flight anywhere, and no answer lost.

    read ─ open ─ LEASE ─ re-read ─ key in hand ─ provider ─ SAVE ─ read the answer
                    │                                │         │
                    └ others poll the generation     │         └ DynamoDB down: rescue queue
                                                     └ unknown outcome: the lease stays

The lease keeps two from asking the provider at once. It does not guard the
save: that is fenced on the generation, because a late holder whose refresh
token is still the current one holds its only valid successor.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grantkeeper.errors import (
    ConnectionRevoked,
    ProviderMisconfigured,
    ProviderUnavailable,
    RefreshPending,
)
from grantkeeper.model import Binding
from grantkeeper.services.before_the_call import count_caller, outlived, refuse_early, refuse_outlived
from grantkeeper.services.dead_answer import dead_answer, declare, suspect_answer, usable
from grantkeeper.services.expiring import mirror_forecast
from grantkeeper.services.lease_policy import (
    CLOCK_SKEW,
    Wait,
    has_strike,
    is_strict,
    until_grown,
)
from grantkeeper.services.mirror_scopes import mirror_scopes
from grantkeeper.services.open_grant import open_grant
from grantkeeper.services.provider_health import note_failure, note_success
from grantkeeper.services.refresh_run import Cause, RefreshPorts, Run, provider_of
from grantkeeper.services.report_registration import report_registration
from grantkeeper.services.save_first import save_first
from grantkeeper.services.spend_token import Answered, Ask, Refused, ask_provider, probing, spending
from grantkeeper.services.successor import can_refresh, is_suspect, read_tokens, successor
from grantkeeper.services.take_lease import (
    PATIENCE,
    Held,
    Overtaken,
    close_lease,
    let_go,
    take_lease,
    wait_for_generation,
)

if TYPE_CHECKING:
    from grantkeeper.model import Grant, Lease, Reason, TokenSet
    from grantkeeper.ports import SealingKey
    from grantkeeper.providers.record import Provider

PROVIDER_DOWN = 15
REGISTRATION_REFUSED = 300


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The grant as it is now; `plaintext` is its open set when we made it ourselves."""

    grant: Grant
    plaintext: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Job:
    """One refresh under way."""

    grant: Grant
    plaintext: bytes = field(repr=False)
    tokens: TokenSet
    provider: Provider
    cause: Cause


def refresh(grant: Grant, *, cause: Cause, ports: RefreshPorts, run: Run, patience: float = PATIENCE) -> Refreshed:
    """
    Refresh a grant once, or wait for whoever is doing it.

    What cannot be refreshed is probed instead when it was reported rejected, and declared when it has expired.

    Args:
        grant: As just read, consistently; active.
        cause: Why, and on whose behalf.
        patience: Seconds to wait for another holder.

    Returns:
        The newer grant; the same one when it is younger than a minute or there was nothing to do.

    Raises:
        RefreshPending: Somebody else refreshes, or the outcome of a crash is not known yet; `retry_after`.
        ProviderUnavailable: Down, slow or throttling; `retry_after`.
        TooManyRequests: Forced or reported too often within the hour.
        ProviderMisconfigured: Our registration was refused; no connection was touched.
        ReauthorizationRequired: The grant is dead for good.
        ConnectionRevoked: It was disconnected; tokens that came too late are on their way to revocation.
        GrantUnreadable: The stored set is not what was written.
        StoreUnavailable: DynamoDB or KMS is down; no status was changed.
    """
    if until_grown(grant, now=run.clock()):
        return Refreshed(grant)
    provider = provider_of(grant, ports=ports)
    plaintext = open_grant(grant, ports=ports, run=run)
    tokens = read_tokens(plaintext, grant=grant, provider=provider, to_spend=True)
    job = _Job(grant, plaintext, tokens, provider, cause)
    refreshable = can_refresh(grant, job.tokens, provider=provider)
    if not refreshable and _has_expired(grant, run):
        return Refreshed(declare(grant, reason="expired_no_refresh_token", cause=cause, ports=ports, run=run))
    if not refreshable and grant.rejected_generation != grant.generation:
        return Refreshed(grant)

    refuse_early(grant, ports=ports, run=run)
    token = job.tokens.refresh_token if refreshable else job.tokens.access_token
    taken = take_lease(grant, token=token or "", rule=provider.refresh, ports=ports, run=run)
    if isinstance(taken, Held):
        return _under_lease(job, taken, refreshable=refreshable, ports=ports, run=run)
    if isinstance(taken, Overtaken):
        return _overtaken(job, taken, ports=ports, run=run)
    return _wait(job, taken, patience=patience, ports=ports, run=run)


def _has_expired(grant: Grant, run: Run) -> bool:
    return grant.expires_at is not None and run.clock() >= grant.expires_at + CLOCK_SKEW


def _overtaken(job: _Job, taken: Overtaken, *, ports: RefreshPorts, run: Run) -> Refreshed:
    """What we read was old; or the row was put back under the lease of a generation that it does not know."""
    current = usable(ports.grants.get(job.grant.connection_id, job.grant.name))
    if current.generation < taken.generation:
        outlived(current, cause=job.cause, ports=ports, run=run)
    return Refreshed(current)


def _wait(job: _Job, wait: Wait, *, patience: float, ports: RefreshPorts, run: Run) -> Refreshed:
    grant = job.grant
    if wait.orphan:  # or a lease whose holder has saved: then what we read is old
        current = usable(ports.grants.get(grant.connection_id, grant.name))
        newer = current if current.generation != grant.generation else None
        if newer is None:  # nor was it saved and then put back
            refuse_outlived(current, cause=job.cause, ports=ports, run=run)
    else:
        newer = wait_for_generation(grant, patience=patience, ports=ports, run=run)
    if newer is not None:
        return Refreshed(usable(newer))
    raise RefreshPending("Another caller is refreshing this connection.", retry_after=max(wait.seconds, 1))


def _under_lease(job: _Job, held: Held, *, refreshable: bool, ports: RefreshPorts, run: Run) -> Refreshed:
    """Steps 3 to 6: re-read, key in hand, provider, save."""
    with _given_back_on_error(held, ports=ports, run=run):
        current = usable(ports.grants.get(job.grant.connection_id, job.grant.name))
        if current.generation != job.grant.generation:
            let_go(held, ports=ports, run=run)
            return Refreshed(current)
        if refreshable and is_strict(job.provider.refresh):
            refuse_outlived(current, cause=job.cause, ports=ports, run=run)
        key = ports.vault.prepare(Binding.of(current), sealed=current.sealed)
        ask = _prepare(job, current, refreshable=refreshable, ports=ports, run=run)
        count_caller(current, cause=job.cause, ports=ports, run=run)
        refuse_early(current, ports=ports, run=run)  # all this may have taken long, and a strike have been stored

    answer = ask_provider(ask, run=run)
    if isinstance(answer, Refused):
        return _refused(current, answer, job=job, held=held, ports=ports, run=run)
    return _save(current, answer, key=key, job=job, ports=ports, run=run)


def _prepare(job: _Job, current: Grant, *, refreshable: bool, ports: RefreshPorts, run: Run) -> Ask:
    if refreshable:
        return spending(current, job.tokens, provider=job.provider, issuer=ports.issuer, ports=ports, run=run)
    return probing(current, job.tokens, job.plaintext, provider=job.provider, ports=ports, run=run)


@contextlib.contextmanager
def _given_back_on_error(held: Held, *, ports: RefreshPorts, run: Run) -> Iterator[None]:
    """Whatever stops us before the provider is called leaves no lease behind."""
    try:
        yield
    except Exception:
        let_go(held, ports=ports, run=run)
        raise


def _save(grant: Grant, answer: Answered, *, key: SealingKey, job: _Job, ports: RefreshPorts, run: Run) -> Refreshed:
    made = successor(grant, answer, spent=job.tokens, provider=job.provider, key=key, cause=job.cause, run=run)
    kept = save_first(made, ports=ports, run=run)

    note_success(grant.provider, ports=ports, run=run)
    if kept.where == "revoked":
        raise ConnectionRevoked("The connection was disconnected.")
    if kept.where == "moved":
        return Refreshed(usable(kept.current or ports.grants.get(grant.connection_id, grant.name)))
    if is_suspect(made):
        suspect_answer(made, saved=kept.where == "saved", cause=job.cause, ports=ports, run=run)
    if kept.where == "saved":
        mirror_scopes(grant, made, ports=ports, run=run)
        mirror_forecast(grant, made, ports=ports, run=run)
    if kept.where != "lost":
        run.report("refreshed", {"connection_id": made.connection_id, "token": made.name, "provider": made.provider})
    return Refreshed(made, answer.plaintext)


def _refused(grant: Grant, refused: Refused, *, job: _Job, held: Held, ports: RefreshPorts, run: Run) -> Refreshed:
    """Tell a dead grant from trouble. The lease goes back only when the outcome of every call under it is known."""
    if refused.kind == "dead":
        return _dead(grant, refused, job=job, held=held, ports=ports, run=run)
    if not refused.uncertain:
        let_go(held, ports=ports, run=run)
    run.report("refresh_failed", {"provider": grant.provider, "reason": refused.why})
    if refused.kind == "config":
        report_registration(grant, error=refused.error, ports=ports, run=run)
        raise ProviderMisconfigured(
            "The provider refused our registration.", retry_after=REGISTRATION_REFUSED, error=refused.error
        )
    if refused.kind == "transient":
        theirs_alone = refused.throttled and job.provider.refresh.throttled == "connection"
        asked = None if theirs_alone else refused.retry_after  # else Retry-After is for this connection
        note_failure(grant.provider, ports=ports, run=run, retry_after=asked)
    raise ProviderUnavailable(
        "The provider did not refresh this connection.",
        outcome_unknown=refused.uncertain,
        retry_after=refused.retry_after or PROVIDER_DOWN,
        error=refused.error,
    )


def _in_doubt(grant: Grant, orphan: Lease | None) -> bool:
    """
    Tell whether the lease we took over from leaves open what became of its call.

    A strike from before it was taken leaves none: the token was refused when its holder had not yet spent it. But a
    holder that had taken over itself carries on the doubt of the one before.
    """
    if orphan is None:
        return False
    return orphan.attempt > 1 or not (has_strike(grant) and grant.strike_at < orphan.taken_at)


def _dead(grant: Grant, refused: Refused, *, job: _Job, held: Held, ports: RefreshPorts, run: Run) -> Refreshed:
    """
    A dead answer after an unknown one is what a spent token gets: then the reason is ours, not the provider's.

    Such a lease stays until it expires, so that the next holder knows of the unknown outcome as well.
    """
    ours = (_in_doubt(grant, held.orphan) or refused.uncertain) and is_strict(job.provider.refresh)
    reason: Reason = "rotation_outcome_unknown" if ours else refused.reason or "revoked_by_user"
    if is_suspect(grant):  # what is refused now is what came as a stranger's
        reason = "identity_changed"
    try:
        return Refreshed(dead_answer(grant, lease=held.lease, reason=reason, cause=job.cause, ports=ports, run=run))
    finally:
        if not ours:
            close_lease(held, ports=ports)
