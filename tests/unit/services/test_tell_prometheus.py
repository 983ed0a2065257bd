"""The metrics, judged by the reference parser."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from grantkeeper.counter_names import COUNTER_NAME
from grantkeeper.recount_ports import Reconciled
from grantkeeper.services.tell_prometheus import BY_PROVIDER, BY_REASON, PLAIN, prometheus
from grantkeeper.services.what_counts import BY_PROVIDER as COUNTED_BY_PROVIDER
from grantkeeper.services.what_counts import COUNTED, ENTERED


def parsed(text):
    return {
        (sample.name, *sample.labels.items()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_reads_the_metrics():
    """Gauges and counters, each under its labels."""
    totals = {
        "users": 2,
        "connections/google/active": 3,
        "refreshes/google": 7,
        "needs_reauth_reasons/revoked_by_user": 1,
        "refresh_failure_reasons/provider-unavailable": 5,
        "connected": 4,
    }

    samples = parsed(
        prometheus(
            totals, breakers={"google": True}, reconciled=Reconciled(12, "2026-11-20", {"users": -2, "refreshes": 1})
        )
    )

    assert {name: value for name, value in samples.items() if value} == {
        ("grantkeeper_users",): 2,
        ("grantkeeper_connections", ("provider", "google"), ("status", "active")): 3,
        ("grantkeeper_provider_breaker_open", ("provider", "google")): 1,
        ("grantkeeper_refreshes_total", ("provider", "google")): 7,
        ("grantkeeper_needs_reauth_total", ("reason", "revoked_by_user")): 1,
        ("grantkeeper_refresh_failure_reasons_total", ("reason", "provider-unavailable")): 5,
        ("grantkeeper_connected_total",): 4,
        ("grantkeeper_counter_drift",): 3,
        ("grantkeeper_recounted_timestamp_seconds",): 12,
    }


def test_every_metric_has_words_a_type_and_the_name_its_type_asks_for():
    """Before its samples, once; a counter's name ends in _total, a gauge's does not."""
    text = prometheus({"users": 1}, breakers={}, reconciled=Reconciled(1, "2026-11-20", {}))

    lines = text.splitlines()
    types = dict(line.split()[2:] for line in lines if line.startswith("# TYPE "))
    helped = [line.split()[2] for line in lines if line.startswith("# HELP ")]
    assert helped == list(types)
    assert all((kind == "counter") == name.endswith("_total") for name, kind in types.items())
    assert all(family.documentation for family in text_string_to_metric_families(text))
    assert text.endswith("\n")


def test_whatever_is_counted_has_a_metric():
    """A counter that is added is told here as well; the reverse holds too."""
    counted = set(COUNTED.values()) | {name for _, name in ENTERED.values() if name}
    shown = PLAIN.keys() | BY_PROVIDER.keys() | {name for name, _ in BY_REASON.values()} | {"users"}

    assert counted | {"users_erased", "refresh_failures", "refresh_failure_reasons"} == shown
    assert BY_PROVIDER.keys() == COUNTED_BY_PROVIDER | {"refresh_failures"}


def test_with_nothing_counted_the_metrics_are_zeros_and_empty_families():
    """A deployment of a minute ago is scraped like any other."""
    assert set(parsed(prometheus({}, breakers={})).values()) == {0}


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=20).map(lambda label: f"refreshes/{label}"), st.integers(0, 10**15), max_size=5
    )
)
def test_any_label_is_read_as_it_was_counted(totals):
    """Names are checked before they are counted, and escaped all the same."""
    samples = parsed(prometheus(totals, breakers={}))

    shown = {labels[0][1]: value for (name, *labels), value in samples.items() if name == "grantkeeper_refreshes_total"}
    assert shown == {name.removeprefix("refreshes/"): value for name, value in totals.items()}


@given(st.from_regex(COUNTER_NAME, fullmatch=True))
def test_no_counters_name_needs_escaping(name):
    """What a table's line, a label and an attribute take."""
    assert not {'"', "\\", "\n", "#"} & set(name)
