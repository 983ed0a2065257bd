"""/console: a page of this deployment's own files, under a policy that lets nothing else in."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.support.functions import Function

PAGES = Path(__file__).parents[2] / "functions" / "console" / "pages"
MODULES = sorted(path.name for path in PAGES.glob("*.js"))


@pytest.fixture(scope="module")
def console():
    return Function("console", None)


def asked(console, name, **headers):
    return console("GET /console/{file}", path_parameters={"file": name}, headers=headers)


def directives(answer):
    parts = (part.split() for part in answer.headers["content-security-policy"].split(";"))
    return {name: sources for name, *sources in parts}


def test_w05_the_page_allows_its_own_files_and_nothing_else(console):
    """No inline script or style, nothing evaluated, no other host, no frame, and no text can become markup."""
    page = console("GET /console")

    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert directives(page) == {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
        "require-trusted-types-for": ["'script'"],
        "trusted-types": ["'none'"],
    }
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert not re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", page.body)


def test_every_file_the_page_needs_is_served(console):
    """The page names scripts and style sheets, and modules name modules; all by paths of this folder."""
    waiting = re.findall(r'(?:src|href)="/console/([^"]+)"', console("GET /console").body)
    seen = set()
    while waiting:
        name = waiting.pop()
        answer = asked(console, name)
        assert answer.status == 200, name
        seen.add(name)
        waiting += [n for n in re.findall(r'\b(?:from\s*|import\()"\./([^"]+)"', answer.body) if n not in seen]

    assert set(MODULES) <= seen  # and no module lies there that nobody loads
    bare = re.compile(r'^(?:import|export)[^;]*?from\s*"[^.]', re.MULTILINE)
    assert not [name for name in seen if bare.search(asked(console, name).body)]


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("main.js", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
    ],
)
def test_files_have_their_types_and_are_asked_for_again_after_a_deployment(console, name, media):
    """`no-cache` with a tag: what did not change costs an empty answer."""
    answer = asked(console, name)
    headers = answer.headers

    assert (answer.status, headers["content-type"], headers["cache-control"]) == (200, media, "no-cache")
    again = asked(console, name, **{"if-none-match": headers["etag"]})
    assert (again.status, again.body) == (304, "")


def test_libraries_are_sent_compressed_and_kept_for_a_year(console):
    """Their names hold their versions, so what is under a name never changes."""
    packed = asked(console, "preact-11.2.0.js", **{"accept-encoding": "gzip, br"})
    plain = asked(console, "preact-11.2.0.js")

    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.content).decode() == plain.body
    assert "content-encoding" not in plain.headers
    assert "immutable" in packed.headers["cache-control"]


@pytest.mark.parametrize(
    "name", ["vendored.json", "preact-11.2.0.js.gz", "../app.py", "index.html", "preact.LICENSE", "", "nobody.js"]
)
def test_w17_only_what_the_page_is_made_of_exists(console, name):
    """Whatever else lies in the folder or above it."""
    assert console("GET /console/{file}", path="/console/x", path_parameters={"file": name}).status == 404


def test_vendored_files_are_what_their_packages_hold():
    """Each with its package, licence and digest on record; what a browser needs otherwise is on record too."""
    recorded = json.loads((PAGES / "vendored.json").read_text())

    own = {path.name for path in PAGES.iterdir()} - set(recorded)
    assert own == {*MODULES, "index.html", "style.css", "parts.css", "vendored.json"}
    for name, entry in recorded.items():
        content = (PAGES / name).read_bytes()
        content = gzip.decompress(content) if name.endswith(".gz") else content
        for old, new in entry.get("rewritten", {}).items():
            content = content.replace(new.encode(), old.encode())
        assert hashlib.sha256(content).hexdigest() == entry["sha256"], name
        assert entry["license"] in ("MIT", "Apache-2.0")


@pytest.mark.parametrize("name", MODULES)
def test_no_module_makes_markup_of_text_or_keeps_a_token(name):
    """The policy forbids the first in the browser; a token in storage would outlive its page."""
    source = (PAGES / name).read_text()

    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySet|\beval\(|new Function", source
    )
    assert not re.search(r"(?:local|session)Storage\.setItem\([^)]*(?:access|refresh|tokens)", source)
    assert source.count("\n") < 250
