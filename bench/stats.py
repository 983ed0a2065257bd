"""
What `GET /v1/admin/stats` and `/metrics` cost, with few connections and with very many.

    python -m bench.stats [--held 1000,100000] [--rounds 40] [--strict]

Beside them stands what the same numbers would cost without counters: counting the list, as the nightly recount does.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import sys
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from bench import servers, units
from bench.report import Report
from bench.world import BenchWorld, put
from grantkeeper import ids
from grantkeeper.api_key_format import new_api_key
from grantkeeper.counter_names import Counted
from grantkeeper.model import ApiKey
from grantkeeper.stores.connection_item import list_key
from grantkeeper.stores.keys import connection
from grantkeeper.stores.listing import listing
from grantkeeper.stores.table import key_item
from tests.support.functions import CONTEXT, http_event

HELD = "1000,100000"
DAYS, DAY = 90, 86_400
PROVIDERS = [f"provider-{at:02d}" for at in range(20)]
STATUSES = {"active": 0.9, "needs_reauth": 0.07, "revoked": 0.03}
REASONS = ("revoked_by_user", "expired_unused", "spent_elsewhere", "credentials_rejected")
FILLER = "x" * 350  # with it a row of the list is as long as a connection's
ROUTES = {"stats, 30 days": ("GET /v1/admin/stats", "days=30"), "stats, 90 days": ("GET /v1/admin/stats", "days=90"),
          "metrics": ("GET /metrics", "")}  # fmt: skip
SAME_UNITS, SAME_TIME = 1.0, 1.25


def main(arguments: list[str] | None = None) -> int:
    """Measure; exit 1 only with --strict and a target missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held", default=HELD, help="connections; 1000000 takes some ten minutes to load")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    options = parser.parse_args(arguments)
    report = Report("stats")
    with servers.running() as running:
        table_url = running.dynamodb_local(heap="3g")
        subjects = [_Subject(table_url, held=int(count)) for count in options.held.split(",")]
        _measure(report, subjects, rounds=options.rounds)
        _recount(report, subjects)
    return report.finish(strict=options.strict)


