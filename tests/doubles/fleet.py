"""A sweeper and writers of different versions over one table, while the number of due shards changes."""

from __future__ import annotations

from typing import Any

from grantkeeper.services.sweep import SweepReport, sweep
from grantkeeper.stores.grant_item import due_shard
from grantkeeper.stores.grants import DynamoGrants
from tests.doubles.refresh_world import LASTING, RefreshWorld
from tests.unit.services.test_sweep import work_off

MINUTE = 60
NEVER = 1 << 39


class Fleet:
    """A sweeper and writers whose environments may differ, over one table; connections are due as told."""

    def __init__(self, monkeypatch: Any, **world: Any) -> None:
        """Args: world: Arguments of the `RefreshWorld`, for instance clients of DynamoDB Local."""
        self.world = RefreshWorld(monkeypatch, rule=LASTING, **world)
        self.world.provider_http.seconds = 0  # all the work of a minute fits into one invocation
        self.postpone(self.world.connection_id, NEVER, shards=1)
        self.made = 0

    def grants(self, shards: int) -> DynamoGrants:
        env = self.world.wiring.env
        return DynamoGrants(self.world.aws.dynamodb, env["GRANTS_TABLE"], env["AUDIT_TABLE"], due_shards=shards)

    def postpone(self, connection_id: str, due_at: int | None, *, shards: int) -> None:
        """A writer of this many shards moves a grant."""
        self.grants(shards).postpone(connection_id, "main", generation=1, due_at=due_at)

    def connect(self, count: int, *, shards: int, due_at: int | None = None) -> list[str]:
        """Connections written with this many shards; their ids."""
        made = []
        for _ in range(count):
            self.made += 1
            made.append(self.world.connect(account_id=f"user{self.made}"))
            self.postpone(made[-1], self.world.now if due_at is None else due_at, shards=shards)
        return made

    def connect_in(self, shard: int, *, shards: int, due_at: int | None = None) -> str:
        """A connection that a writer of at most this many shards puts into this one."""
        while True:
            self.made += 1
            connection_id = self.world.connect(account_id=f"user{self.made}")
            for number in range(shards, shard, -1):
                if due_shard(connection_id, number) == f"{shard}":
                    self.postpone(connection_id, self.world.now if due_at is None else due_at, shards=number)
                    return connection_id
            self.postpone(connection_id, None, shards=shards)

    def tick(self, shards: int, *, after: int = MINUTE) -> SweepReport:
        """The sweeper of this environment, some seconds after the last; what it sent is worked off."""
        self.world.pass_time(after)
        report = sweep(
            grants=self.world.wiring.grants,
            breakers=self.world.wiring.breakers,
            work_queue=self.world.wiring.work_queue,
            due_shards=self.world.container().shard_mark,
            shards=shards,
            workers=10,
            run=self.world.run(),
        )
        self.world.wiring.grants._due_shards = shards  # what the workers' environment says
        work_off(self.world)
        return report

    @property
    def mark(self) -> Any:
        return self.world.wiring.shard_mark.mark()

    def generations(self, connection_ids: Any) -> set[int]:
        return {self.world.grant(each).generation for each in connection_ids}

    def queries(self) -> int:
        return self.world.aws.dynamodb.faults.count("query", when=lambda request: request.get("IndexName") == "due")
