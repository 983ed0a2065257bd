"""Requests to the token and revocation endpoints."""

import json
from base64 import b64decode
from dataclasses import replace
from urllib.parse import parse_qsl, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantkeeper.errors import ProviderMisconfigured, ProviderNotConfigured
from grantkeeper.model import ProviderCredentials, TokenSet
from grantkeeper.oauth.token_request import assertion_claims, code_request, refresh_request, revocation_request
from grantkeeper.providers.record import Provider, RevocationRule, ScopeRule, Variable

PROVIDER = Provider(
    id="example",
    display_name="Example",
    authorization_endpoint="https://op.example/authorize",
    token_endpoint="https://op.example/token",
)
POST = replace(PROVIDER, token_endpoint_auth_method="client_secret_post")
CREDENTIALS = ProviderCredentials(provider="example", client_id="client-1", client_secret="s3cret")
TOKENS = TokenSet(access_token="at-1", refresh_token="rt-1")
REDIRECT = "https://us.example/oauth2/callback/example"


def code(provider=PROVIDER, credentials=CREDENTIALS, **changes):
    return code_request(
        provider, credentials, **({"code": "c-1", "redirect_uri": REDIRECT, "code_verifier": "v" * 43} | changes)
    )


def form(request):
    assert dict(request.headers)["content-type"] == "application/x-www-form-urlencoded"
    pairs = parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert len(pairs) == len(dict(pairs))
    return dict(pairs)


def basic(request):
    scheme, _, value = dict(request.headers)["authorization"].partition(" ")
    assert scheme == "Basic"
    client_id, _, secret = b64decode(value).decode("ascii").partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def test_a_code_is_exchanged_as_rfc_6749_and_rfc_7636_say():
    """Basic, form, verifier; the client_id only in the header."""
    request = code()

    assert (request.method, request.url) == ("POST", "https://op.example/token")
    assert basic(request) == ("client-1", "s3cret")
    assert form(request) == {
        "grant_type": "authorization_code",
        "code": "c-1",
        "redirect_uri": REDIRECT,
        "code_verifier": "v" * 43,
    }
    assert dict(request.headers)["accept"] == "application/json"


def test_c41_basic_credentials_are_form_urlencoded_before_base64():
    """RFC 6749 section 2.3.1: a colon in the client_id must not move the border."""
    request = code(credentials=replace(CREDENTIALS, client_id="a:b", client_secret=":%+ é"))

    encoded = b64decode(dict(request.headers)["authorization"].split(" ")[1]).decode("ascii")
    assert encoded == "a%3Ab:%3A%25%2B+%C3%A9"


@given(
    client_id=st.text(min_size=1),
    secret=st.text(min_size=1),
)
def test_c41_credentials_travel_in_one_place_only(client_id, secret):
    """The header or the body, never both and never the URL."""
    try:
        (client_id + secret).encode()
    except UnicodeEncodeError:
        return
    credentials = replace(CREDENTIALS, client_id=client_id, client_secret=secret)
    in_header, in_body = code(credentials=credentials), code(POST, credentials)

    assert basic(in_header) == (client_id, secret)
    assert not {"client_id", "client_secret"} & set(form(in_header))
    assert "authorization" not in dict(in_body.headers)
    assert (form(in_body)["client_id"], form(in_body)["client_secret"]) == (client_id, secret)
    assert in_header.url == in_body.url == "https://op.example/token"


@pytest.mark.parametrize("value", ["a b", "a+b", "a\x00b", "ü☃", "x" * 4096, "%2F%%"])
def test_c40_a_code_arrives_byte_for_byte(value):
    """Form-encoded, whatever its characters."""
    assert form(code(code=value))["code"] == value


def test_authentication_and_encoding_are_independent():
    """Notion: Basic with a JSON body. Atlassian: credentials inside the JSON body."""
    notion = code(replace(PROVIDER, token_request_encoding="json"))
    atlassian = code(replace(POST, token_request_encoding="json"))

    assert basic(notion) == ("client-1", "s3cret")
    assert dict(notion.headers)["content-type"] == "application/json"
    assert json.loads(notion.body)["grant_type"] == "authorization_code"
    assert "client_secret" not in json.loads(notion.body)
    assert json.loads(atlassian.body)["client_secret"] == "s3cret"


def test_the_registrations_own_method_wins():
    """One registration may authenticate otherwise than the record's default."""
    public = code(credentials=replace(CREDENTIALS, client_secret=None, auth_method="none"))

    assert form(public)["client_id"] == "client-1"
    assert "client_secret" not in form(public)
    assert "authorization" not in dict(public.headers)


@pytest.mark.parametrize("provider", [PROVIDER, POST])
@pytest.mark.parametrize("secret", [None, ""])
def test_a_missing_secret_is_told_not_sent_empty(provider, secret):
    """An empty secret would only earn invalid_client."""
    with pytest.raises(ProviderNotConfigured):
        code(provider, replace(CREDENTIALS, client_secret=secret))


