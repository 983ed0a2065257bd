"""Decoding of what strangers send: bounded, strict, and every refusal a `BadRequest` that repeats nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from grantkeeper.errors import BadRequest, UnsupportedMediaType

MAX_FIELDS = 64


def strict_json_object(text: str) -> dict[str, Any]:
    """
    Parse a JSON object: no duplicate keys, no NaN, no lone surrogates, at most 20 levels deep.

    Raises:
        BadRequest: Anything else.
    """
    if _depth(text) > 20:
        raise BadRequest("The JSON is nested too deeply.")
    try:
        value = json.loads(
            text, object_pairs_hook=_unique_pairs, parse_constant=_refuse_constant, parse_int=_bounded_int
        )
    except (ValueError, RecursionError):
        raise BadRequest("The body is not a JSON object.") from None
    if not isinstance(value, dict):
        raise BadRequest("The body is not a JSON object.")
    if "\\u" in text:  # the one way past UTF-8: an escaped half of a pair, which no digest and no store can take
        require_encodable(json.dumps(value, ensure_ascii=False))
    return value


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _bounded_int(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError("integer too long")
    return int(digits)


def _depth(text: str) -> int:
    """The most brackets ever open; brackets inside strings count too, which only makes it stricter."""
    depth = deepest = 0
    for char in text:
        if char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def require_type(headers: Mapping[str, str], expected: str) -> None:
    """
    Require a media type, uncompressed and in UTF-8.

    Raises:
        UnsupportedMediaType: It is another, or packed.
    """
    if headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMediaType("Compressed bodies are not accepted.")
    media_type, _, parameters = headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower()
    if media_type.strip().lower() != expected or charset not in ("", "charset=utf-8", 'charset="utf-8"'):
        raise UnsupportedMediaType(f"The body must be {expected} in UTF-8.")


def text_of(body: bytes) -> str:
    """The body as UTF-8 text."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("The body is not UTF-8.") from None


def require_encodable(*texts: str) -> None:
    """Refuse lone surrogates at the door: what cannot be encoded cannot be hashed, stored or sent on."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise BadRequest("The request is not UTF-8.") from None


def fields_of(encoded: str) -> dict[str, tuple[str, ...]]:
    """Form or query parameters, every value kept, at most 64."""
    require_encodable(encoded)
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise BadRequest("The parameters are not decodable, or too many.") from None
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        fields[name] = (*fields.get(name, ()), value)
    return fields


def one_of(fields: Mapping[str, tuple[str, ...]], name: str) -> str | None:
    """The value of a parameter that may appear once (RFC 6749 section 3.1); None when it is absent."""
    values = fields.get(name, ())
    if len(values) > 1:
        raise BadRequest(f"The parameter {name} is repeated.", parameter=name)
    return values[0] if values else None


def cookies_of(event: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, str]:
    """
    The first value of each name.

    Only the spaces that HTTP puts there are taken off. Others are part of the name to a browser, which therefore lets a
    sibling domain set U+2000 + `__Host-…`; stripped, it would pass for the cookie that nobody else can set.
    """
    parts = event.get("cookies") or headers.get("cookie", "").split(";")
    cookies: dict[str, str] = {}
    for part in parts[:50]:
        name, separator, value = part.strip(" \t").partition("=")
        if separator:
            cookies.setdefault(name, value)
    return cookies
