"""Providers as operators see them: how each does, what is missing, and the switch. No secret is read for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from grantkeeper.admin_ports import BreakerFacts, BreakersSeen
from grantkeeper.errors import BadRequest
from grantkeeper.ports import Counters, Providers
from grantkeeper.providers.catalog import Catalog
from grantkeeper.providers.record import Provider
from grantkeeper.services.acting import Acting

MAX_REASON = 200

State = Literal["available", "not_configured", "disabled", "degraded"]


@dataclass(frozen=True, slots=True)
class SeenCredentials:
    """Whether there is a registration, whether it has a secret, and how many are live while one rotates."""

    registered: bool
    secret: bool
    live: int


@dataclass(frozen=True, slots=True)
class SeenProvider:
    """
    A provider with how it does. Times are epoch seconds.

    `last_error` is the registered code by which it refused our registration, as long as nothing has worked since.
    """

    provider: Provider
    state: State
    breaker: Literal["closed", "open", "half_open"]
    facts: BreakerFacts
    credentials: SeenCredentials
    connections: Mapping[str, int]


def list_providers(
    *, catalog: Catalog, provider_items: Providers, breakers: BreakersSeen, counters: Counters, now: int
) -> Sequence[SeenProvider]:
    """
    Every provider of the deployment, by id: two reads for all of them, and the counters.

    Raises:
        StoreUnavailable: A table does not answer.
    """
    providers = sorted(catalog.all(), key=lambda provider: provider.id)
    facts = breakers.facts([provider.id for provider in providers])
    counted = _connections(counters.totals())
    disabled, registrations = provider_items.disabled(), provider_items.registrations()
    seen = []
    for provider in providers:
        live = list(registrations.get(provider.credentials_id, ()))
        known = facts.get(provider.id, BreakerFacts())
        seen.append(
            SeenProvider(
                provider=provider,
                state=_state(provider, known, disabled=provider.id in disabled, registered=bool(live), now=now),
                breaker=_breaker(known, now=now),
                facts=known,
                credentials=SeenCredentials(
                    registered=bool(live),
                    secret=bool(live) and bool(live[0].get("secret_parameter")),
                    live=len(live),
                ),
                connections=counted.get(provider.id, {}),
            )
        )
    return seen


def switch_provider(
    provider_id: str,
    *,
    disabled: bool,
    reason: str | None,
    catalog: Catalog,
    provider_items: Providers,
    by: Acting,
) -> None:
    """
    Switch a provider off, or on again, for sign-ins and connects; by every function within a minute.

    Connections that exist go on: they are read and refreshed as before, for a grant that nobody refreshes is lost.

    Args:
        reason: Why, for the trail; never shown to users.

    Raises:
        UnknownProvider: No record of this id.
        StoreUnavailable: It is not known whether it was switched.
    """
    provider = catalog.get(provider_id)
    details = {} if reason is None else {"note": reason}
    event = by.event("provider.disabled" if disabled else "provider.enabled", provider=provider.id, details=details)
    provider_items.put(provider.id, record=None, registrations=None, disabled=disabled, audit=event)


def parse_reason(body: Mapping[str, object]) -> str | None:
    """
    Read the JSON body of a switch: `reason`, or nothing.

    Raises:
        BadRequest: It is no short line of text, or there is another member.
    """
    if set(body) - {"reason"}:  # not named: it is the sender's text
        raise BadRequest("The body has a member that is not known here.")
    reason = body.get("reason")
    if reason is None:
        return None
    if not isinstance(reason, str) or not 0 < len(reason) <= MAX_REASON or not reason.isprintable():
        raise BadRequest("reason is 1 to 200 printable characters.", parameter="reason")
    return reason


def _state(provider: Provider, facts: BreakerFacts, *, disabled: bool, registered: bool, now: int) -> State:
    if disabled:
        return "disabled"
    if provider.protocol != "api_key" and not registered:
        return "not_configured"
    return "degraded" if facts.open_until > now or facts.refused_at else "available"


def _breaker(facts: BreakerFacts, *, now: int) -> Literal["closed", "open", "half_open"]:
    if not facts.open_until:
        return "closed"
    return "open" if facts.open_until > now else "half_open"


def _connections(totals: Mapping[str, int]) -> Mapping[str, Mapping[str, int]]:
    """Counters `connections/<provider>/<status>`, by provider."""
    found: dict[str, dict[str, int]] = {}
    for name, count in totals.items():
        kind, _, rest = name.partition("/")
        provider, _, status = rest.rpartition("/")
        if kind == "connections" and provider:
            found.setdefault(provider, {})[status] = count
    return found
