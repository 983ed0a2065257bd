"""The text of API keys."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantkeeper.api_key_format import new_api_key, parse_api_key


def test_k01_key_has_the_documented_form():
    """A scanner finds `gk_`, an id, a secret and a checksum."""
    key = new_api_key()

    assert re.fullmatch(r"gk_[a-z2-7]{16}_[0-9A-Za-z]{46}", key.text)


def test_k13_a_leaked_key_is_found_by_the_pattern_in_the_documentation(tmp_path):
    """As secret scanners read it: anywhere in a line, and nowhere else."""
    document = (Path(__file__).parents[3] / "docs" / "security-model.md").read_text()
    (pattern,) = re.findall(r"`(gk_\[[^`]+)`", document)
    leaks = [new_api_key().text for _ in range(3)]
    (tmp_path / "settings.py").write_text(f'KEY = "{leaks[0]}"\nurl = "https://x.example/?k={leaks[1]}&y=1"\n')
    (tmp_path / ".env").write_text(f"GK={leaks[2]}\ngk_key_id=abc\nother=gk_{'a' * 16}\n")

    found = [match for file in tmp_path.iterdir() for match in re.findall(pattern, file.read_text())]

    assert sorted(found) == sorted(leaks)


def test_k01_key_reads_back():
    """What was made is what is read."""
    key = new_api_key()

    assert parse_api_key(key.text) == key


def test_k02_secret_is_long_and_never_repeats():
    """Forty base62 characters are 238 bits; a thousand keys share none."""
    keys = [new_api_key() for _ in range(1000)]

    assert len({key.secret for key in keys}) == 1000
    assert len({key.key_id for key in keys}) == 1000


def test_k03_repr_shows_no_secret():
    """A key in a log line is an id."""
    key = new_api_key()

    assert key.secret not in repr(key)


@given(position=st.integers(3, 65), character=st.sampled_from("0aZ9_ -\0é"))
def test_k01_every_typo_is_caught(position, character):
    """One changed character never reads as a key, whatever the database holds."""
    text = new_api_key().text
    typo = text[:position] + character + text[position + 1 :]

    assert typo == text or parse_api_key(typo) is None


@given(st.text(max_size=120))
def test_k11_reading_is_total(text):
    """Anything at all is answered, not raised."""
    assert parse_api_key(text) is None


@pytest.mark.parametrize("change", [str.lower, str.upper, lambda t: t + " ", lambda t: " " + t, lambda t: t + "\n",
                                    lambda t: t + "\0", lambda t: t * 100, lambda t: t[:-1]])  # fmt: skip
def test_k11_malformed_key_is_none(change):
    """Case, white space, control characters and length matter."""
    assert parse_api_key(change(new_api_key().text)) is None
