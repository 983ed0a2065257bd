"""
Reading a provider's body: strictly where nothing is lost by refusing, leniently where a token would be.

Strict: UTF-8 JSON object, no byte order mark, no duplicate keys, at most 20 levels (security.md C-47). Lenient:
whatever still reads as one object. Odd numbers (NaN, 1e400) are left to whoever reads the field.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from grantkeeper.providers.record import Provider

MAX_ANSWER = 256 * 1024
MAX_DEPTH = 20


def strict_object(body: bytes) -> dict[str, Any] | None:
    """Parse a JSON object strictly; None for anything else."""
    value = strict_value(body)
    return value if isinstance(value, dict) else None


def strict_value(body: bytes) -> Any:
    """Parse JSON of any kind strictly; None for anything that is none, and for `null`."""
    if len(body) > MAX_ANSWER:
        return None
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_int=_integer)
    except (ValueError, RecursionError):
        return None
    return None if isinstance(value, dict | list) and _deeper_than(value, MAX_DEPTH) else value


def lenient_object(body: bytes) -> dict[str, Any] | None:
    """
    Parse one JSON object of any quality; the last of duplicate keys counts. None when there is none.

    It may stand in UTF-16 or UTF-32 (RFC 4627 section 3 allowed them), and something may follow it: an object says
    itself where it ends.
    """
    try:
        text = body.decode(json.detect_encoding(body), "replace").lstrip("\ufeff \t\r\n")
        value, _ = _LENIENT.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def form_object(body: bytes) -> dict[str, Any] | None:
    """Parse a form-encoded answer, each field once; for providers whose record declares it."""
    if len(body) > MAX_ANSWER:
        return None
    try:
        pairs = parse_qsl(body.decode("utf-8").strip(), keep_blank_values=True, strict_parsing=True, max_num_fields=64)
    except ValueError:
        return None
    return dict(pairs) if pairs and len(dict(pairs)) == len(pairs) else None


def parse_answer(body: bytes, *, provider: Provider, lenient: bool = False) -> dict[str, Any] | None:
    """
    Read the body of a token endpoint's answer.

    Args:
        body: At most 256 KiB; more is no answer.
        provider: Its record declares a form-encoded dialect, which is read in no other case (C-56).
        lenient: Accept what is no proper JSON but reads as one object.

    Returns:
        The object, or None when there is none.
    """
    if provider.token_response.encoding == "form":
        answer = strict_object(body) or form_object(body)  # such servers answer JSON once asked by `accept`
    else:
        answer = strict_object(body)
    return lenient_object(body) if answer is None and lenient else answer


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key")
    return value


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= 25 else float(digits)  # a million digits would cost seconds


_LENIENT = json.JSONDecoder(parse_int=_integer)


def _deeper_than(value: Any, depth: int) -> bool:
    """Tell whether containers nest deeper than `depth`; stops at the first that does."""
    level = [value]
    for _ in range(depth):
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True
