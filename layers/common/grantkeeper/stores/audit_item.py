"""
An audit entry as items of the audit table.

The entry stands under its user, else its connection, else the day; one that has both stands under both. The
first item alone carries the index attributes (`day_pk`, `actor_pk`): so exports, counters and events see it once.

A refresh is told by its generation: its sort key is `generation#<name>#<generation>`, so whoever is about to
spend a refresh token finds with one read whether the trail knows a later generation than the row does.
"""

from __future__ import annotations

import time as clock
from typing import Self

from grantkeeper.model import AuditEvent
from grantkeeper.stores.items import Item, from_item, to_item
from grantkeeper.stores.keys import shard_of
from grantkeeper.stores.table import Table, key_item

RETENTION_DAYS = 400  # an entry is kept unless the deployment says otherwise: thirteen months
DAY = 86_400
DAY_SHARDS = 4
GENERATION_ACTIONS = frozenset({"grant.refreshed", "grant.replaced"})  # made from the stream, one per generation

_NEW = "attribute_not_exists(#pk)"


class AuditTableName(str):
    """
    The name of the audit table, and how many days its entries are kept.

    A name, so that whoever writes entries beside its own table passes on one argument and not two.
    """

    __slots__ = ("retention_days",)

    retention_days: int

    def __new__(cls, name: str, *, retention_days: int = RETENTION_DAYS) -> Self:
        """Args: name: of the table; retention_days: how long an entry written there is kept."""
        made = super().__new__(cls, name)
        made.retention_days = retention_days
        return made


def audit_writes(table: Table, event: AuditEvent) -> list[Item]:
    """Parts of a transaction that add an entry; they can only add, never change one."""
    return [table.to_put(item, condition=_NEW) for item in audit_items(event, table=table.name)]


def audit_items(event: AuditEvent, *, table: str = "") -> list[Item]:
    """The entry, first the item that the indexes show; kept as long as the table's name says."""
    days = table.retention_days if isinstance(table, AuditTableName) else RETENTION_DAYS
    sort_key = f"{event.time:010d}#{event.id}"
    body = to_item(event) | {"ttl": {"N": str(event.time + days * DAY)}}
    indexed = {"day_pk": {"S": day_partition(event)}, "day_sk": {"S": sort_key}}
    if event.actor.startswith(("user:", "user_key:", "key:")):
        indexed |= {"actor_pk": {"S": f"A#{event.actor}"}, "actor_sk": {"S": sort_key}}
    partitions = _partitions(event)
    if event.action in GENERATION_ACTIONS:
        sort_key = generation_key(event.details["name"], int(event.details["generation"]))
    items = [key_item((pk, sort_key)) | body for pk in partitions]
    return [items[0] | indexed, *items[1:]]


def _partitions(event: AuditEvent) -> list[str]:
    of_connection = [] if event.connection_id is None else [f"CONNECTION#{event.connection_id}"]
    if event.action in GENERATION_ACTIONS:
        return of_connection  # a user's own trail is not for routine refreshes
    of_user = [] if event.sub is None else [f"USER#{event.sub}"]
    return [*of_user, *of_connection] or [f"SYSTEM#{day_of(event.time)}"]


def generation_key(name: str, generation: int) -> str:
    """The sort key of a generation; zero-padded, so that order is by number."""
    return f"generation#{name}#{generation:012d}"


def day_of(time: int) -> str:
    """The UTC day of an epoch second, `yyyy-mm-dd`."""
    return clock.strftime("%Y-%m-%d", clock.gmtime(time))


def day_partition(event: AuditEvent) -> str:
    """The index partition of an entry: its day, in one of a few shards."""
    return f"D#{day_of(event.time)}#{shard_of(event.id, DAY_SHARDS)}"


def event_of(item: Item) -> AuditEvent:
    """An entry as it was recorded."""
    return from_item(AuditEvent, item)
