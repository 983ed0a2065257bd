"""Answers of a token endpoint: granted, sealed, read back."""

import json
from base64 import b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantkeeper.errors import TokenResponseRejected
from grantkeeper.model import HttpResponse, TokenSet
from grantkeeper.oauth.token_response import expiry_hint, granted, id_token_of, sealable, token_set
from grantkeeper.providers.record import Provider, ScopeRule, TokenPath, TokenResponseRule

NOW = 1_800_000_000
PROVIDER = Provider("example", "Example", "https://op.example/a", "https://op.example/t")
ANSWER = {
    "access_token": "at-1",
    "token_type": "Bearer",
    "expires_in": 3600,
    "refresh_token": "rt-1",
    "scope": "a b",
    "id_token": "x.y.z",
}
SLACK = replace(
    PROVIDER,
    scope=ScopeRule(separator=","),
    token_response=TokenResponseRule(
        token_types=("bearer", "bot", "user"),
        success_pointer="/ok",
        tokens=(
            TokenPath(name="bot", optional=True),
            TokenPath(
                "user",
                access_token="/authed_user/access_token",
                refresh_token="/authed_user/refresh_token",
                expires_in="/authed_user/expires_in",
                scope="/authed_user/scope",
                token_type="/authed_user/token_type",
                optional=True,
            ),
        ),
        flat_refresh=True,
        metadata=(("team_id", "/team/id"),),
    ),
)
SLACK_ANSWER = {
    "ok": True,
    "access_token": "xoxb-1",
    "refresh_token": "xoxe-bot",
    "expires_in": 43200,
    "token_type": "bot",
    "scope": "chat:write,users:read",
    "team": {"id": "T1"},
    "authed_user": {
        "id": "U1",
        "access_token": "xoxp-1",
        "refresh_token": "xoxe-user",
        "expires_in": 43100,
        "token_type": "user",
        "scope": "search:read",
    },
}


def body(answer=None, **changes):
    return json.dumps((ANSWER if answer is None else answer) | changes).encode()


def answer(content, status=200):
    return HttpResponse(status, {"content-type": "application/json"}, content)


def read(content, provider=PROVIDER, name="main", previous=None):
    return token_set(
        sealable(content, provider=provider, name=name, previous=previous, received_at=NOW),
        provider=provider,
        name=name,
    )


# --- granted -----------------------------------------------------------------


def test_a_good_answer_grants_the_main_token():
    """HTTP 2xx and an access token."""
    assert granted(answer(body()), provider=PROVIDER) == ["main"]
    assert granted(answer(body(), status=201), provider=PROVIDER, names=("main",)) == ["main"]


@pytest.mark.parametrize("status", [302, 307, 400, 401, 500])
def test_c42_only_a_success_grants(status):
    """A token in a redirect or an error is nobody's."""
    assert granted(answer(body(), status=status), provider=PROVIDER) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>access_token</html>",
        b"[]",
        b'"at-1"',
        b"null",
        b"\xef\xbb\xbf" + body(),
        body().decode().encode("utf-16"),
        b'{"access_token":"a","access_token":"b","token_type":"bearer"}',
        b'{"access_token":"a","x":' + b"[" * 20 + b"]" * 20 + b"}",
        b'{"access_token":"a","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"access_token":"a"}' + b" " * 256 * 1024,
        b"access_token=a&token_type=bearer",
        b'{"access_token":"caf\xe9"}',
    ],
    ids=["empty", "html", "array", "string", "null", "bom", "utf-16", "duplicate keys", "21 levels", "deep", "big",
         "form", "latin-1"],
)  # fmt: skip
def test_c47_c56_what_is_no_proper_json_object_grants_nothing(content):
    """Refused whole: no half record."""
    assert granted(answer(content), provider=PROVIDER) == []


@pytest.mark.parametrize(
    "changes", [{"error": "invalid_grant"}, {"access_token": ""}, {"access_token": None}, {"access_token": 7}]
)
def test_c46_an_error_in_a_200_is_a_failure(changes):
    """GitHub answers so."""
    assert granted(answer(body(**changes)), provider=PROVIDER) == []


def test_c46_ok_false_is_a_failure_and_ok_must_be_true():
    """Slack answers so; `1` and `"true"` are not true."""
    assert granted(answer(body(SLACK_ANSWER)), provider=SLACK) == ["bot", "user"]
    for value in (False, None, 1, "true"):
        assert granted(answer(body(SLACK_ANSWER, ok=value)), provider=SLACK) == []


