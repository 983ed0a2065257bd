"""
Records as DynamoDB items, under the names of their own fields.

A field that is None, or empty by default, is left out: the item stays small
and sparse indexes stay sparse. Lists keep their order (endpoint variables are
part of what a sealed set is bound to), so tuples are lists, never sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Item = dict[str, Any]


def to_value(value: Any) -> dict[str, Any]:  # noqa: PLR0911 - one branch per type
    """
    An AttributeValue for a string, number, flag, bytes, list, mapping or record.

    Raises:
        TypeError: Nothing of ours has another type.
    """
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int() | float():
            return {"N": repr(value)}
        case bytes():
            return {"B": value}
        case None:
            return {"NULL": True}
        case tuple() | list():
            return {"L": [to_value(member) for member in value]}
        case Mapping():
            return {"M": {str(name): to_value(member) for name, member in value.items()}}
    if is_dataclass(value) and not isinstance(value, type):
        return {"M": to_item(value)}
    raise TypeError(f"{type(value).__name__} has no place in an item")


def from_value(value: Mapping[str, Any]) -> Any:
    """The value of an AttributeValue; lists come back as tuples, numbers as int where they are whole."""
    ((kind, content),) = value.items()
    match kind:
        case "S":
            pass  # first: most are, and every row that is read comes here twenty times
        case "N":
            return int(content) if content.lstrip("-").isdigit() else float(content)
        case "L":
            return tuple(from_value(member) for member in content)
        case "M":
            return {name: from_value(member) for name, member in content.items()}
        case "NULL":
            return None
        case "B":
            return bytes(content)
    return content


def to_item(record: DataclassInstance, *, without: tuple[str, ...] = ()) -> Item:
    """
    The attributes of a record.

    Args:
        record: A dataclass of `model`.
        without: Fields that the key says already.
    """
    item: Item = {}
    for name, default in _defaults(type(record)):
        value = getattr(record, name)
        if name in without or value is None or (not value and value == default):
            continue
        item[name] = to_value(value)
    return item


def from_item[R: DataclassInstance](kind: type[R], item: Mapping[str, Any], **known: Any) -> R:
    """
    Build a record; attributes that are not its fields are passed over.

    Args:
        kind: The dataclass.
        item: The item as read.
        known: Fields from elsewhere: parts of the key, or what stands in for an attribute left out.
    """
    read = {name: from_value(item[name]) for name, _ in _defaults(kind) if name in item}
    return kind(**{**known, **read})


@cache
def _defaults(kind: type[DataclassInstance]) -> tuple[tuple[str, Any], ...]:
    """Field names with their default; a field without one is always written."""
    return tuple((f.name, _default(f)) for f in fields(kind))


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else MISSING
