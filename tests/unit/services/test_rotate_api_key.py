"""The next secret of an API key."""

from __future__ import annotations

import pytest

from grantkeeper.api_key_format import parse_api_key
from grantkeeper.errors import BadRequest, Conflict
from grantkeeper.model import ApiKey
from grantkeeper.services.rotate_api_key import DAY, rotated
from tests.doubles.provider import NOON

KEY = ApiKey("a" * 16, "first", ("connections:read",), NOON, NOON + 90 * DAY, client_id="app", name="n", sub="usr_a")


def test_k07_the_former_secret_stays_for_a_week_and_nothing_else_changes():
    """The text is the same key's."""
    text, following = rotated(KEY, days=90, now=NOON + DAY)

    assert parse_api_key(text.text) == text
    assert text.key_id == KEY.key_id
    assert (following.secret_hash, following.old_secret_hash) == (text.secret_hash, "first")
    assert following.old_secret_ends_at == NOON + 8 * DAY
    assert (following.expires_at, following.rotated_at) == (NOON + 91 * DAY, NOON + DAY)
    assert (following.scopes, following.sub, following.name) == (KEY.scopes, KEY.sub, KEY.name)


def test_k06_no_secret_outlives_the_end_its_key_had():
    """A key about to end gives its old secret no week on top."""
    _, following = rotated(KEY, days=365, now=KEY.expires_at - DAY)

    assert following.old_secret_ends_at == KEY.expires_at


def test_k07_a_leaked_secret_is_ended_at_once():
    """Also while a former one is good: then both end."""
    _, turning = rotated(KEY, days=None, now=NOON)
    with pytest.raises(Conflict):
        rotated(turning, days=None, now=NOON + 7 * DAY - 1)

    _, following = rotated(turning, days=None, now=NOON + 1, overlap_days=0)

    assert (following.old_secret_hash, following.old_secret_ends_at) == (None, 0)
    assert following.expires_at == KEY.expires_at
    assert rotated(turning, days=None, now=NOON + 7 * DAY)[1].old_secret_hash == turning.secret_hash


@pytest.mark.parametrize(("days", "overlap"), [(0, 7), (366, 7), (90, 8), (90, -1)])
def test_k06_k07_no_longer_than_a_year_and_no_more_overlap_than_a_week(days, overlap):
    """Whoever asks."""
    with pytest.raises(BadRequest):
        rotated(KEY, days=days, now=NOON, overlap_days=overlap)


def test_k08_what_is_over_is_not_rotated_back_to_life():
    """Neither a revoked key nor an expired one."""
    for over, now in ((KEY, KEY.expires_at), (ApiKey("a", "h", (), NOON, NOON + 9, status="revoked"), NOON)):
        with pytest.raises(Conflict):
            rotated(over, days=90, now=now)
