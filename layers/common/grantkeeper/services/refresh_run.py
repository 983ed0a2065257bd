# ruff: noqa: D102 - a port whose name and type say all
"""What a refresh works with: its ports, and one run's clock and limits."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from grantkeeper import ids
from grantkeeper.errors import ProviderNotConfigured, UnknownProvider

if TYPE_CHECKING:
    from grantkeeper import ports
    from grantkeeper.model import Grant
    from grantkeeper.providers.record import Provider


class ProviderRecords(Protocol):
    """The catalog of provider records."""

    def get(self, provider_id: str) -> Provider:
        """Raises UnknownProvider."""


class RefreshPorts(Protocol):
    """
    The ports of the refresh protocol; `wiring.Wiring` is one.

    Attributes are read where they are needed, so that handing out a fresh token builds no HTTP client and no queue.
    """

    @property
    def issuer(self) -> str: ...
    @property
    def grants(self) -> ports.Grants: ...
    @property
    def connections(self) -> ports.Connections: ...
    @property
    def audit(self) -> ports.AuditTrail: ...
    @property
    def avatars(self) -> ports.Avatars: ...
    @property
    def vault(self) -> ports.Vault: ...
    @property
    def breakers(self) -> ports.Breakers: ...
    @property
    def rate_limits(self) -> ports.RateLimits: ...
    @property
    def catalog(self) -> ProviderRecords: ...
    @property
    def credentials(self) -> ports.Credentials: ...
    @property
    def provider_http(self) -> ports.ProviderHttp: ...
    @property
    def rescue_queue(self) -> ports.RescueQueue: ...
    @property
    def work_queue(self) -> ports.WorkQueue: ...


def _silent(_event: str, _facts: Mapping[str, str]) -> None:
    """Report to nobody."""


@dataclass(frozen=True, slots=True)
class Run:
    """
    One invocation: what time it is, how long it may still take, and whom to tell.

    Nothing else in the refresh services reads a clock, sleeps or draws a random number, so a simulation can drive
    every step.

    Args:
        clock: Epoch seconds.
        sleep: Waits for some seconds.
        remaining_ms: Milliseconds until the invocation is killed.
        rng: Source of jitter.
        report: Told of facts an operator must see: an event's name and ids, never a secret.
        new_id: Makes write ids and owners.
    """

    clock: Callable[[], int]
    sleep: Callable[[float], None]
    remaining_ms: Callable[[], int]
    rng: random.Random = field(default_factory=random.SystemRandom)
    report: Callable[[str, Mapping[str, str]], None] = _silent
    new_id: Callable[[str], str] = ids.new_id

    @property
    def remaining(self) -> float:
        """Seconds until the invocation is killed."""
        return self.remaining_ms() / 1000

    def jitter(self, seconds: float) -> float:
        """A random part of `seconds` (full jitter)."""
        return self.rng.random() * seconds


def provider_of(grant: Grant, *, ports: RefreshPorts) -> Provider:
    """
    Return the record of a grant's provider.

    Raises:
        ProviderNotConfigured: The operator removed it: that is no reason to call the connection unknown.
    """
    try:
        return ports.catalog.get(grant.provider)
    except UnknownProvider:
        raise ProviderNotConfigured("The deployment has no record of this provider.", provider=grant.provider) from None


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a refresh happens and on whose behalf; carried by the save into the audit entry."""

    caused_by: str  # read | sweep | force | rescue
    actor: str
    request_id: str = ""
    warned_of: int | None = None  # the forecast that was told before this refresh; kept with what it saves
