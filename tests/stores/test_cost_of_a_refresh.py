"""What docs/refresh.md says a refresh takes of the tables is what DynamoDB Local counts."""

from __future__ import annotations

import pytest

from bench import servers
from bench.answers import answer_of
from bench.units import measure
from bench.world import ENVIRONMENT, BenchWorld


@pytest.fixture
def measured(dynamodb_local, monkeypatch):
    """Ten warm refreshes, for a rule and a shape of answers."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    def refreshed(rule, shape):
        with servers.running() as running:
            provider_url = running.provider(delay=0, answer=answer_of(shape))
            return measure(BenchWorld(dynamodb_local, provider_url=provider_url, rule=rule, shape=shape), count=10)

    return refreshed


def test_the_units_of_one_refresh_are_those_of_the_documentation(measured):
    """Seven write units, four read units and no call to KMS, the audit entry included."""
    each = measured("strict", "google").refresh

    assert each.write_units == {
        "grants: PutItem lease": 1,
        "grants: PutItem grant": 2,
        "grants: index due": 2,
        "audit: PutItem generation": 1,
        "audit: index day": 1,
    }
    reads = {name: units for name, units in each.read_units.items() if "breaker" not in name and "sweep" not in name}
    assert reads == {"grants: GetItem grant": 2, "grants: GetItem meta": 1, "audit: Query": 1}
    assert each.kms_calls == 0


def test_a_provider_that_forgives_saves_the_look_into_the_trail(measured):
    """And the opaque tokens of the smallest answers save one write unit."""
    each = measured("lasting", "opaque").refresh

    assert "audit: Query" not in each.read_units
    assert sum(each.write_units.values()) == 6
