"""The pages people see."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from grantkeeper.edge.http import render
from grantkeeper.edge.pages import Choice, chooser_page, error_page, notice_page

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;"


class Tags(HTMLParser):
    """Collects tags and the attributes that load or run something."""

    def __init__(self):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text.append(data)


def parsed(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    return tags


PAGES = [
    chooser_page("Shop", [Choice("Google", "https://id.example.com/oauth2/authorize?provider=google&state=a")]),
    error_page("The client is not known here.", request_id="r-1"),
    notice_page("Signed out", "You are signed out."),
]


@pytest.mark.parametrize("page", PAGES)
def test_c12_pages_load_nothing(page):
    """No script, no image, no form, nobody else's server."""
    tags = parsed(page.body)

    assert not {"script", "img", "iframe", "form", "link", "object"} & set(tags.tags)
    assert not [name for name, _ in tags.attributes if name == "src" or name.startswith("on") or name == "style"]


@pytest.mark.parametrize("page", PAGES)
def test_w05_pages_cannot_be_framed_and_style_only_by_hash(page):
    """The policy allows exactly the one style sheet that is there."""
    policy = render(page, None)["headers"]["content-security-policy"]
    style = re.search(r"<style>(.*?)</style>", page.body, re.DOTALL)[1]
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert "default-src 'none'" in policy
    assert f"style-src 'sha256-{hashed}'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "page",
    [
        chooser_page(HOSTILE, [Choice(HOSTILE, f"https://id.example.com/?state={HOSTILE}")]),
        error_page(HOSTILE, title=HOSTILE, request_id=HOSTILE),
    ],
)
def test_c22_everything_that_varies_is_escaped(page):
    """Hostile text stays text."""
    tags = parsed(page.body)

    assert "script" not in tags.tags
    assert "img" not in tags.tags
    assert any(HOSTILE in text for text in tags.text)


def test_chooser_offers_a_link_per_provider():
    """Each leads back to the same request with the provider named; the page has one heading and a language."""
    page = PAGES[0]
    tags = parsed(page.body)

    assert ("href", "https://id.example.com/oauth2/authorize?provider=google&state=a") in tags.attributes
    assert tags.tags.count("h1") == 1
    assert ("lang", "en") in tags.attributes
    assert page.status == 200


def test_error_page_has_a_status_and_a_reference():
    """A person can ask for help with it."""
    page = error_page("Gone.", status=410, request_id="r-1")

    assert page.status == 410
    assert "r-1" in page.body
