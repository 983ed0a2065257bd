"""The URL of the consent page."""

from dataclasses import replace
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantkeeper.errors import BadRequest
from grantkeeper.oauth.authorization import PROTECTED_PARAMETERS, authorization_url
from grantkeeper.oauth.pkce import code_challenge
from grantkeeper.providers.record import Provider, ScopeRule, Variable

VERIFIER = "v" * 43
PROVIDER = Provider(
    id="example",
    display_name="Example",
    authorization_endpoint="https://op.example/authorize",
    token_endpoint="https://op.example/token",
)


def url(provider=PROVIDER, **changes):
    arguments = {
        "client_id": "client-1",
        "redirect_uri": "https://us.example/oauth2/callback/example",
        "state": "state-1",
        "scopes": ("openid", "email"),
        "purpose": "connect",
        "code_verifier": VERIFIER,
        "nonce": "nonce-1",
    }
    return authorization_url(provider=provider, **(arguments | changes))


def params(*args, **changes):
    pairs = parse_qsl(urlsplit(url(*args, **changes)).query, strict_parsing=True)
    assert len(pairs) == len(dict(pairs)), "a parameter appears twice"
    return dict(pairs)


def test_a_plain_provider_gets_the_parameters_of_the_standards():
    """RFC 6749, RFC 7636 and OpenID Connect, nothing else."""
    assert params() == {
        "response_type": "code",
        "client_id": "client-1",
        "redirect_uri": "https://us.example/oauth2/callback/example",
        "scope": "openid email",
        "state": "state-1",
        "code_challenge": code_challenge(VERIFIER),
        "code_challenge_method": "S256",
        "nonce": "nonce-1",
    }


def test_spaces_travel_as_percent_20():
    """A `+` is read as a plus sign by some servers."""
    assert "scope=openid%20email" in url()


def test_c10_a_record_cannot_overwrite_a_parameter_that_carries_security():
    """The record's extras come first and lose."""
    hostile = replace(
        PROVIDER,
        authorization_params=(("state", "theirs"), ("response_type", "token"), ("client_id", "theirs")),
        connect_params=(("redirect_uri", "https://evil.example"), ("code_challenge_method", "plain"), ("nonce", "x")),
    )

    assert params(hostile) == params()


@pytest.mark.parametrize("name", sorted(PROTECTED_PARAMETERS))
def test_c10_a_caller_cannot_set_a_protected_parameter(name):
    """Refused, not silently dropped."""
    with pytest.raises(BadRequest) as caught:
        url(extra={name: "x"})

    assert caught.value.extensions == {"parameter": name}


def test_c10_the_scope_parameter_is_protected_under_the_providers_name():
    """A provider that calls it `user_scope` is no way around."""
    provider = replace(PROVIDER, scope=ScopeRule(parameter="user_scope", separator=","))

    assert params(provider)["user_scope"] == "openid,email"
    with pytest.raises(BadRequest):
        url(provider, extra={"user_scope": "admin"})


def test_connect_parameters_are_not_sent_on_sign_in():
    """Offline access on every sign-in would push stored grants out of Google's cap of 100."""
    provider = replace(
        PROVIDER,
        signin_params=(("prompt", "select_account"),),
        connect_params=(("access_type", "offline"), ("prompt", "consent")),
    )

    assert params(provider, purpose="connect").items() >= {("access_type", "offline"), ("prompt", "consent")}
    assert params(provider, purpose="signin")["prompt"] == "select_account"
    assert "access_type" not in params(provider, purpose="signin")


def test_the_callers_extras_win_over_the_records():
    """A re-connect may ask for another prompt than the record's."""
    provider = replace(PROVIDER, connect_params=(("prompt", "consent"),))

    assert params(provider, extra={"prompt": "login", "login_hint": "a@b.example"})["prompt"] == "login"


