"""The redirect back to us."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantkeeper.errors import AuthorizationResponseRejected, ProviderDeclined
from grantkeeper.model import ProviderCredentials
from grantkeeper.oauth.authorization_response import check_authorization_response
from grantkeeper.oauth.registered import AUTHORIZATION_ERRORS
from grantkeeper.providers.record import ErrorRule, Provider

ISSUER = "https://op.example"
PROVIDER = Provider(
    id="example",
    display_name="Example",
    authorization_endpoint="https://op.example/authorize",
    token_endpoint="https://op.example/token",
    issuer=ISSUER,
)
CREDENTIALS = ProviderCredentials(provider="example", client_id="client-1", client_secret="secret")


def check(provider=PROVIDER, **query):
    values = {name: value if isinstance(value, tuple) else (value,) for name, value in query.items()}
    return check_authorization_response(values, provider=provider, credentials=CREDENTIALS)


def rejected(provider=PROVIDER, **query):
    with pytest.raises(AuthorizationResponseRejected) as caught:
        check(provider, **query)
    return caught.value


def test_a_good_answer_gives_its_code():
    """Unknown parameters are ignored: Google sends `authuser`, Discord `guild_id`."""
    assert check(code="abc", state="s", iss=ISSUER, authuser="0", scope="openid") == "abc"


@pytest.mark.parametrize("code", ["a b", "a+b", "a\x00b", "ü☃", "x" * 4096, "%2F%%", "a,b"])
def test_c40_a_code_is_returned_byte_for_byte(code):
    """What it means is the provider's business."""
    assert check(code=code) == code


def test_c40_a_code_over_4_kib_is_refused():
    """Counted in bytes."""
    assert rejected(code="x" * 4097).extensions["reason"] == "code_too_long"
    assert rejected(code="☃" * 1366).extensions["reason"] == "code_too_long"


@pytest.mark.parametrize("query", [{}, {"code": ""}, {"state": "s"}])
def test_an_answer_without_a_code_is_refused(query):
    """Neither code nor error."""
    assert rejected(**query).extensions["reason"] == "code_missing"


@pytest.mark.parametrize(
    "query", [{"code": ("a", "b")}, {"code": "a", "state": ("s", "s")}, {"code": "a", "foo": ("1", "2")}]
)
def test_c24_a_repeated_parameter_is_refused(query):
    """RFC 6749 section 3.1: no parameter more than once, not even with the same value."""
    assert rejected(**query).extensions["reason"] == "parameter_repeated"


def test_c23_error_and_code_together_are_refused():
    """An ambiguous answer redeems nothing."""
    error = rejected(code="a", error="access_denied")

    assert type(error) is AuthorizationResponseRejected
    assert error.extensions["reason"] == "error_and_code"


@pytest.mark.parametrize("name", ["access_token", "id_token", "refresh_token"])
def test_c25_a_token_in_the_query_is_refused(name):
    """Token injection: the value is never looked at."""
    error = rejected(code="a", **{name: "injected"})

    assert error.extensions == {"reason": "token_in_query"}
    assert "injected" not in str(error)


def test_c27_another_issuer_is_refused_before_the_code_is_redeemed():
    """Mix-up: the code belongs to somebody else (RFC 9207)."""
    assert rejected(code="a", iss="https://evil.example").extensions["reason"] == "issuer_mismatch"


def test_c28_a_missing_issuer_is_refused_where_it_is_announced():
    """Stripping `iss` is no way around the check; also not for errors."""
    provider = replace(PROVIDER, authorization_response_iss="required")

    assert rejected(provider, code="a").extensions["reason"] == "issuer_missing"
    assert rejected(provider, error="access_denied").extensions["reason"] == "issuer_missing"
    assert check(provider, code="a", iss=ISSUER) == "a"


