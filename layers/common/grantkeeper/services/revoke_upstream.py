"""
Revocation at the provider, after a disconnect: from the queue, under the lease, within the radius rule, to the end.

The local revoke was first and is final (C-58). What happens here is decided when it runs, not when it was asked for: a
user who connected again meanwhile is not cut off.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from grantkeeper import ids
from grantkeeper.errors import ProviderUnavailable, RefreshPending, TokenResponseRejected, UnknownProvider
from grantkeeper.model import AuditEvent, Binding, Connection, Grant, TokenSet
from grantkeeper.providers.record import Provider
from grantkeeper.services.lease_policy import CLOCK_SKEW, START_NEEDS, Wait
from grantkeeper.services.open_grant import open_grant
from grantkeeper.services.refresh_run import Cause, RefreshPorts, Run
from grantkeeper.services.revocation_radius import reaches_others, within_reach
from grantkeeper.services.save_first import save_first
from grantkeeper.services.spend_token import Refused, ask_provider, spending
from grantkeeper.services.successor import can_refresh, read_tokens, successor
from grantkeeper.services.take_lease import Held, Overtaken, close_lease, let_go, take_lease
from grantkeeper.services.tell_provider import tell_provider

THE_END = 7 * 86_400  # seconds after the disconnect when an unreachable provider is given up and the secrets go
LATER = 60
RECORDS_KNOWN_AFTER = 5 * 60  # seconds after which every environment has looked at the deployment's records again

Outcome = Literal["revoked", "gone", "not_supported", "shared_grant_kept", "abandoned", "nothing"]
_WORST_FIRST: tuple[Outcome, ...] = ("not_supported", "revoked", "gone")


@dataclass(frozen=True, slots=True)
class _Target:
    connection: Connection
    grant: Grant
    held: Held
    provider: Provider


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of one token set, and the write that stored it."""

    outcome: Outcome
    write_id: str


def revoke_upstream(connection_id: str, *, cause: Cause, ports: RefreshPorts, run: Run) -> Outcome:
    """
    Revoke a disconnected connection's grants at their provider, then erase the sealed sets.

    Args:
        connection_id: A revoked connection; any other is left alone.
        cause: On whose behalf, for the audit entry.

    Returns:
        `revoked`, `gone` or `not_supported` as the provider said; `shared_grant_kept`: it was not told, because that
        would have cut off another live connection; `abandoned`: given up after a week; all of these erased the sealed
        sets. `nothing`: there was nothing to do.

    Raises:
        RefreshPending: A refresh holds the lease; `retry_after`.
        ProviderUnavailable, ProviderMisconfigured, ProviderNotConfigured, StoreUnavailable, GrantUnreadable: To be
        tried
            again.
    """
    connection = ports.connections.get(connection_id)
    sealed = sealed_grants(connection_id, ports=ports)
    if connection is None or connection.status != "revoked" or not sealed:
        return "nothing"
    provider = _provider(connection, ports=ports, run=run)
    if provider is None or connection.kind == "api_key":
        return _erase(connection, "not_supported", cause=cause, ports=ports, run=run)
    if run.clock() >= connection.updated_at + THE_END:
        run.report("revocation_abandoned", {"connection_id": connection.id, "provider": connection.provider})
        return _erase(connection, "abandoned", cause=cause, ports=ports, run=run)

    with ExitStack() as leases:
        targets = [_target(connection, grant, provider, leases=leases, ports=ports, run=run) for grant in sealed]
        # Only now, with nobody refreshing: who else stands under this grant?
        again = ports.connections.get(connection_id)
        if again is None or again.status != "revoked":
            return "nothing"
        if reaches_others(provider, _others(connection, provider, ports=ports, run=run)):
            return _erase(connection, "shared_grant_kept", cause=cause, ports=ports, run=run)
        done = [_revoke(target, cause=cause, ports=ports, run=run) for target in targets]
        outcome: Outcome = next(
            (worst for worst in _WORST_FIRST if any(worst == each.outcome for each in done)), "nothing"
        )
        # What came late meanwhile, from the rescue queue or a slow holder, nobody has revoked: it is next.
        told = {each.write_id for each in done}
        return _erase(connection, outcome, write_ids=told, cause=cause, ports=ports, run=run)


def _others(connection: Connection, provider: Provider, *, ports: RefreshPorts, run: Run) -> tuple[str, ...]:
    reached = within_reach(
        connection,
        provider=provider,
        connections=ports.connections,
        credentials=ports.credentials,
        now=run.clock(),
    )
    return tuple(each for each in reached if each != connection.id)


def sealed_grants(connection_id: str, *, ports: RefreshPorts) -> Sequence[Grant]:
    """Grants of a revoked connection whose sealed sets are not erased yet."""
    grants = [ports.grants.get(connection_id, name) for name in ports.grants.names(connection_id)]
    return [grant for grant in grants if grant is not None and grant.status == "revoked" and grant.sealed]


