"""What goes over the wire, seen from the vendor's side: a request taken apart, an answer put together."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from grantkeeper.model import HttpRequest, HttpResponse


class Misspoken(Exception):
    """The product said something this vendor does not understand."""


@dataclass(frozen=True)
class Call:
    """One request to the vendor."""

    request: HttpRequest
    path_parameters: Mapping[str, str]

    @property
    def method(self) -> str:
        return self.request.method

    @cached_property
    def place(self) -> str:
        """Host and path."""
        return place_of(self.request.url)

    @cached_property
    def query(self) -> dict[str, str]:
        return pairs(urlsplit(self.request.url).query)

    def header(self, name: str) -> str | None:
        found = [value for header, value in self.request.headers if header.lower() == name]
        if len(found) > 1:
            raise Misspoken(f"the header {name} is repeated")
        return found[0] if found else None

    @property
    def media_type(self) -> str:
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    def form(self) -> dict[str, str]:
        """The body, which must be a form."""
        if self.media_type != "application/x-www-form-urlencoded":
            raise Misspoken(f"a form is expected, not {self.media_type or 'nothing'}")
        return pairs((self.request.body or b"").decode())

    def json(self) -> Any:
        """The body, which must be JSON."""
        if self.media_type != "application/json":
            raise Misspoken(f"JSON is expected, not {self.media_type or 'nothing'}")
        return json.loads(self.request.body or b"null")

    @property
    def bearer(self) -> str | None:
        scheme, _, token = (self.header("authorization") or "").partition(" ")
        return token if scheme == "Bearer" and token else None

    @property
    def basic(self) -> tuple[str, str] | None:
        """Client id and secret of RFC 6749 section 2.3.1, percent-encoded first."""
        scheme, _, token = (self.header("authorization") or "").partition(" ")
        if scheme != "Basic":
            return None
        identifier, _, secret = base64.b64decode(token, validate=True).decode().partition(":")
        return unquote_plus(identifier), unquote_plus(secret)


def place_of(url: str) -> str:
    """Host and path of an https URL."""
    split = urlsplit(url)
    if split.scheme != "https" or split.fragment or split.username:
        raise Misspoken(f"a plain https URL is expected, not {split.scheme}:")
    return f"{split.netloc}{split.path}"


def pairs(text: str) -> dict[str, str]:
    """Parameters, none of them twice."""
    found = parse_qsl(text, keep_blank_values=True, strict_parsing=True) if text else []
    if len(dict(found)) != len(found):
        raise Misspoken("a parameter is repeated")
    return dict(found)


def answer(body: Any, status: int = 200, **headers: str) -> HttpResponse:
    """A JSON answer; keyword names become header names."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status, {"content-type": "application/json; charset=utf-8", **names}, json.dumps(body).encode())


def text_answer(body: str, status: int, **headers: str) -> HttpResponse:
    """An answer that is no JSON."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status, {"content-type": "text/plain; charset=utf-8", **names}, body.encode())


def s256(verifier: str) -> str:
    """The code challenge of a verifier (RFC 7636 section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())
