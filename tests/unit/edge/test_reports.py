"""What is reported becomes a log line, a count, or both."""

from __future__ import annotations

from collections import Counter

import pytest

from grantkeeper.edge.reports import Reports


class Sink:
    """Powertools' logger and metrics in one."""

    def __init__(self):
        self.lines = []
        self.counted = Counter()

    def add_metric(self, name, unit, value):
        assert unit == "Count"
        self.counted[name] += value

    def __getattr__(self, level):
        return lambda message, extra: self.lines.append((level, message, extra))


@pytest.fixture
def sink():
    return Sink()


@pytest.mark.parametrize(
    ("reason", "metric"),
    [("throttled", "RefreshThrottled"), ("unavailable", "RefreshUnavailable"), ("refused", "RefreshRefused")],
)
def test_a_failed_refresh_counts_once_in_all_and_once_by_its_reason(sink, reason, metric):
    """One sum for the alarm, one figure each for who looks why; the line is its caller's to write."""
    Reports(sink, sink)("refresh_failed", {"provider": "example", "reason": reason})

    assert sink.counted == {"RefreshFailed": 1, metric: 1}
    assert sink.lines == []


def test_a_refused_registration_has_a_metric_of_its_own(sink):
    """It is not counted twice under two names for one reason."""
    reports = Reports(sink, sink)

    reports("refresh_failed", {"provider": "example", "reason": "misconfigured"})
    reports("provider_misconfigured", {"provider": "example", "error": "invalid_client"})

    assert sink.counted == {"RefreshFailed": 1, "ProviderMisconfigured": 1, "OperatorAttention": 1}


def test_what_has_no_name_is_logged_and_not_counted(sink):
    """Every metric costs money by the month, so none comes about by accident."""
    Reports(sink, sink)("work_failed", {"kind": "refresh"})

    assert sink.counted == {}
    assert sink.lines == [("warning", "work failed", {"kind": "refresh"})]
