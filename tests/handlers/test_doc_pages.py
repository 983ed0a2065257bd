"""/openapi.json, /docs and /redoc: pages of this deployment's own files, under a policy that lets nothing else in."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.doubles.deployment import deployment
from tests.support.functions import Function

PAGES = Path(__file__).parents[2] / "functions" / "discovery" / "pages"


@pytest.fixture(scope="module")
def discovery():
    return Function("discovery", deployment())


def test_the_description_is_served_to_every_tool(discovery):
    """From any origin, and once: who has it is told so."""
    answer = discovery("GET /openapi.json")

    assert answer.json["openapi"] == "3.1.0"
    assert answer.headers["access-control-allow-origin"] == "*"
    again = discovery("GET /openapi.json", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status, again.body) == (304, "")


@pytest.mark.parametrize("route", ["GET /docs", "GET /redoc"])
def test_w05_pages_allow_their_own_files_and_nothing_else(discovery, route):
    """No inline script, no other host, no frame; every file that a page names is served."""
    page = discovery(route)
    policy = page.headers["content-security-policy"]

    assert "default-src 'none'; script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy
    named = re.findall(r'(?:src|href)="/docs/([^"]+)"', page.body)
    assert named
    assert not re.findall(r"<script(?![^>]*src=)", page.body)
    for file in named:
        assert discovery("GET /docs/{file}", path_parameters={"file": file}).status == 200


def test_files_are_sent_compressed_to_whom_takes_them_so(discovery):
    """Four times fewer bytes; whoever cannot unpack gets them plain."""
    file = {"file": "swagger-ui.css"}
    packed = discovery("GET /docs/{file}", path_parameters=file, headers={"accept-encoding": "gzip, br"})
    plain = discovery("GET /docs/{file}", path_parameters=file)

    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.content).decode() == plain.body
    assert "content-encoding" not in plain.headers
    assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"


@pytest.mark.parametrize(
    "name", ["vendored.json", "swagger-ui-bundle.js.gz", "../app.py", "docs.html", "", "nobody.js"]
)
def test_w17_only_listed_files_exist(discovery, name):
    """Whatever else lies in the folder or above it."""
    assert discovery("GET /docs/{file}", path="/docs/x", path_parameters={"file": name}).status == 404


def test_vendored_files_are_what_their_packages_hold():
    """Each with its package, licence and digest on record."""
    recorded = json.loads((PAGES / "vendored.json").read_text())

    assert {p.name for p in PAGES.iterdir()} == set(recorded) | {
        "vendored.json", "docs.html", "docs.js", "redoc.html", "redoc.js"
    }  # fmt: skip
    for name, entry in recorded.items():
        content = (PAGES / name).read_bytes()
        content = gzip.decompress(content) if name.endswith(".gz") else content
        assert hashlib.sha256(content).hexdigest() == entry["sha256"], name
        assert entry["license"] in ("MIT", "Apache-2.0")
