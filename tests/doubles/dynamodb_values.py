"""Attribute values as DynamoDB keeps them: validation, normal forms, order and size."""

from __future__ import annotations

import copy
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from botocore.exceptions import ClientError

Value = dict[str, Any]
Item = dict[str, Value]

SETS = ("SS", "NS", "BS")
EXACT = Context(prec=200)  # the default context would round to 28 digits

MAX_ITEM_BYTES = 400 * 1024
IMMUTABLE = (str, bytes, int, float, Decimal, type(None))


def client_error(operation: str, code: str, message: str, **members: Any) -> ClientError:
    """Build the error botocore would raise; modelled members such as `Item` stand at the top level."""
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 500 if code == "InternalServerError" else 400, "RequestId": "in-memory"},
        **members,
    }
    return ClientError(response, operation)


def copied(value: Any) -> Any:
    """Copy requests and items so that nobody's later change is seen; `copy.deepcopy` takes ten times as long."""
    if isinstance(value, dict):
        return {name: copied(each) for name, each in value.items()}
    if isinstance(value, list):
        return [copied(each) for each in value]
    return value if isinstance(value, IMMUTABLE) else copy.deepcopy(value)


class Invalid(Exception):
    """A ValidationException before it is known which operation it belongs to."""


def number(text: str) -> Decimal:
    """Parse an N value; 38 digits at most, as DynamoDB."""
    try:
        value = Decimal(text)
    except (InvalidOperation, TypeError, ValueError):
        raise Invalid(f"The parameter cannot be converted to a numeric value: {text}") from None
    if not value.is_finite() or len(value.normalize(EXACT).as_tuple().digits) > 38:
        raise Invalid("Attempting to store more than 38 significant digits in a Number")
    return value


def number_text(value: Decimal) -> str:
    """Write a number the way DynamoDB gives it back: `12.50` is `12.5`, `1E2` is `100`."""
    if value == 0:
        return "0"
    text = format(value.normalize(EXACT), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def normal(value: Value) -> Value:  # noqa: PLR0911 - one branch per type
    """Validate an attribute value and bring it to its stored form (a deep copy)."""
    if not isinstance(value, dict) or len(value) != 1:
        raise Invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one")
    ((kind, content),) = value.items()
    match kind:
        case "S" if isinstance(content, str):
            return {"S": content}
        case "N" if isinstance(content, str):
            return {"N": number_text(number(content))}
        case "B" if isinstance(content, bytes | bytearray):
            return {"B": bytes(content)}
        case "BOOL" if isinstance(content, bool):
            return {"BOOL": content}
        case "NULL" if content is True:
            return {"NULL": True}
        case "L" if isinstance(content, list | tuple):
            return {"L": [normal(v) for v in content]}
        case "M" if isinstance(content, dict) and "" not in content:
            return {"M": {k: normal(v) for k, v in content.items()}}
        case "SS" | "NS" | "BS" if isinstance(content, list | tuple | set):
            return {kind: _normal_set(kind, list(content))}
    raise Invalid(f"Invalid type for parameter: {kind} of {type(content).__name__}")


def _normal_set(kind: str, members: list[Any]) -> list[Any]:
    if not members:
        raise Invalid("One or more parameter values were invalid: An string set  may not be empty")
    stored = [normal({kind[0]: m})[kind[0]] for m in members]
    if len(set(stored)) != len(stored):
        raise Invalid("One or more parameter values were invalid: Input collection contains duplicates")
    return stored


def normal_item(item: Item) -> Item:
    """Validate a whole item, its size included."""
    stored = {name: normal(value) for name, value in item.items()}
    if item_size(stored) > MAX_ITEM_BYTES:
        raise Invalid("Item size has exceeded the maximum allowed size")
    return stored


def kind_of(value: Value) -> str:
    """The type tag of a value, such as S or N."""
    return next(iter(value))


def comparable(value: Value) -> Any:
    """A Python value that equals another exactly when DynamoDB says so (within one type)."""
    kind, content = next(iter(value.items()))
    match kind:
        case "N":
            return Decimal(content)
        case "NS":
            return frozenset(Decimal(n) for n in content)
        case "SS" | "BS":
            return frozenset(content)
        case "L":
            return [(kind_of(v), comparable(v)) for v in content]
        case "M":
            return {k: (kind_of(v), comparable(v)) for k, v in content.items()}
    return content


def equal(left: Value, right: Value) -> bool:
    """DynamoDB equality: same type, same value."""
    return kind_of(left) == kind_of(right) and comparable(left) == comparable(right)


def sort_key(value: Value) -> Any:
    """The order of a key: numbers by value, strings and binary by their bytes."""
    kind, content = next(iter(value.items()))
    match kind:
        case "N":
            return Decimal(content)
        case "S":
            return content.encode()
    return bytes(content)


def value_size(value: Value) -> int:  # noqa: PLR0911 - one branch per type
    """Size in bytes by the published rules, near enough for the limits."""
    kind, content = next(iter(value.items()))
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return len(content.lstrip("-").replace(".", "").strip("0")) // 2 + 2
        case "B":
            return len(content)
        case "BOOL" | "NULL":
            return 1
        case "L":
            return 3 + sum(1 + value_size(v) for v in content)
        case "M":
            return 3 + sum(1 + len(k.encode()) + value_size(v) for k, v in content.items())
    return sum(value_size({kind[0]: member}) for member in content)


def item_size(item: Item) -> int:
    """Size of an item in bytes: names and values."""
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())