@pytest.mark.parametrize(
    "issuer", [ISSUER + "/", "HTTPS://op.example", "https://OP.example", "https://op%2Eexample", ISSUER + " ", ""]
)
def test_c30_the_issuer_is_compared_as_an_exact_string(issuer):
    """No normalising."""
    assert rejected(code="a", iss=issuer).extensions["reason"] == "issuer_mismatch"


def test_an_issuer_from_a_provider_that_never_names_one_is_refused():
    """RFC 9207 section 2.4: discard what was not announced, where the record says so."""
    provider = replace(PROVIDER, authorization_response_iss="absent")

    assert rejected(provider, code="a", iss=ISSUER).extensions["reason"] == "issuer_unexpected"


def test_an_alias_of_the_issuer_is_accepted():
    """The closed list of the record."""
    assert check(replace(PROVIDER, issuer_aliases=("op.example",)), code="a", iss="op.example") == "a"


TEMPLATED = replace(
    PROVIDER,
    issuer=None,
    issuer_template="https://login.example/{tenantid}/v2.0",
    issuer_claims=(("tenantid", "tid"),),
)


def test_an_issuer_template_takes_a_plain_value_only():
    """The tenant is not known yet, the shape is."""
    assert check(TEMPLATED, code="a", iss="https://login.example/9188040d-6c67/v2.0") == "a"
    for issuer in (
        "https://login.example//v2.0",
        "https://login.example/a/b/v2.0",
        "https://login.example/../v2.0",
        "https://login.example/{tenantid}/v2.0",
        "https://loginxexample/a/v2.0",
        "https://login.example/a/v2.0\n",
    ):
        assert rejected(TEMPLATED, code="a", iss=issuer).extensions["reason"] == "issuer_mismatch"


def test_a_record_without_issuer_ignores_the_parameter():
    """There is nothing to compare with; the callback path is its own per registration (C-08)."""
    assert check(replace(PROVIDER, issuer=None), code="a", iss="https://whatever.example") == "a"


def test_c21_another_providers_registration_is_refused():
    """A trip's credentials belong to the record that judges its answer."""
    with pytest.raises(AuthorizationResponseRejected) as caught:
        check_authorization_response(
            {"code": ("a",)}, provider=PROVIDER, credentials=ProviderCredentials("other", "client-1")
        )

    assert caught.value.extensions["reason"] == "provider_mismatch"


@pytest.mark.parametrize(
    ("code", "expected", "reason"),
    [
        ("access_denied", "access_denied", "declined"),
        ("login_required", "login_required", "declined"),
        ("consent_required", "consent_required", "declined"),
        ("server_error", "server_error", "provider_unavailable"),
        ("temporarily_unavailable", "temporarily_unavailable", "provider_unavailable"),
        ("invalid_scope", "invalid_scope", "provider_misconfigured"),
        ("unauthorized_client", "unauthorized_client", "provider_misconfigured"),
        ("<script>alert(1)</script>", "server_error", "provider_unavailable"),
        ("", "server_error", "provider_unavailable"),
        ("org_internal", "access_denied", "declined"),
        ("deleted_client", "unauthorized_client", "provider_misconfigured"),
    ],
)
def test_c22_a_providers_error_becomes_a_registered_one(code, expected, reason):
    """The record's table places the provider's own words; unknown ones are an outage of the provider."""
    provider = replace(
        PROVIDER, errors=(ErrorRule("user_action", error="org_internal"), ErrorRule("config", error="deleted_client"))
    )
    error = rejected(provider, error=code, error_description="<script>")

    assert isinstance(error, ProviderDeclined)
    assert error.extensions == {"error": expected, "reason": reason}


@given(error=st.text(), description=st.text(min_size=3))
def test_c22_nothing_of_the_providers_text_is_echoed(error, description):
    """Whatever it sends: the code is of the registered set, and the message is ours."""
    with pytest.raises(ProviderDeclined) as caught:
        check(error=error, error_description="\u2603" + description, error_uri="javascript:alert(1)")

    assert caught.value.extensions["error"] in AUTHORIZATION_ERRORS
    assert "\u2603" not in str(caught.value)