def test_the_word_error_in_a_good_answer_loses_no_refresh():
    """A refresh that holds a token is a success, whatever stands beside it."""
    content = body(error="", warning="error")
    assert granted(answer(content), provider=PROVIDER) == ["main"]
    assert granted(answer(body(error="slow")), provider=PROVIDER, names=("main",), lenient=True) == ["main"]


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbf" + body(), b'{"access_token":"a","access_token":"b"}', b'{"access_token":"caf\xe9"}']
)
def test_a_poor_answer_to_a_refresh_is_kept(content):
    """Refusing it would lose a rotated grant."""
    assert granted(answer(content), provider=PROVIDER, lenient=True) == ["main"]
    assert read(content).access_token


@pytest.mark.parametrize("value", ["Bearer", "bearer", "BEARER", "", None])
def test_c44_token_type_bearer_is_case_insensitive_and_may_be_missing(value):
    """RFC 6749 section 5.1 against practice."""
    assert granted(answer(body(token_type=value)), provider=PROVIDER) == ["main"]
    assert read(body(token_type=value)).token_type == "Bearer"


@pytest.mark.parametrize("value", ["mac", "N_A", "DPoP", 7, ["Bearer"]])
def test_c44_another_token_type_is_refused(value):
    """RFC 6749 section 7.1: do not use a token whose type you do not understand."""
    assert granted(answer(body(token_type=value)), provider=PROVIDER) == []


def test_only_the_wanted_names_are_found():
    """An answer with one half of Slack's tokens grants that half."""
    only_user = {key: value for key, value in SLACK_ANSWER.items() if key in ("ok", "authed_user", "team")}

    assert granted(answer(body(only_user)), provider=SLACK) == ["user"]
    assert granted(answer(body(SLACK_ANSWER)), provider=SLACK, names=("bot",)) == ["bot"]


def test_a_form_encoded_answer_is_read_where_the_record_declares_it():
    """Old servers; nowhere else (C-56)."""
    provider = replace(PROVIDER, token_response=TokenResponseRule(encoding="form"))
    content = b"access_token=at%2D1&expires_in=60&scope=a%20b&token_type=bearer"

    assert granted(answer(content), provider=provider) == ["main"]
    assert read(content, provider).expires_at == NOW + 60
    assert read(content, provider).access_token == "at-1"


# --- sealable and token_set --------------------------------------------------


def test_a_token_set_comes_back_as_it_was_answered():
    """All fields, with times instead of durations."""
    assert read(body()) == TokenSet(
        access_token="at-1",
        token_type="Bearer",
        expires_at=NOW + 3600,
        refresh_token="rt-1",
        scopes=("a", "b"),
    )


def test_the_id_token_is_not_sealed():
    """It is used once, at sign-in; the grant is smaller and knows less without it."""
    plaintext = sealable(body(), provider=PROVIDER, previous=None, received_at=NOW)

    assert b"x.y.z" not in plaintext
    assert id_token_of(body(), provider=PROVIDER) == "x.y.z"


@pytest.mark.parametrize("omitted", [{}, {"refresh_token": None}, {"refresh_token": ""}])
def test_c50_an_answer_without_refresh_token_keeps_the_old_one(omitted):
    """RFC 6749 section 6; the classic way to lose a grant."""
    content = body({"access_token": "at-2", "expires_in": 60} | omitted)
    previous = TokenSet("at-1", refresh_token="rt-1", refresh_token_expires_at=NOW + 9, metadata={"k": "v"})

    after = read(content, previous=previous)

    assert (after.access_token, after.refresh_token) == ("at-2", "rt-1")
    assert after.refresh_token_expires_at == NOW + 9
    assert after.metadata == {"k": "v"}


def test_c51_a_new_refresh_token_replaces_the_old_one():
    """And takes none of its lifetime."""
    previous = TokenSet("at-0", refresh_token="rt-0", refresh_token_expires_at=NOW + 9)

    after = read(body(), previous=previous)

    assert (after.refresh_token, after.refresh_token_expires_at) == ("rt-1", None)


def test_c51_a_spent_refresh_token_is_not_kept_beside_its_successor():
    """It is a secret for nothing; where the answer has no other, or no access token, it is kept."""
    previous = read(body(refresh_token="spent-token"))

    def sealed(**changed):
        return sealable(body(**changed), provider=PROVIDER, previous=previous, received_at=NOW)

    assert b"spent-token" not in sealed(refresh_token="next-token")
    assert b"spent-token" in sealed(refresh_token=None)
    assert b"spent-token" in sealed(refresh_token=7)
    assert b"spent-token" in sealed(refresh_token="next-token", access_token=None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3600", NOW + 3600),
        (" 3600 ", NOW + 3600),
        (3599.9, NOW + 3599),
        (0, NOW),
        (-5, NOW),
        ("-5", NOW),
        (1e30, NOW + 10 * 365 * 86_400),
        (10**400, NOW),
        (float("nan"), NOW),
        (float("inf"), NOW),
        ("NaN", NOW),
        ("soon", NOW),
        (True, NOW),
        ([3600], NOW),
        (None, None),
        ("", None),
    ],
)
def test_c45_expires_in_of_any_kind(value, expected):
    """What is no proper number has expired; nothing ever reads as endless."""
    assert read(body(expires_in=value)).expires_at == expected


