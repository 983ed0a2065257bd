"""What is asked once an account is known: over the wire, and through a whole connection's life."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from grantkeeper.errors import ProviderUnavailable, TokenResponseRejected
from grantkeeper.model import TokenSet
from grantkeeper.provider_http import Httpx2ProviderHttp
from grantkeeper.providers.atlassian import ATLASSIAN
from grantkeeper.services.post_connect import MAX_ENTRIES, MAX_SIZE, ask_after_connect
from grantkeeper.services.redeem_provider_code import ProviderTokens
from tests.support.adversary import Adversary

SITE = {"id": "11223344-a1b2", "url": "https://acme.atlassian.net", "name": "Acme", "scopes": ["read:jira-work"]}
TOKENS = ProviderTokens(b"{}", {"main": TokenSet("at-1")}, None)


@pytest.fixture
def http():
    http = Httpx2ProviderHttp(allow_private_addresses=True)
    yield http
    http.close()


@pytest.fixture
def api():
    """A server that answers everything with `(status, body)`, and remembers what it was sent."""

    def behave(wire, request):
        server.requests.append(request)
        status, body = server.answer
        wire.sendall(b"HTTP/1.1 %d X\r\nlocation: https://evil.example/\r\n" % status)
        wire.sendall(b"content-length: %d\r\n\r\n" % len(body) + body)

    server = Adversary(behave)
    server.requests = []
    yield server
    server.close()


def record(api, **changes):
    (step,) = ATLASSIAN.post_connect
    return replace(
        ATLASSIAN, post_connect=(replace(step, request=replace(step.request, url=api.url("/sites")), **changes),)
    )


def ask(api, http, answer, *, status=200, **changes):
    api.answer = (status, answer if isinstance(answer, bytes) else json.dumps(answer).encode())
    return ask_after_connect(provider=record(api, **changes), tokens=TOKENS, provider_http=http)


def test_the_sites_of_a_token_are_kept(api, http):
    """The values the record names, and nothing else of the answer; the token travels in the header."""
    found = ask(api, http, [SITE | {"avatarUrl": "https://x", "secret": {"deep": 1}}])

    assert found == {"sites": [SITE]}
    assert b"authorization: bearer at-1" in api.requests[0].lower()
    assert b"at-1" not in api.requests[0].split(b"\r\n")[0]


def test_no_site_is_an_answer(api, http):
    """Sites that went away are not kept for ever."""
    assert ask(api, http, []) == {"sites": []}


@pytest.mark.parametrize(
    ("status", "answer"),
    [(500, {}), (429, {}), (401, {}), (403, {}), (302, {}), (200, b"<html>"), (200, {"error": "no"}), (200, b"7")],
)
def test_a_connection_is_made_without_an_answer(status, answer, api, http):
    """What was kept before is not overwritten either: the step is not there at all."""
    assert ask(api, http, answer, status=status) == {}


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (500, {}, ProviderUnavailable),
        (429, {}, ProviderUnavailable),
        (403, {}, TokenResponseRejected),
        (200, {"error": "no"}, TokenResponseRejected),
        (200, [], TokenResponseRejected),
        (200, [{"other": 1}], TokenResponseRejected),
    ],
)
def test_a_required_answer_that_says_nothing_is_an_error(status, answer, error, api, http):
    """The record's word: such a connection is no use."""
    with pytest.raises(error) as caught:
        ask(api, http, answer, status=status, required=True)

    assert "at-1" not in str(caught.value)


def test_o10_a_flood_of_sites_is_cut(api, http):
    """The first ones, by number and by size: what is kept is written with every change of the connection."""
    many = ask(api, http, [SITE | {"id": str(n)} for n in range(500)])["sites"]
    wide = ask(api, http, [SITE | {"id": str(n), "scopes": ["s" * 500] * 4} for n in range(40)])["sites"]

    assert [site["id"] for site in many] == [str(n) for n in range(len(many))]
    assert len(many) <= MAX_ENTRIES
    assert 1 <= len(wide) < 40
    for kept in (many, wide):
        assert len(json.dumps(kept)) <= MAX_SIZE


def test_what_is_no_plain_value_is_left_out(api, http):
    """Texts too long, objects and null: whoever reads metadata need not expect them."""
    found = ask(api, http, [{"id": "1", "url": "u" * 600, "name": None, "scopes": ["a", 7, {"b": 1}, "c" * 600]}, "x"])

    assert found == {"sites": [{"id": "1", "scopes": ["a"]}]}


def test_a_list_deeper_in_the_answer_is_found(api, http):
    """`entries` says where."""
    assert ask(api, http, {"page": {"values": [{"id": "1"}]}}, entries="/page/values") == {"sites": [{"id": "1"}]}


def test_o01_a_private_address_is_not_asked(api):
    """A deployed provider client reaches no host of our own network; the connection is made without."""
    guarded = Httpx2ProviderHttp(allow_private_addresses=False)
    try:
        assert ask(api, guarded, [SITE]) == {}
    finally:
        guarded.close()

    assert api.requests == []


def test_no_time_left_asks_nobody(api, http):
    """A sync that has used up its time stores what it has."""
    api.answer = (200, b"[]")

    assert ask_after_connect(provider=record(api), tokens=TOKENS, provider_http=http, most=0) == {}

    assert api.requests == []
