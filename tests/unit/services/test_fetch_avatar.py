"""A picture behind a token: fetched in passing, and never in the way."""

import hashlib

import pytest

from grantkeeper import ids
from grantkeeper.errors import ProviderUnavailable, TokenResponseRejected
from grantkeeper.model import Avatar, HttpResponse, TokenSet
from grantkeeper.providers.google import GOOGLE
from grantkeeper.providers.microsoft import MICROSOFT
from grantkeeper.services.fetch_avatar import BUDGET, LEAST, fetch_avatar, same_picture
from grantkeeper.services.redeem_provider_code import ProviderTokens

NOW = 1_700_000_000
JPEG = b"\xff\xd8\xff\xe0 picture"


class Graph:
    """Answers every request alike."""

    def __init__(self, answer):
        self.answer = answer
        self.sent = []

    def send(self, request, *, budget):
        self.sent.append((request, budget))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def fetch(answer, *, provider=MICROSOFT, most=10.0, token="at-1"):
    graph = Graph(answer)
    tokens = ProviderTokens(b"{}", {"main": TokenSet(token)}, None)
    return fetch_avatar(provider=provider, tokens=tokens, provider_http=graph, most=most, now=NOW), graph.sent


def picture(status=200, body=JPEG, content_type="image/jpeg"):
    return HttpResponse(status, {"content-type": content_type}, body)


def test_what_is_kept_of_a_picture():
    """Its type, its bytes, and a digest to tell it from the next."""
    found, [(request, budget)] = fetch(picture())

    assert found == Avatar("microsoft", NOW, "image/jpeg", ids.b64url(hashlib.sha256(JPEG).digest()), JPEG)
    assert (request.method, budget) == ("GET", BUDGET)


def test_no_picture_is_noted():
    """So that one that was taken away goes."""
    found, _ = fetch(picture(404, b"{}", "application/json"))

    assert found == Avatar("microsoft", NOW)


@pytest.mark.parametrize(
    "answer",
    [
        picture(503),
        picture(401),
        picture(302),
        picture(body=b"<svg onload=alert(1)>", content_type="image/svg+xml"),
        ProviderUnavailable("slow", reason="timeout"),
        TokenResponseRejected("big", reason="upstream_too_large"),
    ],
)
def test_trouble_is_nobodys(answer):
    """What is kept stands."""
    assert fetch(answer)[0] is None


def test_time_is_not_taken_that_is_not_there():
    """A little is used up, less than a little is left alone."""
    assert fetch(picture(), most=0.5)[1][0][1] == 0.5
    assert fetch(picture(), most=LEAST - 0.01) == (None, [])
    assert fetch(picture(), most=-3) == (None, [])


def test_nobody_is_asked_whose_pictures_have_addresses():
    """Nor with a token that is none."""
    assert fetch(picture(), provider=GOOGLE) == (None, [])
    assert fetch(picture(), token="at\r\nx: y") == (None, [])


def test_a_picture_is_written_once():
    """None and never asked are the same."""
    one, other, none = Avatar("m", NOW, digest="a", image=b"1"), Avatar("m", NOW, digest="b"), Avatar("m", NOW)

    assert same_picture(one, Avatar("m", NOW - 9, digest="a"))
    assert same_picture(none, None)
    assert same_picture(none, none)
    assert not same_picture(one, other)
    assert not same_picture(one, None)
    assert not same_picture(none, one)