def test_c45_a_missing_expires_in_follows_the_record():
    """Seconds, never, or unknown."""
    content = body({"access_token": "at-1"})
    for default, expected in ((1800, NOW + 1800), ("never", None), ("unknown", None)):
        provider = replace(PROVIDER, token_response=TokenResponseRule(default_expires_in=default))
        assert read(content, provider).expires_at == expected


def test_a_refresh_tokens_lifetime_is_read_where_the_record_says():
    """GitHub App: refresh_token_expires_in."""
    provider = replace(PROVIDER, token_response=TokenResponseRule(refresh_token_expires_in="/refresh_token_expires_in"))

    assert read(body(refresh_token_expires_in=99), provider).refresh_token_expires_at == NOW + 99


def test_an_absent_scope_is_none_not_empty():
    """Only the caller knows what was requested."""
    assert read(body({"access_token": "a"})).scopes is None
    assert read(body(scope="")).scopes == ()


def test_each_named_token_is_sealed_alone():
    """The bot's grant cannot give away the user's token."""
    bot, user = (
        sealable(body(SLACK_ANSWER), provider=SLACK, name=name, previous=None, received_at=NOW)
        for name in ("bot", "user")
    )

    assert b"xoxp" not in bot
    assert b"xoxe-user" not in bot
    assert b"xoxb" not in user
    assert b"xoxe-bot" not in user
    assert token_set(bot, provider=SLACK, name="bot").refresh_token == "xoxe-bot"
    read_user = token_set(user, provider=SLACK, name="user")
    assert (read_user.access_token, read_user.expires_at) == ("xoxp-1", NOW + 43100)
    assert (read_user.scopes, read_user.metadata) == (("search:read",), {"team_id": "T1"})


def test_a_flat_refresh_of_a_nested_token_is_understood():
    """Slack refreshes the user's token with a flat answer."""
    first = read(body(SLACK_ANSWER), SLACK, "user")
    flat = body({"ok": True, "access_token": "xoxp-2", "refresh_token": "r2", "expires_in": 60, "token_type": "user"})

    assert granted(answer(flat), provider=SLACK, names=("user",)) == ["user"]
    after = read(flat, SLACK, "user", previous=first)
    assert (after.access_token, after.refresh_token, after.expires_at) == ("xoxp-2", "r2", NOW + 60)
    assert after.metadata == {"team_id": "T1"}


def test_a_plaintext_without_access_token_is_refused():
    """With a reason, and total for the due index."""
    for plaintext in (b"", b"{}", b"[]", b'{"answer":{}}', b'{"raw":"?"}', b'{"raw":7}', b"\xff"):
        with pytest.raises(TokenResponseRejected) as caught:
            token_set(plaintext, provider=PROVIDER)
        assert caught.value.extensions == {"reason": "access_token_missing"}
        assert expiry_hint(plaintext, provider=PROVIDER) is None


def test_an_unreadable_answer_is_kept_whole():
    """So that better code can read it later."""
    plaintext = sealable(b"access_token=a", provider=PROVIDER, previous=None, received_at=NOW)

    assert json.loads(plaintext)["raw"] == b64encode(b"access_token=a").decode()


@given(content=st.binary())
def test_sealing_never_raises_on_bytes(content):
    """Total: whatever a provider answers."""
    previous = TokenSet("a", refresh_token="r")
    plaintext = sealable(content, provider=PROVIDER, previous=previous, received_at=NOW)

    assert json.loads(plaintext)["refresh_token"] == "r"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(odd=st.dictionaries(st.sampled_from([*ANSWER, "error", "other"]), JSON), token=st.text(min_size=1))
def test_an_answer_with_an_access_token_is_never_lost(odd, token):
    """Whatever stands in its other fields, the refresh keeps it and reads the token back."""
    content = json.dumps(odd | {"access_token": token}).encode()
    previous = TokenSet("old", refresh_token="old-refresh")

    assert granted(answer(content), provider=PROVIDER, names=("main",), lenient=True) == ["main"]
    after = read(content, previous=previous)
    assert after.access_token == token
    assert after.refresh_token


def test_a_token_set_shows_no_token():
    """Its repr is safe for a log."""
    shown = repr(read(body()))

    assert "at-1" not in shown
    assert "rt-1" not in shown
