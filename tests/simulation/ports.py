"""All ports of one simulated process, together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.simulation.http_port import HttpPort
from tests.simulation.hub import Process
from tests.simulation.side_ports import (
    AuditPort,
    AvatarsPort,
    BreakersPort,
    CredentialsPort,
    DueShardsPort,
    RateLimitsPort,
    RescueQueuePort,
    VaultPort,
    WorkQueuePort,
)
from tests.simulation.store_ports import ConnectionsPort, GrantsPort

if TYPE_CHECKING:
    from tests.simulation.world import World


class Ports:
    """All ports of one process; what `services.refresh_run.RefreshPorts` asks for, and the connect side's."""

    __slots__ = (
        "audit",
        "avatars",
        "breakers",
        "catalog",
        "connections",
        "credentials",
        "due_shards",
        "grants",
        "issuer",
        "provider_http",
        "rate_limits",
        "rescue_queue",
        "vault",
        "work_queue",
    )

    def __init__(self, process: Process, world: World) -> None:
        self.issuer = "https://id.example.com"
        self.catalog = world.catalog
        self.grants: Any = GrantsPort(process, world)
        self.connections: Any = ConnectionsPort(process, world)
        self.audit: Any = AuditPort(process, world)
        self.vault: Any = VaultPort(process, world)
        self.avatars: Any = AvatarsPort(process, world)
        self.breakers: Any = BreakersPort(process, world)
        self.due_shards: Any = DueShardsPort(process, world)
        self.rate_limits: Any = RateLimitsPort(process, world)
        self.credentials: Any = CredentialsPort(process, world)
        self.provider_http: Any = HttpPort(process, world)
        self.rescue_queue: Any = RescueQueuePort(process, world)
        self.work_queue: Any = WorkQueuePort(process, world)
