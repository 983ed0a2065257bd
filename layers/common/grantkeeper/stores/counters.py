"""
Counters: of all time and of each day, each event counted once.

A stream delivers again, and not always the batches it delivered before: after a poller's restart a batch may be longer,
shorter or begin elsewhere. So no batch is remembered but every event, by eight bytes of its id's hash:

    BATCH#<ten seconds>   <second>#<its first event>   seen: the events of one delivery that happened in that second

What a delivery holds is looked for there, and what is new is marked and counted in one transaction: an event is marked
if and only if it is counted. Two deliveries of the same records at the same time (a poller that hangs, and its
successor) both begin where the stream's checkpoint stands, so the first event neither has found is the same: one of
them finds its mark there, looks again and goes on with the rest. Otherwise deliveries never meet on a mark.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from grantkeeper.counter_names import COUNTER_NAME, Counted
from grantkeeper.errors import StoreUnavailable
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import day_of
from grantkeeper.stores.items import from_value, to_value
from grantkeeper.stores.one_time import NEW
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.table import Table, key_item

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from types_boto3_dynamodb import DynamoDBClient

    from grantkeeper.stores.items import Item

SHARDS = 4
TOTAL = "total"
PREFIX = "n."  # before a counter's name, so that it can be no other attribute
MARK_KEPT = 8 * 86_400  # seconds; a stream delivers again for one day at most
HASH_BYTES = 8
MOST_MARKS, MOST_NAMES = 20, 120  # of one transaction: 100 writes at most, 4 KB for each expression
ROUNDS = 6


class DynamoCounters:
    """`ports.Counters` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str) -> None:
        self._table = Table(client, grants_table)

    def unseen(self, events: Sequence[Counted]) -> Sequence[Counted]:
        """Those that are not counted yet, each once; one consistent read for every ten seconds they happened in."""
        once = list({event.id: event for event in events}.values())
        together: dict[int, list[int]] = {}
        for event in once:
            together.setdefault(event.time // keys.COUNTED_TOGETHER, []).append(event.time)
        seen = {each for seconds in together.values() for each in self._seen(min(seconds), max(seconds))}
        return [event for event in once if _hash(event) not in seen]

    def add_once(self, events: Sequence[Counted], *, now: int) -> None:
        """
        Count what is not counted yet.

        Args:
            events: In any order, in any company, any number of times.
            now: Epoch seconds; marks are kept for eight days from then.

        Raises:
            ValueError: A counter's name is not one; nothing of its portion is counted.
            StoreUnavailable: Some may be counted; all may come again.
        """
        for portion in _portions(events):
            self._add(portion, now=now)

    def totals(self) -> Mapping[str, int]:
        """
        All counters summed over their shards: four small items, however many connections there are.

        Consistent: a sum with one late shard in it would fall, which Prometheus takes for a counter that began anew.
        """
        return self._of_days([TOTAL], consistent=True)[TOTAL]

    def of_day(self, day: str) -> Mapping[str, int]:
        """The counters of one UTC day."""
        return self.of_days([day])[day]

    def of_days(self, days: Sequence[str], *, only: Sequence[str] | None = None) -> Mapping[str, Mapping[str, int]]:
        """
        The counters of many UTC days together: four small items for each.

        Args:
            days: Each once, `yyyy-mm-dd`, or `TOTAL`.
            only: Some counters alone: the others are read all the same, and not sent.
        """
        return self._of_days(days, only=only)

    def _of_days(
        self, days: Sequence[str], *, only: Sequence[str] | None = None, consistent: bool = False
    ) -> Mapping[str, Mapping[str, int]]:
        sums: dict[str, Counter[str]] = {day: Counter() for day in days}
        wanted = {keys.counter(day, shard): day for day in sums for shard in range(SHARDS)}
        names = {f"#n{at}": f"{PREFIX}{name}" for at, name in enumerate(only or ())}
        shown = {"#pk": "pk", "#sk": "sk", **names} if names else None
        for item in self._table.batch_get(list(wanted), consistent=consistent, only=shown):
            of_day = sums[wanted[item["pk"]["S"], item["sk"]["S"]]]
            for name, value in item.items():
                if name.startswith(PREFIX):
                    of_day[name.removeprefix(PREFIX)] += from_value(value)
        return {day: dict(counters) for day, counters in sums.items()}

    def _seen(self, first: int, last: int) -> Iterator[bytes]:
        """The hashes marked in one partition, from one second to another."""
        condition = "#pk = :pk AND #sk BETWEEN :first AND :last"
        values = {":pk": keys.counted(first, "")[0], ":first": keys.counted(first, "")[1]}
        values[":last"] = keys.counted(last, "~")[1]
        request = self._table.request(condition=None, values=values, expressions=(condition,))
        request |= {"KeyConditionExpression": condition, "ConsistentRead": True}
        for item in self._table.pages(request, limit=None):
            marked: bytes = from_value(item["seen"])
            yield from (marked[at : at + HASH_BYTES] for at in range(0, len(marked), HASH_BYTES))

    def _add(self, portion: Sequence[Counted], *, now: int) -> None:
        for _ in range(ROUNDS):
            new = self.unseen(portion)
            if not new:
                return
            try:
                self._table.transact(self._writes(new, now=now))
            except TransactionFailed:  # another delivery has counted its first ones meanwhile
                continue
            return
        raise StoreUnavailable("The counters could not be changed.", retry_after=1)

    def _writes(self, portion: Sequence[Counted], *, now: int) -> list[Item]:
        marks: dict[int, list[bytes]] = {}
        sums: dict[str, Counter[str]] = {}
        for event in portion:
            marks.setdefault(event.time, []).append(_hash(event))
            for when in (TOTAL, day_of(event.time)) if event.changes else ():
                sums.setdefault(when, Counter()).update(event.changes)
        shard = keys.shard_of(portion[0].id, SHARDS)
        writes = [self._mark(second, hashes, ttl=now + MARK_KEPT) for second, hashes in marks.items()]
        changes = {when: {name: by for name, by in counters.items() if by} for when, counters in sums.items()}
        return writes + [self._sum(when, shard, by_name) for when, by_name in changes.items() if by_name]

    def _mark(self, second: int, hashes: Sequence[bytes], *, ttl: int) -> Item:
        mark = key_item(keys.counted(second, hashes[0].hex()))
        return self._table.to_put(mark | {"seen": to_value(b"".join(hashes)), "ttl": to_value(ttl)}, condition=NEW)

    def _sum(self, when: str, shard: int, changes: Mapping[str, int]) -> Item:
        """An ADD for every counter; inside the transaction it happens once or not at all."""
        for name in changes:
            if COUNTER_NAME.match(name) is None:
                raise ValueError("not the name of a counter")
        numbered = list(enumerate(changes.items()))
        return {
            "Update": {
                "TableName": self._table.name,
                "Key": key_item(keys.counter(when, shard)),
                "UpdateExpression": "ADD " + ", ".join(f"#n{at} :v{at}" for at, _ in numbered),
                "ExpressionAttributeNames": {f"#n{at}": f"{PREFIX}{name}" for at, (name, _) in numbered},
                "ExpressionAttributeValues": {f":v{at}": to_value(by) for at, (_, by) in numbered},
            }
        }


def _portions(events: Iterable[Counted]) -> Iterator[list[Counted]]:
    """What fits into one transaction each; an event that comes twice is in one of them once."""
    portion: list[Counted] = []
    seconds: set[int] = set()
    names: set[str] = set()
    for event in {each.id: each for each in events}.values():
        more_names, more_seconds = names | event.changes.keys(), seconds | {event.time}
        if portion and (len(more_names) > MOST_NAMES or len(more_seconds) > MOST_MARKS):
            yield portion
            portion, more_names, more_seconds = [], set(event.changes), {event.time}
        portion.append(event)
        names, seconds = more_names, more_seconds
    if portion:
        yield portion


def _hash(event: Counted) -> bytes:
    return hashlib.blake2b(event.id.encode(), digest_size=HASH_BYTES).digest()