def _provider(connection: Connection, *, ports: RefreshPorts, run: Run) -> Provider | None:
    """
    None when the operator removed the record: there is nobody left to tell.

    An environment looks at the records once a minute, so one that it does not know may as well be new: what is at stake
    is a token that would live on, so removed is what is still not there a while after the disconnect.
    """
    try:
        return ports.catalog.get(connection.provider)
    except UnknownProvider:
        if run.clock() < connection.updated_at + RECORDS_KNOWN_AFTER:
            raise ProviderUnavailable("The provider's record is not known here yet.", retry_after=LATER) from None
        return None


def _target(
    connection: Connection, grant: Grant, provider: Provider, *, leases: ExitStack, ports: RefreshPorts, run: Run
) -> _Target:
    """Take the lease, so that no refresh is in flight, and read again what there is to revoke."""
    taken = take_lease(grant, token=grant.grant_id, rule=provider.refresh, ports=ports, run=run)
    if isinstance(taken, Overtaken):
        raise RefreshPending("The grant has moved on.", retry_after=1)
    if isinstance(taken, Wait):
        raise RefreshPending("A refresh is under way.", retry_after=max(taken.seconds, 1))
    leases.push(_settling(taken, ports=ports, run=run))
    current = ports.grants.get(grant.connection_id, grant.name)
    if current is None or current.generation != grant.generation or current.status != "revoked":
        raise RefreshPending("The grant has moved on.", retry_after=1)
    return _Target(connection, current, taken, provider)


def _settling(held: Held, *, ports: RefreshPorts, run: Run) -> Callable[..., None]:
    """Give the lease back, unless a refresh under it ended in an unknown outcome."""

    def settle(_kind: object, error: BaseException | None, _traceback: object) -> None:
        if not (isinstance(error, ProviderUnavailable) and error.outcome_unknown):
            let_go(held, ports=ports, run=run)

    return settle


def _revoke(target: _Target, *, cause: Cause, ports: RefreshPorts, run: Run) -> _Done:
    grant, provider = target.grant, target.provider
    plaintext = open_grant(grant, ports=ports, run=run)
    try:
        tokens = read_tokens(plaintext, grant=grant, provider=provider, to_spend=True)
    except TokenResponseRejected:
        return _Done("not_supported", grant.write_id)
    if tokens.suspect is not None:
        return _Done("not_supported", grant.write_id)  # somebody else's: not this user's to revoke
    if _must_be_live(grant, tokens, provider=provider, run=run):
        grant, fresh = _live(target, tokens, cause=cause, ports=ports, run=run)
        if fresh is None:
            # One refusal proves nothing: the provider is told all the same, before what it may still honour is erased.
            with contextlib.suppress(ProviderUnavailable):
                tell_provider(grant, tokens, provider=provider, ports=ports, run=run)
            return _Done("gone", grant.write_id)
        tokens = fresh
    return _Done(tell_provider(grant, tokens, provider=provider, ports=ports, run=run), grant.write_id)


def _must_be_live(grant: Grant, tokens: TokenSet, *, provider: Provider, run: Run) -> bool:
    expired = tokens.expires_at is not None and tokens.expires_at <= run.clock() + CLOCK_SKEW
    return provider.revocation.requires_live_access_token and expired and can_refresh(grant, tokens, provider=provider)


def _live(
    target: _Target, tokens: TokenSet, *, cause: Cause, ports: RefreshPorts, run: Run
) -> tuple[Grant, TokenSet | None]:
    """
    Refresh first, where the provider revokes only what still works.

    The new set is put in safety before it is used, as any answer is; when no store takes it, it is revoked all the
    same, from memory.

    Returns:
        The grant as it is now, and its open set: None when the provider does not know it any more.
    """
    grant, provider = target.grant, target.provider
    if run.remaining < START_NEEDS:
        raise ProviderUnavailable("There is no time left for a refresh in this call.", retry_after=LATER)
    key = ports.vault.prepare(Binding.of(grant), sealed=grant.sealed)
    ask = spending(grant, tokens, provider=provider, issuer=ports.issuer, ports=ports, run=run)
    answer = ask_provider(ask, run=run)
    if isinstance(answer, Refused):
        if answer.kind == "dead":
            return grant, None
        raise ProviderUnavailable(
            "The provider did not refresh what is to be revoked.",
            outcome_unknown=answer.uncertain,
            retry_after=answer.retry_after or LATER,
        )
    made = successor(grant, answer, spent=tokens, provider=provider, key=key, cause=cause, run=run)
    if save_first(made, ports=ports, run=run).where == "revoked":
        close_lease(target.held, ports=ports)
    fresh = read_tokens(answer.plaintext, grant=made, provider=provider, to_spend=True)
    return made, fresh if fresh.suspect is None else None


def _erase(
    connection: Connection,
    outcome: Outcome,
    *,
    cause: Cause,
    ports: RefreshPorts,
    run: Run,
    write_ids: Collection[str] | None = None,
) -> Outcome:
    audit = AuditEvent(
        id=ids.new_id("evt"),
        time=run.clock(),
        action="grant.erased",
        actor=cause.actor,
        sub=connection.sub,
        connection_id=connection.id,
        client_id=connection.client_id,
        provider=connection.provider,
        service=connection.service,
        request_id=cause.request_id,
        details={"upstream": outcome},
    )
    ports.connections.erase(connection.id, audit=audit, write_ids=write_ids)
    return outcome