class _Subject:
    """A deployment that holds so many connections and has counted a quarter of a year."""

    def __init__(self, table_url: str, *, held: int) -> None:
        self.held, self.world = held, BenchWorld(table_url, provider_url="http://127.0.0.1:9")
        started, self.now = time.monotonic(), int(time.time())
        put(self.world.client, self.world.grants_table, _rows(held))
        self._count()
        print(f"{held:,} connections, loaded in {time.monotonic() - started:.0f} s", file=sys.stderr)
        self.module: ModuleType = self.world.function("admin_stats")
        self.key = self._key()

    def _count(self) -> None:
        """Every counter there is, on every day, in every shard."""
        for day in range(DAYS):
            time_of_day = self.now - day * DAY
            for shard in range(8):
                changes = {name: max(self.held // 97, 1) for name in _names()}
                for at in range(0, len(changes), 60):
                    some = dict(list(changes.items())[at : at + 60])
                    event = Counted(f"evt_{self.held}.{day}.{shard}.{at}", time_of_day, some)
                    self.world.wiring.counters.add_once([event], now=self.now)

    def _key(self) -> str:
        made = new_api_key()
        scopes = ("admin:read", "metrics:read")
        stored = ApiKey(made.key_id, made.secret_hash, scopes, self.now, self.now + DAY)
        self.world.wiring.api_keys.put(stored, audit=self.world.world.event("api_key.created"))
        return made.text

    def call(self, name: str) -> tuple[float, float, units.Consumed]:
        """One call: seconds by the wall, seconds of the processor, what it read."""
        route, query = ROUTES[name]
        event = http_event(route, query=query, headers={"x-api-key": self.key})
        with contextlib.redirect_stdout(self.world.sink), units.counting(self.world.client) as counted:
            wall, cpu = time.perf_counter(), time.process_time()
            answer = self.module.handler(event, CONTEXT)
            took = time.perf_counter() - wall, time.process_time() - cpu
        if answer["statusCode"] != 200:
            raise RuntimeError(answer["body"])
        return *took, counted


def _names() -> list[str]:
    names = [f"connections/{provider}/{status}" for provider in PROVIDERS for status in STATUSES]
    for counter in ("sign_ins", "refreshes", "refresh_failures"):
        names += [counter, *(f"{counter}/{provider}" for provider in PROVIDERS)]
    names += ["users", "connected", "disconnected", "needs_reauth", "sign_ins_refused"]
    return names + [f"needs_reauth_reasons/{reason}" for reason in REASONS]


def _rows(count: int) -> Iterator[dict[str, Any]]:
    rng = random.Random(count)  # noqa: S311 - the same rows in every run
    for _ in range(count):
        connection_id, provider = ids.new_id("con"), rng.choice(PROVIDERS)
        status = rng.choices(list(STATUSES), list(STATUSES.values()))[0]
        order = listing(f"CONN#{provider}", list_key(status, "service", connection_id))
        yield key_item(connection(connection_id)) | order | {"status": {"S": status}, "rest": {"S": FILLER}}


def _measure(report: Report, subjects: list[_Subject], *, rounds: int) -> None:
    """All of them in shuffled rounds, so that what disturbs one disturbs the others."""
    pairs = [(subject, name) for subject in subjects for name in ROUTES]
    found: dict[tuple[int, str], list[tuple[float, float, units.Consumed]]] = {}
    for at in range(rounds + 3):
        random.shuffle(pairs)
        for subject, name in pairs:
            measured = subject.call(name)
            if at >= 3:  # warm
                found.setdefault((subject.held, name), []).append(measured)
    rows, units_of, cpu_of = [], {}, {}
    for (held, name), taken in sorted(found.items(), key=lambda each: (each[0][1], each[0][0])):
        wall = statistics.median(each[0] for each in taken) * 1000
        cpu = statistics.median(each[1] for each in taken) * 1000
        calls = statistics.median(sum(each[2].calls.values()) for each in taken)
        read = statistics.median(sum(each[2].reads.values()) for each in taken)
        units_of[held, name], cpu_of[held, name] = read, cpu
        rows.append((name, held, calls, read, cpu, wall))
    report.table(
        "Statistics and metrics: what a call costs with so many connections",
        ("what", "connections", "calls to DynamoDB", "read units", "CPU ms", "wall ms"),
        rows,
        note="medians; 20 providers, every counter on every of 90 days. The key is read too; emulator's milliseconds.",
    )
    least, most = subjects[0].held, subjects[-1].held
    for name in ROUTES:
        report.target(
            f"{name}: read units, most against fewest", units_of[most, name] / units_of[least, name], SAME_UNITS
        )
        report.target(
            f"{name}: processor time, most against fewest", cpu_of[most, name] / cpu_of[least, name], SAME_TIME
        )


def _recount(report: Report, subjects: list[_Subject]) -> None:
    rows = []
    for subject in subjects:
        with units.counting(subject.world.client) as counted:
            wall, cpu = time.perf_counter(), time.process_time()
            number, pages = _listed(subject)
            took, busy = time.perf_counter() - wall, time.process_time() - cpu
        rows.append((subject.held, number, pages, sum(counted.reads.values()), busy, took))
    report.table(
        "The same by counting the list, as the nightly recount does",
        ("connections", "found", "pages", "read units", "CPU s", "wall s"),
        rows,
        note=f"a row of the list is {len(FILLER) + 150} bytes here; no item leaves the table.",
    )


def _listed(subject: _Subject) -> tuple[int, int]:
    number = pages = 0
    for provider in PROVIDERS:
        for status in STATUSES:
            position = None
            while True:
                page = subject.world.wiring.recount_records.listed(
                    f"CONN#{provider}", prefix=f"{status}#", position=position
                )
                number, pages, position = number + page.counted["n"], pages + 1, page.position
                if position is None:
                    break
    return number, pages


if __name__ == "__main__":
    sys.exit(main())
