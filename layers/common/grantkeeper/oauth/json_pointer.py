"""JSON Pointer (RFC 6901), as far as records need it."""

from __future__ import annotations

from typing import Any


def lookup(document: Any, pointer: str) -> Any:
    """
    Return the value at `pointer`, or None when nothing stands there.

    Args:
        document: Decoded JSON.
        pointer: `""` for the whole document, else `/`-separated keys or array indexes with `~0` and `~1` escapes.
    """
    if not pointer:
        return document
    value = document
    for part in pointer.removeprefix("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isascii() and key.isdigit() and len(key) < 6 and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def without(document: dict[str, Any], pointer: str) -> dict[str, Any]:
    """Return a copy of `document` without the member at `pointer`; arrays are left as they are."""
    head, _, rest = pointer.removeprefix("/").partition("/")
    key = head.replace("~1", "/").replace("~0", "~")
    if key not in document:
        return document
    if not rest:
        return {name: value for name, value in document.items() if name != key}
    inner = document[key]
    return document | {key: without(inner, rest)} if isinstance(inner, dict) else document