def test_c01_no_challenge_goes_to_a_provider_that_must_not_see_one():
    """Slack's PKCE is an opt-in that turns the app into a public client."""
    assert not {n for n in params(replace(PROVIDER, pkce="unsupported")) if n.startswith("code_challenge")}


@pytest.mark.parametrize("pkce", ["required", "supported"])
def test_c01_a_missing_verifier_is_a_bug_not_a_weaker_request(pkce):
    """PKCE cannot be forgotten."""
    with pytest.raises(ValueError, match="code verifier"):
        url(replace(PROVIDER, pkce=pkce), code_verifier=None)


def test_c11_a_missing_nonce_is_a_bug_when_an_id_token_is_asked_for():
    """Without `openid` there is no ID token and no nonce."""
    with pytest.raises(ValueError, match="nonce"):
        url(nonce=None)
    assert "nonce" not in params(scopes=("email",), nonce=None)
    assert "nonce" not in params(replace(PROVIDER, nonce=False), nonce=None)


def test_a_provider_without_scopes_gets_no_scope_parameter():
    """Notion's capabilities are set in its portal."""
    assert "scope" not in params(replace(PROVIDER, scope=ScopeRule(parameter=None)))
    assert "scope" not in params(scopes=())


def test_response_mode_is_named_only_when_it_is_not_the_default():
    """`query` is the code flow's default."""
    assert params(replace(PROVIDER, response_mode="form_post"))["response_mode"] == "form_post"


def test_an_endpoint_with_a_query_keeps_it():
    """RFC 6749 section 3.1."""
    parts = urlsplit(url(replace(PROVIDER, authorization_endpoint="https://op.example/authorize?tenant=a")))

    assert parse_qs(parts.query)["tenant"] == ["a"]
    assert parse_qs(parts.query)["state"] == ["state-1"]


TENANT = replace(
    PROVIDER,
    authorization_endpoint="https://op.example/{tenant}/authorize",
    variables=(Variable("tenant", "[a-z0-9-]{1,36}", "common"),),
)


def test_endpoint_variables_are_filled_in():
    """The chosen value, else the record's default."""
    assert url(TENANT).startswith("https://op.example/common/authorize?")
    assert url(TENANT, variables=(("tenant", "acme"),)).startswith("https://op.example/acme/authorize?")


@pytest.mark.parametrize("value", ["../x", "a/b", "evil.example#", "", "a" * 37, "acme\n", "ACME", "a\u0660"])
def test_a_variable_cannot_leave_its_place(value):
    """Its pattern matches whole, in ASCII, or the request is refused."""
    with pytest.raises(BadRequest) as caught:
        url(TENANT, variables=(("tenant", value),))

    assert caught.value.extensions == {"parameter": "tenant"}


@pytest.mark.parametrize("value", ["a/b", "a..b", ".", "a:1", "a@b", "a?b", "a#b", "a%2Fb", "a b"])
def test_a_careless_pattern_does_not_open_the_url(value):
    """A value is one path segment or one host name, whatever the record allows."""
    careless = replace(TENANT, variables=(Variable("tenant", ".*"),))

    with pytest.raises(BadRequest):
        url(careless, variables=(("tenant", value),))


def test_an_undeclared_variable_is_refused():
    """A typo must not fall back to the default in silence."""
    with pytest.raises(BadRequest):
        url(TENANT, variables=(("tennant", "acme"),))


@given(state=st.text(min_size=1), scopes=st.lists(st.text(min_size=1, max_size=10), max_size=5))
def test_values_arrive_exactly_as_given(state, scopes):
    """Whatever the characters, decoding the URL gives them back."""
    scopes = [scope for scope in scopes if scope != "openid"]
    try:
        (state + "".join(scopes)).encode()
    except UnicodeEncodeError:
        return

    query = parse_qs(urlsplit(url(state=state, scopes=scopes)).query, keep_blank_values=True)

    assert query["state"] == [state]
    assert query.get("scope", [""]) == [" ".join(scopes)]
