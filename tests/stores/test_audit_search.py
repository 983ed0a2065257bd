"""The audit trail asked by stretches: the double and DynamoDB Local agree on where one ends."""

from __future__ import annotations

from typing import Any

from tests.stores.records import DAY, NOON, event

BEGIN, END = f"{NOON - 1000:010d}", f"{NOON + 1000:010d}"


def test_stretches_of_a_day_tell_every_entry_once(world: Any) -> None:
    """Shards are read down to different places; what might be incomplete is left to the next stretch."""
    made = [event("user.signed_in" if n % 7 else "client.created", time=NOON - n, sub="usr_1") for n in range(50)]
    for each in made:
        world.audit.record(each)
    for where, wanted in (({}, made), ({"action": "client."}, made[::7]), ({"actor": "user:usr_9"}, [])):
        found, before, rounds = [], END, 0
        while before is not None:
            part = world.audit_search.of_day(DAY, after=BEGIN, before=before, where=where, limit=8)
            found += part.events
            before, rounds = part.position, rounds + 1
            assert len(part.events) <= 8
            assert rounds < 60
        assert found == wanted


def test_stretches_of_an_actor_and_of_a_user_go_on_where_they_ended(world: Any) -> None:
    """By sort key, the last one left out."""
    made = [event(time=NOON - n, sub="usr_1", connection_id="con_1", actor="key:ops") for n in range(9)]
    for each in made:
        world.audit.record(each)
    first = world.audit_search.of_actor("key:ops", after=BEGIN, before=END, limit=4)
    rest = world.audit_search.of_actor("key:ops", after=BEGIN, before=first.position, limit=10)
    assert [*first.events, *rest.events] == made
    first = world.audit_search.of_user("usr_1", after=BEGIN, before=END, where={"connection_id": "con_1"}, limit=4)
    rest = world.audit_search.of_user("usr_1", after=BEGIN, before=first.position, where={}, limit=10)
    assert [*first.events, *rest.events] == made
    assert rest.position is None
