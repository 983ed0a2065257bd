"""Rows put back, moved or edited are found before anything is spent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grantkeeper.errors import (
    GrantUnreadable,
    ReauthorizationRequired,
)
from tests.doubles.refresh_world import (
    assert_works,
)

HOUR = 3600


def put_back(world):
    """A whole old row is restored after the connection was refreshed, as the trail knows."""
    [row] = [i for i in world.aws.dynamodb.dump("grants") if i["sk"]["S"] == "GRANT#main"]
    world.refresh()
    event = world.event("grant.refreshed")
    details = {"name": "main", "generation": "2"}
    world.wiring.audit.record(replace(event, connection_id=world.connection_id, details=details))
    world.aws.dynamodb.restore("grants", row)
    world.pass_time(HOUR)


def test_an_outlived_token_of_a_strict_provider_is_never_spent(strict):
    """The trail knows a later generation: tampering is audited and the user asked to connect again."""
    put_back(strict)
    strict.outwait_orphan()  # the lease of the old generation looks like one

    with pytest.raises(ReauthorizationRequired) as error:
        strict.refresh()

    assert error.value.extensions["reason"] == "spent_elsewhere"
    assert strict.refreshes == 1
    assert "grant.tampering_detected" in strict.actions()


def test_an_outlived_token_that_lasts_heals_itself(lasting):
    """Where the old refresh token still works, a restored row is simply refreshed."""
    put_back(lasting)

    lasting.refresh()

    assert_works(lasting, generation=2)


def test_a_row_that_does_not_open_is_told_once_and_spends_nothing(world):
    """Swapped between two connections: audited as tampering, once however many ask."""
    other = world.connect(account_id="bob")
    rows = {i["pk"]["S"]: i for i in world.aws.dynamodb.dump("grants") if i["sk"]["S"] == "GRANT#main"}
    mine, theirs = rows[f"CONNECTION#{world.connection_id}"], rows[f"CONNECTION#{other}"]
    world.aws.dynamodb.restore("grants", mine | {"sealed": theirs["sealed"]})

    for _ in range(3):
        with pytest.raises(GrantUnreadable):
            world.refresh()

    assert world.refreshes == 0
    assert world.actions().count("grant.tampering_detected") == 1
