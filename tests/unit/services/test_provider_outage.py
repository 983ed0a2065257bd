"""F-30: a provider of ten thousand due grants is gone for two hours, and comes back."""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from grantkeeper.providers.record import ErrorRule
from grantkeeper.services.kindness import PROBES
from tests.doubles.refresh_world import STRICT, RefreshWorld
from tests.support.outage import TICK, Load
from tests.support.svg import write_panels

# One story, told once and on whatever else the machine is doing.
pytestmark = [pytest.mark.story, pytest.mark.timeout(300), pytest.mark.xdist_group("outage")]
MANY, FEW = 10_000, 150
OUTAGE = 2 * 3600
PER_MINUTE = 3000
PICTURE = Path(__file__).parents[3] / "artifacts" / "outage.svg"


@pytest.fixture(scope="module")
def load():
    """The whole story, told once: connections over an hour, two hours of outage, and what follows."""
    patch = pytest.MonkeyPatch()
    world = RefreshWorld(patch, rule=STRICT)
    world.aws.dynamodb.forget("grants", {"pk": {"S": f"CONNECTION#{world.connection_id}"}, "sk": {"S": "GRANT#main"}})
    for name in ("example", "calm", "quiet"):
        address = {"token_endpoint": f"https://{name}.example/token"}
        world.records[name] = world.provider.record(
            id=name,
            credentials_ref="example",
            refresh=STRICT,
            errors=(ErrorRule("dead", error="invalid_grant"),),
            **address,
        )
    load = Load(world, providers=("example", "calm", "quiet"), workers=10)
    began = time.process_time()
    for name, count in (("example", MANY), ("calm", FEW), ("quiet", FEW)):
        load.connect(name, count, over=3600)
    load.clock.now += 3600 - 8 * TICK  # the first are due in a minute or two
    load.began = load.clock.now
    down = load.upstream["example"]
    down.dies_from, down.dies_until = load.began, load.began + OUTAGE
    load.go_on(minutes=OUTAGE // TICK, reads="example")
    load.after_outage = {name: load.statuses(name) for name in load.upstream}
    load.calls_in_outage = len(down.calls)
    load.recovery = load.go_on(minutes=60, until=lambda: load.fresh("example") == MANY)
    load.seconds = time.process_time() - began
    yield load
    patch.undo()


def test_f30_two_hours_of_outage_mark_none_of_ten_thousand_dead(load):
    """Refused connections, 503 and time-outs, met by the schedule and by readers: every grant is active."""
    assert load.after_outage["example"] == {"active": MANY}
    assert load.statuses("example") == {"active": MANY}
    assert load.upstream["example"].refused == 0


def test_f30_an_outage_costs_the_provider_few_calls(load):
    """Five failures, then a handful of probes whenever the breaker runs out; readers obey it as well."""
    assert 0 < load.calls_in_outage <= 400
    assert load.reads["provider-unavailable"] > 0


def test_f30_other_providers_are_not_disturbed_by_an_outage(load):
    """Their oldest due grant is never late by more than two sweeps."""
    late = {name: max(minute.oldest_due[name] for minute in load.minutes) for name in ("calm", "quiet")}

    assert max(late.values()) <= 2 * TICK
    assert load.fresh("calm") == load.fresh("quiet") == FEW


def test_f30_recovery_is_no_herd(load):
    """Never more calls a second than the budget, and it doubles from a handful of probes."""
    seconds = load.per_second("example", since=load.began + OUTAGE)
    assert max(seconds.values()) <= PER_MINUTE // 60

    minutes = Counter()
    for second, calls in seconds.items():
        minutes[(second - int(load.began + OUTAGE)) // TICK] += calls
    steps = [calls for _, calls in sorted(minutes.items())]
    assert steps[0] <= PROBES
    assert all(later <= 2 * earlier + 2 * PROBES for earlier, later in pairwise(steps))


def test_f30_after_an_outage_all_are_fresh_within_half_an_hour(load):
    """At most ten minutes until the breaker has run out, ten to double from five to the budget, and the backlog."""
    assert load.fresh("example") == MANY
    assert load.recovery <= 28


def test_f30_the_picture_of_an_outage_is_left_behind(load):
    """artifacts/outage.svg: calls a second, and how late the latest is."""
    down = load.per_second("example")
    first, last = int(load.began), int(load.clock.now)
    calls = {(second - first) / 60: float(down.get(second, 0)) for second in range(first, last)}
    late = {
        name: {(minute.at - first) / 60: minute.oldest_due[name] / 60 for minute in load.minutes}
        for name in load.upstream
    }
    shade = (0.0, OUTAGE / 60)
    write_panels(
        PICTURE,
        [
            {"title": f"calls a second to the provider with {MANY} grants", "unit": "/s", "series": {"example": calls},
             "limit": PER_MINUTE / 60, "shade": shade},
            {"title": "how late the latest grant is", "unit": "min", "series": late, "shade": shade},
        ],
    )  # fmt: skip
    print(f"calls in the outage {load.calls_in_outage}, sweeps to recover {load.recovery},"
          f" most calls a second {max(load.per_second('example', since=first + OUTAGE).values())},"
          f" reads {dict(load.reads)}, CPU {load.seconds:.1f} s")  # fmt: skip
    assert PICTURE.read_text().count("<polyline") == 4