def test_private_key_jwt_sends_the_assertion_it_is_given():
    """RFC 7523 section 2.2; without one it is a typed error."""
    provider = replace(PROVIDER, token_endpoint_auth_method="private_key_jwt")
    sent = form(code(provider, client_assertion="a.b.c"))

    assert sent["client_assertion"] == "a.b.c"
    assert sent["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    with pytest.raises(ProviderMisconfigured):
        code(provider)


def test_assertion_claims_live_a_minute_and_never_repeat():
    """RFC 7523 section 3."""
    one, two = (assertion_claims(PROVIDER, CREDENTIALS, now=1000) for _ in range(2))

    assert one["jti"] != two["jti"]
    assert dict(one) | {"jti": ""} == {
        "iss": "client-1",
        "sub": "client-1",
        "aud": "https://op.example/token",
        "iat": 1000,
        "exp": 1060,
        "jti": "",
    }


def test_the_records_extras_come_first_and_lose():
    """A record can add `expires_in`; it cannot change what is redeemed."""
    request = code(replace(PROVIDER, code_params=(("expires_in", "1800"), ("code", "theirs"))))

    assert form(request)["expires_in"] == "1800"
    assert form(request)["code"] == "c-1"


def test_no_verifier_goes_where_pkce_is_unsupported():
    """It was never bound."""
    assert "code_verifier" not in form(code(replace(PROVIDER, pkce="unsupported")))


def test_a_refresh_sends_the_minimum():
    """RFC 6749 section 6: scope and redirect_uri only where the record asks for them."""
    plain = refresh_request(PROVIDER, CREDENTIALS, refresh_token="rt-1", scopes=("a", "b"), redirect_uri=REDIRECT)
    asking = replace(
        PROVIDER, refresh_sends_scope=True, refresh_sends_redirect_uri=True, scope=ScopeRule(separator=",")
    )
    full = refresh_request(asking, CREDENTIALS, refresh_token="rt-1", scopes=("a", "b"), redirect_uri=REDIRECT)

    assert form(plain) == {"grant_type": "refresh_token", "refresh_token": "rt-1"}
    assert form(full) == form(plain) | {"scope": "a,b", "redirect_uri": REDIRECT}


def test_a_refresh_goes_to_the_refresh_endpoint_where_there_is_one():
    """Figma's is another URL; variables are filled in both."""
    provider = replace(
        PROVIDER,
        token_endpoint="https://{host}/token",
        refresh_endpoint="https://{host}/refresh",
        variables=(Variable("host", r"[a-z.]{1,60}"),),
    )
    variables = (("host", "git.acme.example"),)

    request = refresh_request(provider, CREDENTIALS, refresh_token="rt-1", variables=variables)
    assert request.url == "https://git.acme.example/refresh"
    assert code(provider, variables=variables).url == "https://git.acme.example/token"


def test_rfc_7009_revokes_the_refresh_token_with_a_hint():
    """And the access token when there is no other."""
    provider = replace(
        PROVIDER, revocation_endpoint="https://op.example/revoke", revocation=RevocationRule(kind="rfc7009")
    )
    request = revocation_request(provider, CREDENTIALS, token_set=TOKENS)
    only_access = revocation_request(provider, CREDENTIALS, token_set=replace(TOKENS, refresh_token=None))

    assert request.url == "https://op.example/revoke"
    assert basic(request) == ("client-1", "s3cret")
    assert form(request) == {"token": "rt-1", "token_type_hint": "refresh_token"}
    assert form(only_access) == {"token": "at-1", "token_type_hint": "access_token"}


def test_github_style_revocation():
    """DELETE with Basic, the client_id in the path and the access token in a JSON body."""
    rule = RevocationRule(
        kind="custom",
        method="DELETE",
        url_template="https://api.github.com/applications/{client_id}/token",
        auth="client_secret_basic",
        encoding="json",
        token_parameter="access_token",
        token_hint="access_token",
    )
    request = revocation_request(replace(POST, revocation=rule), CREDENTIALS, token_set=TOKENS)

    assert (request.method, request.url) == ("DELETE", "https://api.github.com/applications/client-1/token")
    assert basic(request) == ("client-1", "s3cret")
    assert json.loads(request.body) == {"access_token": "at-1"}


def test_slack_style_revocation():
    """The token itself is the Bearer; no body."""
    rule = RevocationRule(
        kind="custom", url_template="https://slack.com/api/auth.revoke", auth="bearer", encoding="none"
    )
    request = revocation_request(replace(PROVIDER, revocation=rule), CREDENTIALS, token_set=TOKENS)

    assert dict(request.headers)["authorization"] == "Bearer at-1"
    assert request.body is None


def test_hubspot_style_revocation():
    """The token stands in the path, escaped, and in no repr."""
    rule = RevocationRule(
        kind="custom",
        method="DELETE",
        url_template="https://api.hubapi.com/oauth/v1/refresh-tokens/{token}",
        auth="none",
        encoding="none",
    )
    request = revocation_request(
        replace(PROVIDER, revocation=rule), CREDENTIALS, token_set=replace(TOKENS, refresh_token="rt/../?1")
    )

    assert request.url == "https://api.hubapi.com/oauth/v1/refresh-tokens/rt%2F..%2F%3F1"
    assert "rt" not in repr(request)


def test_google_style_revocation():
    """A form without client authentication."""
    rule = RevocationRule(kind="custom", url_template="https://oauth2.googleapis.com/revoke", auth="none")
    request = revocation_request(replace(PROVIDER, revocation=rule), CREDENTIALS, token_set=TOKENS)

    assert form(request) == {"token": "rt-1"}
    assert "authorization" not in dict(request.headers)


@pytest.mark.parametrize(
    ("rule", "tokens"),
    [
        (RevocationRule(kind="none"), TOKENS),
        (RevocationRule(kind="rfc7009"), TOKENS),
        (RevocationRule(kind="custom", url_template="https://x.example/{token}"), TokenSet(access_token="at")),
    ],
)
def test_where_nothing_can_be_revoked_there_is_no_request(rule, tokens):
    """No rule, no endpoint, or no token of the kind it takes."""
    assert revocation_request(replace(PROVIDER, revocation=rule), CREDENTIALS, token_set=tokens) is None


def test_a_request_shows_no_secret():
    """Its repr is safe for a log."""
    shown = repr(code())

    assert shown == "HttpRequest(POST https://op.example)"
