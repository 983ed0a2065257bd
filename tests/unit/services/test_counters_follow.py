"""The counters say what the tables say, after whole journeys through the functions."""

from __future__ import annotations

from collections import Counter

import pytest

from grantkeeper.services.project import project
from grantkeeper.stores.audit_item import event_of
from tests.infrastructure import test_least_privilege as journeys

INVENTED = "test"  # the actor of what a journey has put into the tables itself
# These put connections there, or end them, behind the product's back.
BY_HAND = {"administer_clients", "park_and_rescue", "project_the_streams", "recount", "count"}
JOURNEYS = [journey for journey in journeys.JOURNEYS if journey.__name__ not in BY_HAND]


def listed(wiring):
    """Users and connections by provider and status, as the index has them."""
    found = Counter()
    for row in wiring.aws.dynamodb.dump(wiring.env["GRANTS_TABLE"]):
        kind = row.get("list_pk", {}).get("S", "")
        if kind == "USER":
            found["users"] += 1
        elif kind.startswith("CONN#"):
            status = row["list_sk"]["S"].partition("#")[0]
            found[f"connections/{kind.removeprefix('CONN#')}/{status}"] += status != "pending"
    return found


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda journey: journey.__name__)
def test_users_and_connections_are_counted_as_they_are_listed(journey):
    """Whatever came, died, came back, was disconnected, cleaned up or erased on the way."""
    with pytest.MonkeyPatch.context() as patch:
        stack = journeys.Stack(patch)
        journey(stack)
    wiring = stack.world.wiring
    rows = wiring.aws.dynamodb.dump(wiring.env["AUDIT_TABLE"])
    trail = [event_of(row) for row in rows if "day_pk" in row]
    project(trail, bus=wiring.event_bus, counters=wiring.counters, now=stack.now)

    counted = Counter({
        name: number
        for name, number in wiring.counters.totals().items()
        if name == "users" or name.startswith("connections/")
    })  # fmt: skip
    counted["users"] += sum(entry.action == "user.created" and entry.actor == INVENTED for entry in trail)
    assert {name: number for name, number in counted.items() if number} == {
        name: number for name, number in listed(wiring).items() if number
    }
