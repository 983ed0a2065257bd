"""Answers without tokens."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantkeeper.model import HttpResponse
from grantkeeper.oauth.failure import Failure, failure
from grantkeeper.providers.record import ErrorRule, Provider, TokenResponseRule

NOW = 1_800_000_000  # Fri, 15 Jan 2027 08:00:00 GMT
PROVIDER = Provider("example", "Example", "https://op.example/a", "https://op.example/t")
GITHUB = replace(
    PROVIDER,
    errors=(
        ErrorRule("dead", error="bad_refresh_token"),
        ErrorRule("config", error="incorrect_client_credentials"),
        ErrorRule("user_action", error="unverified_user_email"),
    ),
)
MICROSOFT = replace(
    PROVIDER,
    errors=(
        ErrorRule("transient", error="invalid_grant", error_code="50196"),
        ErrorRule("dead", error="invalid_grant", error_code="700082", reason="expired_unused"),
    ),
)


def judge(status, body=b"", provider=PROVIDER, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return failure(HttpResponse(status, headers, content), provider=provider, now=NOW)


def test_c52_invalid_grant_is_dead():
    """The default of RFC 6749 section 5.2; a 403 says the same at Atlassian."""
    assert judge(400, {"error": "invalid_grant"}) == Failure("dead", "invalid_grant", "revoked_by_user")
    assert judge(403, {"error": "invalid_grant"}).kind == "dead"


@pytest.mark.parametrize("error", ["invalid_client", "unauthorized_client", "invalid_scope", "unsupported_grant_type"])
def test_c53_a_refused_registration_is_no_users_fault(error):
    """Nobody is told to reconnect."""
    assert judge(401, {"error": error}) == Failure("config", error, "registration_refused")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
@pytest.mark.parametrize("body", [b"", b"<html>", {"error": "invalid_grant"}, {"error": "bad_refresh_token"}])
def test_c54_an_overloaded_server_declares_nobody_dead(status, body):
    """Not even when the body says so: by 5xx and 429 no connection breaks."""
    assert judge(status, body, GITHUB).kind == "transient"


def test_a_record_may_still_name_a_status_as_dead():
    """A row that states the status has thought of it."""
    provider = replace(PROVIDER, errors=(ErrorRule("dead", error="gone", status=500),))

    assert judge(500, {"error": "gone"}, provider).kind == "dead"
    assert judge(501, {"error": "gone"}, provider).kind == "transient"


def test_c46_errors_in_a_200_follow_the_record():
    """GitHub's own words, each with its meaning."""
    assert judge(200, {"error": "bad_refresh_token"}, GITHUB) == Failure("dead", "bad_refresh_token", "revoked_by_user")
    assert judge(200, {"error": "incorrect_client_credentials"}, GITHUB).kind == "config"
    assert judge(200, {"error": "unverified_user_email"}, GITHUB).kind == "user_action"


def test_the_most_specific_row_wins():
    """Microsoft's 50196 is throttling dressed as invalid_grant."""
    looped = judge(400, {"error": "invalid_grant", "error_codes": [50196]}, MICROSOFT)
    unused = judge(400, {"error": "invalid_grant", "error_codes": [700082]}, MICROSOFT)

    assert looped.kind == "transient"
    assert (unused.kind, unused.reason) == ("dead", "expired_unused")
    assert judge(400, {"error": "invalid_grant", "error_codes": "50196"}, MICROSOFT).kind == "dead"


def test_plain_text_can_be_matched():
    """Trello's 401 `invalid token`."""
    provider = replace(PROVIDER, errors=(ErrorRule("dead", status=401, body_text="invalid token"),))

    assert judge(401, b"invalid token\n", provider).kind == "dead"
    assert judge(401, b"unauthorized", provider).kind == "unknown"


def test_an_error_pointer_of_the_record_is_followed():
    """HubSpot answers `status: BAD_REFRESH_TOKEN`."""
    provider = replace(
        PROVIDER,
        token_response=TokenResponseRule(error_pointer="/status"),
        errors=(ErrorRule("dead", error="BAD_REFRESH_TOKEN"),),
    )

    assert judge(400, {"status": "BAD_REFRESH_TOKEN"}, provider).kind == "dead"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_c42_a_redirect_is_unknown_and_was_not_obeyed(status):
    """It changes no status of a connection."""
    assert judge(status, {"error": "x"}) == Failure("unknown", None, "upstream_redirect")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", {"ok": True}, {"error": {"code": 1}}])
def test_c47_a_success_without_tokens_may_have_spent_the_token(body):
    """The caller retries inside its lease."""
    assert judge(200, body) == Failure("unknown", None, "upstream_malformed", outcome_unknown=True)


@pytest.mark.parametrize(("status", "unknown"), [(500, True), (502, True), (504, True), (503, False), (429, False)])
def test_a_gateways_error_leaves_the_outcome_open(status, unknown):
    """503 and 429 are said before the work."""
    assert judge(status).outcome_unknown is unknown


def test_an_unlisted_refusal_is_unknown():
    """A proxy's 403 page kills no grant."""
    assert judge(403, b"<html>blocked</html>") == Failure("unknown", None, "upstream_malformed")
    assert judge(400, {"error": "invalid_request"}) == Failure("unknown", "invalid_request", "upstream_error")
    assert judge(400, {"error": "their_own_word"}) == Failure("unknown", None, "upstream_error")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("30", 30),
        (" 30 ", 30),
        ("0", 0),
        ("99999999999999999999", 900),
        ("3600", 900),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
        ("Fri, 15 Jan 2100 07:00:00 GMT", 900),
        ("Fri, 99 Foo 9999 99:99:99 GMT", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("٣٠", None),
        (None, None),
    ],
)
def test_c54_retry_after_is_obeyed_up_to_15_minutes(value, expected):
    """Seconds, a date, or nonsense."""
    headers = {} if value is None else {"retry-after": value}

    assert failure(HttpResponse(429, headers, b""), provider=PROVIDER, now=NOW).retry_after == expected


def test_a_form_encoded_error_is_read_where_declared():
    """And nowhere else."""
    declared = replace(PROVIDER, token_response=TokenResponseRule(encoding="form"))

    assert judge(400, b"error=invalid_grant", declared).kind == "dead"
    assert judge(400, b"error=invalid_grant").kind == "unknown"


@given(status=st.integers(100, 599), body=st.binary(), header=st.text())
def test_judging_never_raises_and_never_echoes(status, body, header):
    """Total, whatever a server sends."""
    result = failure(HttpResponse(status, {"retry-after": header}, body), provider=PROVIDER, now=NOW)

    assert result.error is None
    assert result.retry_after is None or 0 <= result.retry_after <= 900
    assert result.kind in ("transient", "unknown")
