"""What stands inside an archive: believed whole or not at all, and read in the same memory however long it is."""

from __future__ import annotations

import io
import json
import tracemalloc

import pytest

from cli.archive.age import CHUNK, ArchiveUnreadable, Writer, read
from cli.archive.keys import PrivateKey, PublicKey
from cli.archive.lines import MAX_LINE, LineWriter, lines_of, plain, record_of, verified
from grantkeeper.model import Avatar, Client, Connection, Grant, Identity, Profile, User
from tests.doubles.two_stacks import IDENTITY

HEAD = {"type": "archive", "version": 1, "id": "arc_1"}
KEY = PrivateKey.parse(IDENTITY)


def checked(*lines):
    text = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    return verified(lines_of(text[at : at + 100] for at in range(0, len(text), 100)))


def test_an_archive_says_what_it_is_and_how_much_there_was():
    """Its head, and the number of each kind."""
    end = {"type": "end", "counts": {"user": 2, "client": 1}}

    head, counts = checked(HEAD, {"type": "client"}, {"type": "user"}, {"type": "user"}, end)

    assert (head["id"], counts) == ("arc_1", {"user": 2, "client": 1})


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((), "no archive of Grantkeeper"),
        (({"type": "user"},), "no archive of Grantkeeper"),
        (({**HEAD, "version": 2},), "later version"),
        ((HEAD,), "last line is missing"),
        ((HEAD, {"type": "user"}), "last line is missing"),
        ((HEAD, {"type": "end", "counts": {"user": 1}}), "does not fit"),
        ((HEAD, {"type": "user"}, {"type": "end", "counts": {}}), "does not fit"),
        ((HEAD, {"type": "end", "counts": {}}, {"type": "user"}), "does not fit"),
        ((HEAD, {"type": "spell"}), "not known here"),
        ((HEAD, ["user"]), "not known here"),
        ((HEAD, {"no": "type"}), "not known here"),
    ],
)
def test_what_is_not_whole_is_refused(lines, why):
    """Whatever is wrong with it, and wherever."""
    with pytest.raises(ArchiveUnreadable, match=why):
        checked(*lines)


@pytest.mark.parametrize(
    "text",
    [b"{", b"\xff\n", b'{"type": "user"', b"x" * (MAX_LINE + CHUNK)],
    ids=["no end", "no text", "cut off", "no bound"],
)
def test_what_is_no_line_is_refused(text):
    """Not JSON, not text, without an end, or without any bound."""
    with pytest.raises(ArchiveUnreadable):
        list(lines_of([text]))


@pytest.mark.parametrize(
    "record",
    [
        User("usr_1", 1, 2, email="a@b.example", overrides={"name": "Ä \u2028"}, version=3),
        Identity("iss", "s", "usr_1", "google", 1, changed=("email",)),
        Avatar("google", 1, "image/png", "d", b"\x00\xff\n"),
        Client("app", "App", ("https://a.example",), 1, jwks=({"kty": "EC", "x": "y"},)),
        Grant("con_1", "main", "usr_1", "google", "gmail", "c", "g", 1, 7, "active", b"\x01", ("x",), 1, "w",
              variables=(("tenant", "common"),), expires_at=5, strikes=1),
    ],
)  # fmt: skip
def test_a_record_comes_back_as_it_went(record):
    """Through JSON, with every field that says something."""
    assert record_of(type(record), json.loads(json.dumps(plain(record)))) == record


def test_a_connection_comes_back_with_its_profile_and_metadata():
    """Whatever the provider's answers were."""
    profile = Profile("acc", email="a@b.example", email_verified=True)
    metadata = {"instance": "x", "depth": {"list": ["a", 1, 1.5, True, None]}}
    whole = Connection(
        "con_1", "usr_1", "app", "google", "gmail", "acc", "c", ("x",), ("x",), "active", 1, 2,
        profile=profile, metadata=metadata,
    )  # fmt: skip

    told = json.loads(json.dumps(plain(whole)))

    assert json.loads(json.dumps(told["metadata"])) == metadata
    read_again = record_of(Connection, {k: v for k, v in told.items() if k != "profile"}, profile=profile)
    assert read_again.metadata["depth"]["list"] == ("a", 1, 1.5, True, None)
    assert read_again.profile == profile


def test_a_record_that_is_none_is_refused():
    """With a word that shows nothing of it."""
    with pytest.raises(ArchiveUnreadable, match="no user"):
        record_of(User, {"sub": "usr_1"})


def _peak(records):
    """Bytes that reading an archive of so many takes at most, beside the file itself."""
    file = io.BytesIO()
    writer = LineWriter(Writer(file, [PublicKey.parse(KEY.public)]), {"id": "arc_1"})
    for at in range(records):
        writer.write({"type": "user", "sub": f"usr_{at}", "note": "x" * 1000})
    writer.close()
    file.seek(0)
    tracemalloc.start()
    try:
        assert verified(lines_of(read(file, [KEY])))[1] == {"user": records}
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_an_archive_ten_times_as_long_takes_no_more_memory():
    """One chunk and its lines at a time."""
    assert _peak(6000) < 1.5 * _peak(600)
