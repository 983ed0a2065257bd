"""Cursors of lists (T-04)."""

import pytest

from grantkeeper.edge.cursors import Cursors
from grantkeeper.errors import BadRequest
from grantkeeper.ids import b64url
from grantkeeper.model import Principal

ALICE = Principal("user", frozenset(), client_id="app", sub="usr_alice")
MALLORY = Principal("user", frozenset(), client_id="app", sub="usr_mallory")
ALICE_ELSEWHERE = Principal("user", frozenset(), client_id="other", sub="usr_alice")
QUERY = ("connections", "gmail", None)


@pytest.fixture
def cursors():
    return Cursors(b"k" * 32)


def test_a_cursor_leads_back_to_its_position(cursors):
    """What was issued is read."""
    cursor = cursors.issue("0001.con_x", principal=ALICE, query=QUERY)

    assert cursors.read(cursor, principal=ALICE, query=QUERY) == "0001.con_x"


def test_no_cursor_is_the_beginning(cursors):
    """The first page needs none."""
    assert cursors.read(None, principal=ALICE, query=QUERY) is None


@pytest.mark.parametrize(
    ("principal", "query"),
    [
        (MALLORY, QUERY),
        (ALICE_ELSEWHERE, QUERY),
        (ALICE, ("connections", None, "gmail")),
        (ALICE, ("audit", "gmail", None)),
    ],
)
def test_t04_a_cursor_is_of_no_use_to_another_principal_or_list(cursors, principal, query):
    """It is bound to who asked for what."""
    cursor = cursors.issue("0001.con_x", principal=ALICE, query=QUERY)

    with pytest.raises(BadRequest):
        cursors.read(cursor, principal=principal, query=query)


@pytest.mark.parametrize("edit", ["", ".", "a.b", "a.b.c", "!.!", "=.=", b64url(b"\xff") + ".AAAA", "x" * 5000])
def test_t04_what_was_not_issued_is_refused(cursors, edit):
    """Garbage is a bad request, never an error of ours."""
    with pytest.raises(BadRequest):
        cursors.read(edit, principal=ALICE, query=QUERY)


def test_t04_an_edited_position_is_refused(cursors):
    """The tag covers the position."""
    tag = cursors.issue("0001.con_x", principal=ALICE, query=QUERY).split(".")[1]

    with pytest.raises(BadRequest):
        cursors.read(f"{b64url(b'0002.con_y')}.{tag}", principal=ALICE, query=QUERY)


def test_t04_a_cursor_of_another_key_is_refused(cursors):
    """Another deployment's cursors mean nothing here."""
    cursor = Cursors(b"j" * 32).issue("0001.con_x", principal=ALICE, query=QUERY)

    with pytest.raises(BadRequest):
        cursors.read(cursor, principal=ALICE, query=QUERY)
