"""
Records from outside: the deployment's own providers, and changes to built-in ones.

A record is a mapping with the field names of `record.Provider`. It starts from the built-in record of the same id, from
the record its `base` names, or from `openid`, the generic OpenID provider; what it does not mention stays as it is.
Every message names the field, so that an operator can mend it without reading this code.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import cache
from typing import Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from grantkeeper.errors import InvalidProviderRecord
from grantkeeper.providers import record
from grantkeeper.providers.record import Provider
from grantkeeper.providers.validate import check_record

MAX_ITEMS = 200
MAX_TEXT = 2048


def load_record(
    provider_id: str, mapping: Mapping[str, Any], base: Provider | None = None, *, allow_private_addresses: bool = False
) -> Provider:
    """
    Build a provider record from decoded JSON.

    Nested rules (`refresh`, `scope`, `token_response` …) are merged field by field; lists and maps are replaced whole.
    A service whose id is `{id}` takes the provider's id, so that the generic record can be used many times.

    Args:
        provider_id: A slug; the record's id.
        mapping: Field names of `record.Provider`, values as JSON has them.
        base: The record to start from.
        allow_private_addresses: On the local run: http and loopback are accepted.

    Returns:
        A checked record.

    Raises:
        InvalidProviderRecord: `field` names the place, e.g. `services[0].access`.
    """
    unknown = sorted(str(name) for name in set(mapping) - set(_types(Provider)) - {"base"})
    if unknown:
        _refuse(unknown[0], "There is no such field.")
    if mapping.get("id", provider_id) != provider_id:
        _refuse("id", "The id of a record cannot be changed.")
    values = {name: value for name, value in mapping.items() if name not in ("id", "base")}
    if base is None or base.id != provider_id:
        values = {"display_name": provider_id} | values
    if values.get("protocol") == "api_key":  # users bring keys: nobody is sent anywhere
        values = {"authorization_endpoint": "", "token_endpoint": ""} | values
    provider: Provider = _build(Provider, values | {"id": provider_id}, "", base)
    provider = replace(provider, services=tuple(_named(service, provider) for service in provider.services))
    check_record(provider, allow_private_addresses=allow_private_addresses)
    return provider


def _named(service: record.Service, provider: Provider) -> record.Service:
    if service.id != "{id}":
        return service
    return replace(service, id=provider.id, display_name=provider.display_name)


def _build(cls: Any, values: Any, path: str, base: Any) -> Any:
    """Make a dataclass from a mapping, on top of `base`."""
    if not isinstance(values, Mapping):
        _refuse(path, "An object is expected.")
    known = _types(cls)
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        place = f"{path}.{name}" if path else str(name)
        if name not in known:
            _refuse(place, "There is no such field.")
        arguments[name] = _convert(value, known[name], place, None if base is None else getattr(base, name))
    if base is not None:
        return replace(base, **arguments)
    for field in fields(cls):
        if field.name not in arguments and field.default is MISSING and field.default_factory is MISSING:
            _refuse(f"{path}.{field.name}" if path else field.name, "The field is missing.")
    return cls(**arguments)


def _convert(value: Any, wanted: Any, path: str, base: Any) -> Any:  # noqa: PLR0911 - one return per kind of type
    """Check and convert one value to the annotated type of its field."""
    origin = get_origin(wanted)
    if origin in (Union, types.UnionType):
        return _union(value, get_args(wanted), path, base)
    if origin is Literal:
        if value not in get_args(wanted) or isinstance(value, bool):
            _refuse(path, "One of " + ", ".join(map(str, get_args(wanted))) + " is expected.")
        return value
    if wanted == record.Pairs:
        return _pairs(value, path)
    if origin is tuple:
        item = get_args(wanted)[0]
        return tuple(_convert(v, item, f"{path}[{i}]", None) for i, v in enumerate(_list(value, path)))
    if origin is not None:  # Mapping[str, X]
        return _mapping(value, get_args(wanted)[1], path)
    if is_dataclass(wanted):
        return _build(wanted, value, path, base)
    return _plain(value, wanted, path)


def _union(value: Any, members: tuple[Any, ...], path: str, base: Any) -> Any:
    if value is None and type(None) in members:
        return None
    for member in members:
        if member is type(None):
            continue
        if get_origin(member) is Literal and value not in get_args(member):
            continue
        if member is int and (not isinstance(value, int) or isinstance(value, bool)):
            continue
        return _convert(value, member, path, base)
    raise _error(path, "The value is not of a kind this field takes.")


def _plain(value: Any, wanted: Any, path: str) -> Any:
    if wanted is Any:
        if not isinstance(value, str | int | float | bool | None):
            _refuse(path, "A plain value is expected.")
        return value
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        names = {str: "Text", bool: "true or false", int: "A whole number"}
        _refuse(path, f"{names.get(wanted, 'Another kind of value')} is expected.")
    if isinstance(value, str) and len(value) > MAX_TEXT:
        _refuse(path, "The text is too long.")
    return value


def _pairs(value: Any, path: str) -> record.Pairs:
    """Name and value pairs, as an object or as a list of two-element lists."""
    if isinstance(value, Mapping):
        value = list(value.items())
    pairs = []
    for i, pair in enumerate(_list(value, path)):
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            _refuse(f"{path}[{i}]", "A pair of texts is expected.")
        pairs.append((pair[0], pair[1]))
    return tuple(pairs)


def _mapping(value: Any, item: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or len(value) > MAX_ITEMS or not all(isinstance(key, str) for key in value):
        _refuse(path, "An object is expected.")
    return {key: _convert(inner, item, f"{path}.{key}", None) for key, inner in value.items()}


def _list(value: Any, path: str) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, list | tuple) or len(value) > MAX_ITEMS:
        _refuse(path, "A list is expected.")
    return value


@cache
def _types(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls, vars(record))


def _refuse(field: str, detail: str) -> NoReturn:
    raise _error(field, detail)


def _error(field: str, detail: str) -> InvalidProviderRecord:
    return InvalidProviderRecord(f"{field}: {detail}" if field else detail, field=field)
