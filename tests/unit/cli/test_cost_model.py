"""The cost model: its sums, and that what is promised of the shape of the bill follows from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cli.cost import model as cost
from cli.cost.prices import MILLION, PRICES, PriceError, overridden

REFRESH = cost.Refresh(
    write_units={"lease": 1, "grant": 2, "index": 2, "audit": 1, "audit index": 1},
    read_units={"grant": 2, "connection": 1, "trail": 1},
    kms_calls=0,
    worker_cpu_ms=6,
    projector_cpu_ms=1,
    log_bytes=7,
    audit_bytes=400,
)

TICK = cost.Call(write_units=0, read_units=20, store_calls=40, cpu_ms=20, log_bytes=500)


def per_million(**changed):
    """Dollars of a million refreshes, part by part."""
    return {name: each * MILLION for name, each in cost.dollars(REFRESH, **changed).items()}


def test_a_million_refreshes_cost_what_their_units_do():
    """Seven write units and four read units, by hand."""
    parts = per_million()

    assert parts["writes"] == pytest.approx(7 * 0.625)
    assert parts["reads"] == pytest.approx(4 * 0.125)
    assert parts["KMS"] == 0
    assert parts["counters"] == pytest.approx(8 / 100 * 0.625)
    assert parts["SQS"] == pytest.approx((0.1 + 0.5) / 25 * 0.4)
    assert parts["Lambda"] == pytest.approx(0.007 * 1.769 * 13.3334 + 0.2 * (1 / 100 + 2 / 100))
    assert parts["logs"] == pytest.approx((7 + 400 * 3 / 100) * 1e-9 * 0.5 * 1e6)


def test_a_kms_call_each_would_cost_three_dollars():
    """The reason for branch keys."""
    assert per_million(kms_calls=1)["KMS"] == pytest.approx(3)


def test_a_trail_is_kept_in_two_places_and_backed_up_in_one():
    """500 bytes for 400 days."""
    assert cost.kept_dollars(REFRESH) == pytest.approx(500e-9 * (0.25 + 0.25 + 0.20) * 400 / 30.4)


@pytest.mark.parametrize(("records", "units"), [(0.1, 6), (1, 6), (40, 0.2), (100, 0.08), (5000, 0.08)])
def test_counting_costs_less_the_fuller_a_batch_is(records, units):
    """One transaction a batch, whatever it holds."""
    assert cost.counter_units(records) == pytest.approx(units)


def test_an_hour_of_lifetime_is_some_820_refreshes_a_month():
    """Due 6 to 7.2 minutes before the end: every 53.4 minutes on average."""
    assert cost.refreshes_per_month(lifetime=3600) == pytest.approx(730 * 60 / 53.4)


def test_a_connection_is_never_refreshed_less_than_its_keepalive_nor_more_than_always():
    """Use moves the bill between the two."""
    always = cost.refreshes_per_month(lifetime=3600)

    for days, wanted in ((0, 1.0), (3, always / 5), (15, always), (30, always)):
        assert cost.Use("one", ((1.0, days),)).refreshes() == pytest.approx(wanted)


@pytest.mark.parametrize("use", cost.USES, ids=lambda use: use.name)
def test_shares_of_use_are_whole(use):
    """Every connection is counted once."""
    assert sum(share for share, _ in use.days) == pytest.approx(1)


def test_a_month_is_the_sum_of_its_parts():
    """And a thousand times the connections cost less than a thousand times as much: batches fill, keys are shared."""
    small, large = (cost.monthly(REFRESH, tick=TICK, connections=size, use=cost.USES[0]) for size in (10**3, 10**6))

    for month in (small, large):
        parts = [each for name, each in month.items() if name not in ("refreshes", "total", "kept")]
        assert month["total"] == pytest.approx(sum(parts))
    assert large["refreshes"] == pytest.approx(1000 * small["refreshes"])
    assert large["total"] < 1000 * small["total"]
    assert large["KMS"] / large["refreshes"] < 0.01 * PRICES["kms_call"].each


def test_a_call_is_paid_for_what_it_waits_for_or_for_what_it_computes():
    """The longer of the two: forty calls of 5 ms, or a hundred ms of a processor at half a gigabyte."""
    waiting = cost.call_dollars(TICK)["Lambda"]
    busy = cost.call_dollars(replace(TICK, cpu_ms=100))["Lambda"]

    assert waiting == pytest.approx(0.2 * 0.5 * 13.3334e-6 + 0.2e-6)
    assert busy == pytest.approx(0.1 * 1.769 * 13.3334e-6 + 0.2e-6)


def test_an_idle_deployment_pays_for_what_stands_by():
    """By hand: keys, metrics, alarms, polls, and a tick a minute."""
    lines = cost.idle(TICK)

    assert lines["2 KMS keys"] == 2
    assert lines["6 custom metrics"] == pytest.approx(1.8)
    assert lines["10 alarms"] == pytest.approx(1.0)
    assert lines["Lambda polls its queues"] == pytest.approx(2 * 5 * 730 * 180 * 0.4e-6)
    a_tick = 20 * 0.125e-6 + 0.2 * 0.5 * 13.3334e-6 + 0.2e-6 + 900e-9 * 0.5 + 1e-6
    assert lines["the sweeper's minutes"] == pytest.approx(43_800 * a_tick)


def test_refreshing_when_read_follows_the_reads_up_to_always():
    """One read a day: a refresh a day. Reads without end: as often as a token ends. None: the keep-alive."""
    assert cost.lazy_refreshes(lifetime=3600, reads_per_day=1) == pytest.approx(730 / 25, rel=0.01)
    assert cost.lazy_refreshes(lifetime=3600, reads_per_day=1e6) == pytest.approx(730, rel=0.01)
    assert cost.lazy_refreshes(lifetime=3600, reads_per_day=0) == 1


def test_prices_are_replaced_in_the_units_of_their_table(tmp_path):
    """By hand or from a file; what is said by hand wins."""
    file = tmp_path / "prices.json"
    file.write_text('{"write_unit": 0.7, "kms_key": 2}')

    prices = overridden(PRICES, given=["write_unit=0.705"], file=file)

    assert prices["write_unit"].each == pytest.approx(0.705e-6)
    assert prices["kms_key"].each == 2
    assert prices["read_unit"] == PRICES["read_unit"]
    assert cost.dollars(REFRESH, prices=prices)["writes"] == pytest.approx(7 * 0.705e-6)
    assert PRICES["write_unit"].dollars == 0.625


@pytest.mark.parametrize("given", ["nothing=1", "write_unit", "write_unit=dear", "write_unit=-1", "write_unit=nan"])
def test_what_is_no_price_is_refused(given):
    """With a sentence."""
    with pytest.raises(PriceError):
        overridden(PRICES, given=[given])


def test_a_file_that_holds_no_prices_is_refused(tmp_path):
    """Not JSON, or another shape."""
    file = tmp_path / "prices.json"
    for content in ("", "[1]", "7"):
        file.write_text(content)
        with pytest.raises(PriceError):
            overridden(PRICES, file=file)


def test_every_price_says_where_it_stands_and_when_it_was_read():
    """An address of AWS's, and a day."""
    for price in PRICES.values():
        assert price.source.startswith("https://aws.amazon.com/")
        assert len(price.date) == 10
        assert price.dollars > 0
