"""A table of the in-memory DynamoDB: its keys, its indexes, the order of its rows."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.dynamodb_expressions import Tree
from tests.doubles.dynamodb_values import Invalid, Item, kind_of, normal, sort_key

Key = tuple[Any, ...]


class Rows(dict[Key, Item]):
    """Items by their key; each partition that was asked for is kept in order, so that a query looks at no other."""

    def __init__(self) -> None:
        super().__init__()
        self._sizes: dict[tuple[str | None, int], int] = {}
        self._ordered: dict[str | None, tuple[Callable[[Item], Key | None], dict[Any, list[tuple[Key, Key]]]]] = {}

    def __setitem__(self, key: Key, item: Item) -> None:
        self._take_out(key)
        super().__setitem__(key, item)
        for order, partitions in self._ordered.values():
            place = order(item)
            if place is not None:
                insort(partitions.setdefault(place[0], []), (place, key))

    def pop(self, key: Key, *default: Any) -> Any:
        self._take_out(key)
        return super().pop(key, *default)

    def _take_out(self, key: Key) -> None:
        old = self.get(key)
        for index in (None, *self._ordered):
            self._sizes.pop((index, id(old)), None)
        for order, partitions in self._ordered.values():
            place = None if old is None else order(old)
            if place is not None:
                rows = partitions[place[0]]
                del rows[bisect_left(rows, (place, key))]

    def size_of(self, item: Item, index: str | None, measure: Callable[[], int]) -> int:
        """What a stored item weighs in the table or an index; measured once, since what is stored never changes."""
        if index is not None and index not in self._ordered:
            return measure()
        known = self._sizes.get((index, id(item)))
        if known is None:
            known = self._sizes[(index, id(item))] = measure()
        return known

    def partition(self, index: str | None, of: Any, order: Callable[[Item], Key | None]) -> list[Item]:
        """
        The rows of one partition of an index, in order.

        Args:
            of: Its key.
            order: Where an item stands, its partition first; None for an item that is not on the index.
        """
        if index not in self._ordered:
            partitions: dict[Any, list[tuple[Key, Key]]] = {}
            for key, item in self.items():
                place = order(item)
                if place is not None:
                    partitions.setdefault(place[0], []).append((place, key))
            for rows in partitions.values():
                rows.sort()
            self._ordered[index] = (order, partitions)
        return [self[key] for _, key in self._ordered[index][1].get(of, [])]


@dataclass
class Table:
    """Rows by their key, and what the schema says about them."""

    keys: tuple[str, ...]
    types: dict[str, str]
    indexes: dict[str, tuple[tuple[str, ...], dict[str, Any]]]  # name → (key names, projection)
    items: Rows = field(default_factory=Rows)

    @classmethod
    def of(cls, schema: dict[str, Any]) -> Table:
        """Read the arguments of CreateTable."""
        return cls(
            keys=_key_names(schema["KeySchema"]),
            types={a["AttributeName"]: a["AttributeType"] for a in schema["AttributeDefinitions"]},
            indexes={
                index["IndexName"]: (_key_names(index["KeySchema"]), index["Projection"])
                for index in schema.get("GlobalSecondaryIndexes", [])
            },
        )

    # --- keys ---

    def keys_of(self, index: str | None) -> tuple[str, ...]:
        """Key attributes of the table or of an index."""
        if index is None:
            return self.keys
        if index not in self.indexes:
            raise Invalid("The table does not have the specified index: " + index)
        return self.indexes[index][0]

    def key_of(self, item: Item) -> Key:
        """The key of an item, checked."""
        return tuple(self._key_value(name, item) for name in self.keys)

    def exact_key(self, key: Item) -> Key:
        """The same for a `Key` argument, which may hold nothing else."""
        if set(key) != set(self.keys):
            raise Invalid("The provided key element does not match the schema")
        return self.key_of(key)

    def _key_value(self, name: str, item: Item) -> Any:
        value = item.get(name)
        if value is None:
            raise Invalid(f"One or more parameter values were invalid: Missing the key {name} in the item")
        if kind_of(normal(value)) != self.types[name]:
            raise Invalid(f"One or more parameter values were invalid: Type mismatch for key {name}")
        content = sort_key(normal(value))
        if content in (b"", ""):
            raise Invalid(
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
                f"empty string value. Key: {name}"
            )
        return content

    def check_index_keys(self, item: Item) -> None:
        """An index attribute of the wrong type, or empty, refuses the write."""
        for names, _ in self.indexes.values():
            for name in names:
                if name in item:
                    self._key_value(name, item)

    def refuse_key_change(self, actions: list[Tree]) -> None:
        """The key of an item never changes."""
        for action in actions:
            if action[1][0] in self.keys:
                raise Invalid(f"Cannot update attribute {action[1][0]}. This attribute is part of the key")

    # --- rows ---

    def rows(self, view: dict[Key, Item], index: str | None, *, forward: bool) -> list[Item]:
        """All rows of the table or of a sparse index, in order."""
        names = self.keys_of(index)
        present = [item for item in view.values() if all(name in item for name in names)]
        return sorted(present, key=lambda item: self._order(item, index), reverse=not forward)

    def partition(self, view: dict[Key, Item], index: str | None, of: Item, *, forward: bool) -> list[Item]:
        """The rows of one partition, in order."""
        names, wanted = self.keys_of(index), sort_key(normal(of))
        if not isinstance(view, Rows):  # as it was at some moment
            return [row for row in self.rows(view, index, forward=forward) if sort_key(row[names[0]]) == wanted]
        rows = view.partition(
            index, wanted, lambda item: self._order(item, index) if all(name in item for name in names) else None
        )
        return rows if forward else rows[::-1]

    def _order(self, item: Item, index: str | None) -> Key:
        names = self.keys_of(index) if index is None else (*self.keys_of(index), *self.keys)
        return tuple(sort_key(item[name]) for name in names)

    def after(self, rows: list[Item], start: Item, index: str | None, *, forward: bool) -> list[Item]:
        """The rows behind a position."""
        position = self._order(start, index)
        if forward:
            return [row for row in rows if self._order(row, index) > position]
        return [row for row in rows if self._order(row, index) < position]

    def position(self, row: Item, index: str | None) -> Item:
        """LastEvaluatedKey for a row."""
        names = dict.fromkeys((*self.keys, *self.keys_of(index)))
        return {name: row[name] for name in names}

    def projected(self, row: Item, index: str | None) -> Item:
        """What an index holds of a row."""
        if index is None:
            return row
        names, projection = self.indexes[index]
        if projection["ProjectionType"] == "ALL":
            return row
        held = {*self.keys, *names, *projection.get("NonKeyAttributes", [])}
        return {name: value for name, value in row.items() if name in held}


def _key_names(schema: list[dict[str, str]]) -> tuple[str, ...]:
    ordered = sorted(schema, key=lambda entry: entry["KeyType"] != "HASH")
    return tuple(entry["AttributeName"] for entry in ordered)
