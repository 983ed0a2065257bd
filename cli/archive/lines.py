"""
What stands inside an archive: one JSON object a line, the first says what this is, the last how much there was.

    {"type": "archive", "version": 1, "id": "arc_…", "created_at": …, "source": {…}, "contains": […]}
    {"type": "client" | "api_key" | "provider" | "user" | "connection", …}
    {"type": "end", "counts": {"client": 2, …}}

Members are the fields of the product's own records; what is empty by default is left out, and bytes are base64.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from cli.archive.age import ArchiveUnreadable, Writer
from grantkeeper.stores.items import from_item, to_item, to_value

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

VERSION = 1
KINDS = ("client", "api_key", "provider", "user", "connection")
MAX_LINE = 4 * 1024 * 1024  # a connection holds a picture of 64 KiB and a few token sets of 16 KiB

Line = Mapping[str, Any]


class LineWriter:
    """Writes lines into an encrypted file and counts them."""

    def __init__(self, out: Writer, head: Mapping[str, Any]) -> None:
        """Write the first line."""
        self._out = out
        self.counts: Counter[str] = Counter()
        self._write({"type": "archive", "version": VERSION, **head})

    def write(self, line: Line) -> None:
        """Write one record."""
        self.counts[line["type"]] += 1
        self._write(line)

    def close(self) -> None:
        """Write the last line; without it an archive is not whole."""
        self._write({"type": "end", "counts": dict(self.counts)})
        self._out.close()

    def _write(self, line: Line) -> None:
        self._out.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")


def head_of(lines: Iterator[Line]) -> Line:
    """
    Read the first line.

    Raises:
        ArchiveUnreadable: It is no archive of ours, or one of a later version.
    """
    head = next(lines, {})
    if head.get("type") != "archive" or not isinstance(head.get("id"), str):
        raise ArchiveUnreadable("It is an age file, and no archive of Grantkeeper.")
    if head.get("version") != VERSION:
        raise ArchiveUnreadable("It was written by a later version of Grantkeeper.")
    return head


def lines_of(chunks: Iterable[bytes]) -> Iterator[Line]:
    """
    Cut decrypted chunks into lines, the first and the last among them.

    Raises:
        ArchiveUnreadable: A line that is none, or of a kind that is not known here.
    """
    held = b""
    for chunk in chunks:
        *whole, held = (held + chunk).split(b"\n")
        if len(held) > MAX_LINE:
            raise ArchiveUnreadable("It holds a line that is too long.")
        yield from map(_line, whole)
    if held:
        raise ArchiveUnreadable("Its last line is not whole.")


def verified(lines: Iterator[Line]) -> tuple[Line, Counter[str]]:
    """
    Read an archive to its end: the first line, and how many records of each kind there are.

    Raises:
        ArchiveUnreadable: Anything is wrong with it, anywhere.
    """
    head, counts = head_of(lines), Counter[str]()
    for line in lines:
        if line["type"] == "end":
            if line.get("counts") != dict(counts) or next(lines, None) is not None:
                raise ArchiveUnreadable("Its last line does not fit what stands before it.")
            return head, counts
        counts[line["type"]] += 1
    raise ArchiveUnreadable("Its last line is missing.")


def plain(record: DataclassInstance, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of a record that say something, as JSON has them."""
    return {name: _plain(value) for name, value in to_item(record, without=without).items()}


def record_of[R: DataclassInstance](kind: type[R], line: Mapping[str, Any], **known: Any) -> R:
    """
    Build a record of what `plain` wrote; members that are none of its fields are passed over.

    Raises:
        ArchiveUnreadable: A field is missing.
    """
    binary = {each.name for each in fields(kind) if each.type == "bytes"}
    try:
        item = {name: {"B": b64decode(value)} if name in binary else to_value(value) for name, value in line.items()}
        return from_item(kind, item, **known)
    except (TypeError, ValueError, AttributeError):
        raise ArchiveUnreadable(f"A record in it is no {kind.__name__.lower()}.") from None


def _plain(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return int(content) if content.lstrip("-").isdigit() else float(content)
        case "L":
            return [_plain(member) for member in content]
        case "M":
            return {name: _plain(member) for name, member in content.items()}
        case "NULL":
            return None
        case "B":
            return b64encode(content).decode("ascii")
    return content


def _line(text: bytes) -> Line:
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    if not isinstance(line, dict) or line.get("type") not in (*KINDS, "archive", "end"):
        raise ArchiveUnreadable("It holds a line that is not known here.")
    return line
