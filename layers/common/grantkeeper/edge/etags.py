"""Entity tags (RFC 9110 section 8.8.3): what the caller has already, and which state a change is of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from grantkeeper import ids
from grantkeeper.edge.http import Request
from grantkeeper.errors import PreconditionFailed, PreconditionRequired

_LENGTH = 22  # of a digest's 43 characters: 132 bits


def etag_of(body: Mapping[str, Any], *, version: int) -> str:
    """A strong tag: of exactly this representation, made from a record of this version."""
    return f'"{version}-{ids.digest(json.dumps(body, sort_keys=True))[:_LENGTH]}"'


def has_it(request: Request, etag: str) -> bool:
    """Tell whether If-None-Match names this tag or any; compared weakly (section 13.1.2)."""
    tags = {tag.removeprefix("W/") for tag in _tags(request.headers.get("if-none-match", ""))}
    return "*" in tags or etag in tags


def require_match(request: Request, etag: str) -> None:
    """
    Let a change through that is of the state with this tag; compared strongly (section 13.1.1), `*` is any state.

    Raises:
        PreconditionRequired: There is no If-Match.
        PreconditionFailed: It names other states only.
    """
    header = request.headers.get("if-match")
    if header is None:
        raise PreconditionRequired("Send the ETag you read as If-Match.")
    if not {"*", etag} & _tags(header):
        raise PreconditionFailed("It was changed since you read it. Read it again.")


def _tags(header: str) -> set[str]:
    """Tags of ours hold neither comma nor quote, so a list of them can be split."""
    return {tag.strip() for tag in header.split(",")}
