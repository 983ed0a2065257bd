"""The next generation of a grant, made of a provider's answer: sealed as it came, read as far as it can be read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grantkeeper import ids
from grantkeeper.errors import TokenResponseRejected
from grantkeeper.model import Binding
from grantkeeper.oauth.token_response import normalise_scopes, token_set
from grantkeeper.services.forecast import keepalive_of, plan
from grantkeeper.services.lease_policy import CLOCK_SKEW, has_strike
from grantkeeper.services.refresh_run import Cause, Run
from grantkeeper.services.spend_token import Answered

if TYPE_CHECKING:
    from grantkeeper.model import Grant, TokenSet
    from grantkeeper.ports import SealingKey
    from grantkeeper.providers.record import Provider

ASK_AGAIN = 45  # seconds after which a set that is no use is followed by another refresh
UNREADABLE_AGAIN = 300  # seconds after which an answer without a readable token is followed by another refresh
MOST_SCOPES = 16_384  # characters beside the sealed set; an item holds 400 KB and must hold the set first


@dataclass(frozen=True, slots=True)
class Facts:
    """What the row says beside the sealed set: for the index and the readers, without a secret."""

    expires_at: int | None
    scopes: tuple[str, ...]
    refreshable: bool
    due_at: int | None
    servable: bool = True
    suspect: bool = False
    refresh_token_expires_at: int | None = None
    reconnect_by: int | None = None


def successor(
    grant: Grant,
    answered: Answered,
    *,
    spent: TokenSet,
    provider: Provider,
    key: SealingKey,
    cause: Cause,
    run: Run,
) -> Grant:
    """
    Make generation g + 1, ready to be saved. Total: whatever the provider answered, there is something to save.

    What is no use to a caller, since it lacks an access token, has ended as it came, cannot be read or belongs to
    somebody else (`same_account`), is marked as rejected from the start, so that nobody is served it, and its refresh
    token is spent next, within the hour's cap. Of a stranger's set the first counts as a strike, the next one as the
    second.

    Args:
        grant: Generation g.
        answered: The bytes to seal.
        spent: The token set of generation g.
        provider: Its record reads the answer.
        key: In hand since before the call.
        cause: Goes with the save into the audit entry.
    """
    facts = _facts(grant, answered, spent=spent, provider=provider, run=run)
    generation = grant.generation + 1
    strikes = (grant.strikes if is_suspect(grant) else 0) + 1 if facts.suspect else 0
    return replace(
        grant,
        n=grant.n + 1,
        generation=generation,
        sealed=key.seal(answered.plaintext, binding=replace(Binding.of(grant), n=grant.n + 1)),
        scopes=facts.scopes,
        refreshed_at=answered.received_at,
        write_id=run.new_id("w"),
        reason="identity_changed" if facts.suspect else None,
        expires_at=facts.expires_at,
        refreshable=facts.refreshable,
        due_at=facts.due_at,
        refresh_token_expires_at=facts.refresh_token_expires_at,
        reconnect_by=facts.reconnect_by,
        warned_of=cause.warned_of or grant.warned_of,
        previous_refresh_token_hash=None if spent.refresh_token is None else ids.digest(spent.refresh_token),
        rejected_generation=grant.rejected_generation if facts.servable else generation,
        strikes=strikes,
        strike_generation=generation if strikes else 0,
        strike_at=answered.received_at if strikes else 0,
        caused_by=cause.caused_by,
        actor=cause.actor,
        request_id=cause.request_id,
    )


def read_tokens(plaintext: bytes, *, grant: Grant, provider: Provider, to_spend: bool = False) -> TokenSet:
    """
    Read an open set.

    Args:
        to_spend: For the provider alone: a refresh token without an access token, and a set that may be a stranger's,
            are read as well.

    Raises:
        TokenResponseRejected: It holds no access token, or somebody else's.
    """
    tokens = token_set(plaintext, provider=provider, name=grant.name, to_spend=to_spend)
    if tokens.suspect is not None and not to_spend:
        raise TokenResponseRejected("The tokens are not this account's.", reason="identity_changed")
    return tokens


def is_suspect(grant: Grant) -> bool:
    """Tell whether the set that is stored now came as somebody else's."""
    return grant.reason == "identity_changed" and has_strike(grant)


def can_refresh(grant: Grant, tokens: TokenSet, *, provider: Provider) -> bool:
    """Tell whether there is a refresh token to spend, at a provider that takes one."""
    return grant.kind == "oauth2" and tokens.refresh_token is not None and provider.refresh.supported != "never"


def keepalive_at(grant: Grant, *, provider: Provider) -> int | None:
    """When an unused grant must be refreshed so that it does not expire unused; None when it does not."""
    return keepalive_of(grant, rule=provider.refresh)


def _facts(grant: Grant, answered: Answered, *, spent: TokenSet, provider: Provider, run: Run) -> Facts:
    now = answered.received_at
    try:
        return _read_facts(grant, answered, provider=provider, run=run)
    except Exception as error:  # noqa: BLE001 - an odd answer or a bug of ours: neither may cost a grant
        # saved all the same: the refresh token in it may be the only one that is good
        run.report("answer_unreadable", {"connection_id": grant.connection_id, "error": type(error).__name__})
        if spent.refresh_token is None:  # a probe: the set is the one there was, and so is what it is good for
            return _as_forecast(Facts(grant.expires_at, grant.scopes, grant.refreshable, grant.due_at), grant)
        facts = Facts(now, grant.scopes, True, due_at=now + UNREADABLE_AGAIN, servable=False)
        return _as_forecast(facts, grant)


def _read_facts(grant: Grant, answered: Answered, *, provider: Provider, run: Run) -> Facts:
    now = answered.received_at
    tokens = read_tokens(answered.plaintext, grant=grant, provider=provider, to_spend=True)
    if tokens.suspect is not None or not tokens.access_token:
        run.report("answer_suspect" if tokens.suspect else "answer_incomplete", {"connection_id": grant.connection_id})
        facts = Facts(now, grant.scopes, True, now + ASK_AGAIN, servable=False, suspect=tokens.suspect is not None)
        return _as_forecast(facts, grant)
    refreshable = can_refresh(grant, tokens, provider=provider)
    planned = plan(
        tokens,
        rule=provider.refresh,
        refreshable=refreshable,
        consented_at=grant.consented_at,
        received_at=now,
        rng=run.rng,
        before=grant,
    )
    # an empty scope says nothing: providers without scopes send one
    told = normalise_scopes(provider, tokens.scopes, grant.scopes) if tokens.scopes else grant.scopes
    if sum(map(len, told)) > MOST_SCOPES:
        told = grant.scopes
    useless = refreshable and tokens.expires_at is not None and tokens.expires_at <= now + CLOCK_SKEW
    if useless:
        run.report("answer_expired", {"connection_id": grant.connection_id})
    return Facts(
        tokens.expires_at,
        told,
        refreshable,
        now + UNREADABLE_AGAIN if useless else planned.due_at,
        servable=not useless,
        refresh_token_expires_at=planned.refresh_token_expires_at,
        reconnect_by=planned.reconnect_by,
    )


def _as_forecast(facts: Facts, grant: Grant) -> Facts:
    """What cannot be read moves no forecast."""
    return replace(facts, refresh_token_expires_at=grant.refresh_token_expires_at, reconnect_by=grant.reconnect_by)
