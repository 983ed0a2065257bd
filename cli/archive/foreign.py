"""
Connections as others write them: Nango's API, and a CSV of our own making.

Every row becomes a `Row`, or a sentence that says what is wrong with it; never with what stands in it, which may be a
token.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, TextIO

import click

COLUMNS = (
    "user_id", "service", "access_token", "refresh_token", "expires_at", "scopes", "account_id", "label",
    "oauth_client_id",
)  # fmt: skip
NEEDED = ("user_id", "service", "access_token")
MAX_FILE = 256 * 1024 * 1024  # bytes of one JSON document, which is read whole; lines of JSON have no bound
MAX_FIELD = 64 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One connection, checked for form only; its repr shows no token."""

    user_id: str
    service: str  # as it is called there
    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: int | None = None  # epoch seconds
    scopes: str | None = None
    account_id: str | None = None
    label: str | None = None
    oauth_client_id: str | None = None  # our registration at the provider with which the tokens were made
    raw: Mapping[str, Any] | None = field(default=None, repr=False)  # the provider's own answer
    repeated: bool = False  # a row before it has the same refresh token


class BadRow(ValueError):
    """A row that is none; the message is safe to show."""


Numbered = Iterator[tuple[int, Row | BadRow]]  # line or position, from 1


def marked(rows: Numbered) -> Numbered:
    """Mark each row whose refresh token stood in one before: two connections would spend it, each against the other."""
    seen: set[bytes] = set()
    for at, row in rows:
        if isinstance(row, BadRow) or row.refresh_token is None:
            yield at, row
            continue
        digest = sha256(row.refresh_token.encode(errors="replace")).digest()
        yield at, replace(row, repeated=True) if digest in seen else row
        seen.add(digest)


def csv_rows(file: TextIO) -> Numbered:
    """
    Rows of a CSV file with a header line; columns that are not known are refused, since a token may be in them.

    Raises:
        click.ClickException: The header lacks a column, or has one that is not known.
    """
    csv.field_size_limit(MAX_FIELD)
    reader = csv.DictReader(file, strict=True)
    header = list(reader.fieldnames or ())
    if missing := [name for name in NEEDED if name not in header]:
        raise click.ClickException(f"The first line lacks the column {missing[0]}.")
    if unknown := [at for at, name in enumerate(header, 1) if name not in COLUMNS]:
        raise click.ClickException(f"Column {unknown[0]} is none of {', '.join(COLUMNS)}.")
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield reader.line_num, BadRow("it is no line of CSV")
            continue
        yield reader.line_num, _tried(_of_cells, cells)


def nango_rows(path: Path, *, connection_id_is_user: bool) -> Numbered:
    """
    Connections as Nango's `GET /connections/{id}` answers them: a JSON list, `{"connections": […]}`, or one a line.

    Args:
        connection_id_is_user: Take `connection_id` for the user's id where no end user is named.

    Raises:
        click.ClickException: It is no JSON, or too large for one document.
    """
    with path.open(encoding="utf-8") as file:
        for at, told in enumerate(_objects(file, path), 1):
            yield at, _tried(lambda each: _of_nango(each, connection_id_is_user=connection_id_is_user), told)


def _objects(file: TextIO, path: Path) -> Iterator[Any]:
    first = file.read(1)
    while first.isspace():
        first = file.read(1)
    start = file.readline()
    file.seek(0)
    if first == "{" and _is_json(first + start):  # one object a line
        for line in file:
            if line.strip():
                yield json.loads(line) if _is_json(line) else BadRow("it is no JSON")
        return
    if path.stat().st_size > MAX_FILE:
        raise click.ClickException("The file is over 256 MB: write one connection a line.")
    try:
        document = json.load(file)
    except ValueError:
        raise click.ClickException("The file is no JSON.") from None
    listed = document.get("connections", [document]) if isinstance(document, dict) else document
    if not isinstance(listed, list):
        raise click.ClickException("The file holds no list of connections.")
    yield from listed


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict) and "connections" not in json.loads(text)
    except ValueError:
        return False


def _tried(parse: Any, told: Any) -> Row | BadRow:
    if isinstance(told, BadRow):
        return told
    try:
        row: Row = parse(told)
    except BadRow as error:
        return error
    except (AttributeError, TypeError, ValueError, KeyError):
        return BadRow("it has not the form of a connection")
    return row


def _of_cells(cells: Mapping[str | None, Any]) -> Row:
    if None in cells or None in cells.values():
        raise BadRow("it has not as many cells as the first line")
    given = {name: value.strip() for name, value in cells.items() if name is not None and value.strip()}
    for name in NEEDED:
        if name not in given:
            raise BadRow(f"{name} is empty")
    expires_at = _time(given.pop("expires_at", None))
    return Row(**given, expires_at=expires_at)


def _of_nango(told: Mapping[str, Any], *, connection_id_is_user: bool) -> Row:
    credentials, kind = told["credentials"], told["credentials"].get("type")
    user_id = _nango_user(told) or (told.get("connection_id") if connection_id_is_user else None)
    if not isinstance(user_id, str) or not user_id:
        raise BadRow("it names no end user")
    service = told.get("provider_config_key")
    if not isinstance(service, str) or not service:
        raise BadRow("provider_config_key is missing")
    if kind == "API_KEY":
        return Row(user_id, service, _token(credentials, "apiKey"), label=told.get("connection_id"))
    if kind != "OAUTH2":
        raise BadRow("its credentials are neither OAUTH2 nor API_KEY")
    raw = credentials.get("raw") if isinstance(credentials.get("raw"), dict) else {}
    scope = raw.get("scope")
    refresh_token = credentials.get("refresh_token") or raw.get("refresh_token")
    own_client = (told.get("connection_config") or {}).get("oauth_client_id_override")
    return Row(
        user_id,
        service,
        _token(credentials, "access_token"),
        refresh_token=refresh_token if isinstance(refresh_token, str) else None,
        expires_at=_time(credentials.get("expires_at")),
        scopes=scope if isinstance(scope, str) else None,
        oauth_client_id=own_client if isinstance(own_client, str) else None,
        raw=raw or None,
    )


def _nango_user(told: Mapping[str, Any]) -> Any:
    """Its end user, in the place of today or in that of before."""
    return (told.get("end_user") or {}).get("id") or (told.get("tags") or {}).get("end_user_id")


def _token(credentials: Mapping[str, Any], name: str) -> str:
    token = credentials.get(name)
    if not isinstance(token, str) or not token:
        raise BadRow(f"credentials.{name} is missing")
    return token


def _time(told: Any) -> int | None:
    """Epoch seconds of a number, or of a date in ISO 8601 (UTC where it says no zone)."""
    if told is None or told == "":
        return None
    if isinstance(told, int) and not isinstance(told, bool):
        return told
    if isinstance(told, str) and told.isascii() and told.isdigit() and len(told) < 12:
        return int(told)
    try:
        moment = datetime.fromisoformat(told)
    except (TypeError, ValueError):
        raise BadRow("expires_at is neither epoch seconds nor ISO 8601") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
