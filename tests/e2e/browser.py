"""
A browser reduced to what a sign-in needs: cookies, redirects and forms.

Cookie jars other than Chromium's refuse `__Host-` on plain http, which is why
the product goes without that prefix on loopback; this one keeps cookies per
host and ignores ports, as browsers do.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2

NODE = Path(__file__).resolve().parent.parent / "node"
MAX_HOPS = 20


class Browser:
    """One person's browser."""

    def __init__(self) -> None:
        self.http = httpx2.Client(follow_redirects=False, timeout=20, trust_env=False)
        self.visited: list[str] = []

    def close(self) -> None:
        self.http.close()

    def open(self, url: str, *, until: str = "", login: str = "") -> httpx2.Response | str:
        """
        Follow redirects from `url`, signing in and consenting on the provider's pages as `login`.

        Returns the URL that starts with `until` as soon as a redirect points there (it is not fetched), else the last
        response.
        """
        response = self._get(url)
        for _ in range(MAX_HOPS):
            if response.is_redirect:
                target = urljoin(str(response.url), response.headers["location"])
                if until and target.startswith(until):
                    return target
                response = self._get(target)
                continue
            form = first_form(response.text) if login and "html" in response.headers.get("content-type", "") else None
            if form is None:
                return response
            response = self._submit(response, form, login)
        raise AssertionError(f"more than {MAX_HOPS} hops: {self.visited[-3:]}")

    def _get(self, url: str) -> httpx2.Response:
        self.visited.append(url)
        return self.http.get(url)

    def _submit(self, page: httpx2.Response, form: Form, login: str) -> httpx2.Response:
        fields = dict(form.fields)
        for name in ("login", "sub", "username"):
            if name in fields or name in form.empty:
                fields[name] = login
        for name in ("password",):
            if name in form.empty:
                fields[name] = "irrelevant"
        target = urljoin(str(page.url), form.action or str(page.url))
        self.visited.append(target)
        if form.method == "get":
            return self.http.get(target, params=fields)
        return self.http.post(target, data=fields)


class Form:
    """A form's target and the fields it would send."""

    def __init__(self, action: str, method: str) -> None:
        self.action, self.method = action, method
        self.fields: dict[str, str] = {}
        self.empty: list[str] = []


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(attributes.get("action", ""), attributes.get("method", "get").lower()))
        elif tag == "input" and self.forms and attributes.get("name"):
            if attributes.get("value"):
                self.forms[-1].fields[attributes["name"]] = attributes["value"]
            else:
                self.forms[-1].empty.append(attributes["name"])
        elif tag == "button" and self.forms and attributes.get("name"):
            self.forms[-1].fields.setdefault(attributes["name"], attributes.get("value", ""))


def first_form(html: str) -> Form | None:
    """The first form of a page that posts somewhere."""
    parser = _Forms()
    parser.feed(html)
    return next((form for form in parser.forms if form.method == "post"), None)


def query_of(url: str) -> dict[str, str]:
    """The query of a URL; each parameter must stand there once."""
    fields = parse_qs(urlsplit(url).query, keep_blank_values=True)
    assert all(len(values) == 1 for values in fields.values()), fields.keys()
    return {name: values[0] for name, values in fields.items()}


def relying_party(*arguments: str, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Run one command of relying-party.mjs (openid-client) and return what it printed."""
    done = subprocess.run(
        ["node", "relying-party.mjs", *arguments],
        cwd=NODE,
        input=json.dumps(given or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    assert lines, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer
