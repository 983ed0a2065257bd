"""The records at work: requests as each provider wants them, answers as each provider gives them."""

import json
from base64 import b64encode
from urllib.parse import parse_qs, urlsplit

import pytest

from grantkeeper.errors import InvalidProviderRecord, TokenResponseRejected
from grantkeeper.model import HttpResponse, ProviderCredentials, TokenSet
from grantkeeper.oauth.authorization import authorization_url
from grantkeeper.oauth.endpoints import resolve
from grantkeeper.oauth.failure import failure
from grantkeeper.oauth.profile_request import profile_request
from grantkeeper.oauth.scopes import scope_parameters
from grantkeeper.oauth.token_request import code_request, refresh_request, revocation_request
from grantkeeper.oauth.token_response import granted, normalise_scopes, sealable, token_set
from grantkeeper.providers.catalog import Catalog
from grantkeeper.providers.record import ProfileRequest
from grantkeeper.services.fetch_profile import fetch_profile
from grantkeeper.services.open_connect_session import resolve_scopes
from grantkeeper.services.redeem_provider_code import ProviderTokens
from grantkeeper.services.sign_profile import signer_for

NOW = 1_800_000_000
CALLBACK = "https://id.acme.example/oauth2/callback/p"
VERIFIER = "v" * 43
TOKENS = TokenSet("at 1", refresh_token="rt/1")
BASIC = "Basic " + b64encode(b"us:s%2Fecret").decode()


def record(provider_id):
    return resolve(Catalog().get(provider_id))


def credentials(provider):
    return ProviderCredentials(provider.credentials_id, "us", "s/ecret")


def consent_page(provider_id, access=None):
    provider, service = Catalog().service(provider_id)
    url = authorization_url(
        provider=provider,
        client_id="us",
        redirect_uri=CALLBACK,
        state="s",
        scopes=resolve_scopes(service, access=access, scopes=None),
        purpose="connect",
        code_verifier=VERIFIER,
        nonce="n",
    )
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def exchange(provider_id):
    provider = record(provider_id)
    return code_request(provider, credentials(provider), code="c", redirect_uri=CALLBACK, code_verifier=VERIFIER)


def refresh(provider_id):
    provider = record(provider_id)
    return refresh_request(provider, credentials(provider), refresh_token="rt/1", redirect_uri=CALLBACK)


def revocation(provider_id):
    provider = record(provider_id)
    return revocation_request(provider, credentials(provider), token_set=TOKENS)


def form(request):
    assert dict(request.headers)["content-type"] == "application/x-www-form-urlencoded"
    return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}


def answered(provider_id, body, status=200):
    return HttpResponse(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


def first_set(provider_id, body, name="main"):
    plaintext = sealable(
        json.dumps(body).encode(), provider=record(provider_id), name=name, previous=None, received_at=NOW
    )
    return token_set(plaintext, provider=record(provider_id), name=name)


class Api:
    """Answers by URL, and keeps what it was asked."""

    def __init__(self, answers):
        self.answers, self.requests = answers, []

    def send(self, request, *, budget=8.0):
        self.requests.append(request)
        return answered("", self.answers.get(request.url.partition("?")[0], {}))


def profile_of(provider_id, answers, body=None, access_token="at-1"):
    api, provider = Api(answers), record(provider_id)
    body = {"access_token": access_token} | (body or {})
    sets = {
        name: first_set(provider_id, body, name) for name in granted(answered(provider_id, body), provider=provider)
    }
    tokens = ProviderTokens(json.dumps(body).encode(), sets, None)
    sign = signer_for(provider, credentials(provider), tokens, now=0) if provider.protocol != "oauth1" else None
    return fetch_profile(provider=provider, tokens=tokens, provider_http=api, sign=sign), api.requests


# --- Slack ---

SLACK = {
    "ok": True,
    "access_token": "xoxb-1",
    "token_type": "bot",
    "scope": "channels:read,chat:write",
    "bot_user_id": "U0BOT",
    "app_id": "A1",
    "team": {"id": "T1", "name": "Acme"},
    "enterprise": None,
    "refresh_token": "xoxe-1-bot",
    "expires_in": 43200,
    "authed_user": {
        "id": "U1",
        "scope": "channels:history",
        "access_token": "xoxp-1",
        "token_type": "user",
        "refresh_token": "xoxe-1-user",
        "expires_in": 43200,
    },
}


def test_slack_is_asked_for_the_bots_and_the_users_scopes_apart():
    """Two parameters, commas; and never a PKCE challenge, which would make the app public for good."""
    page = consent_page("slack", "full")

    assert "chat:write" in page["scope"].split(",")
    assert "users:read.email" in page["user_scope"].split(",")
    assert "user:" not in page["scope"] + page["user_scope"]
    assert "code_challenge" not in page
    assert set(consent_page("slack", "user")) & {"scope", "user_scope"} == {"user_scope"}


def test_slack_grants_two_tokens_whose_scopes_are_told_apart():
    """Each is sealed for itself, with its own refresh token; the workspace is kept."""
    provider = record("slack")
    assert granted(answered("slack", SLACK), provider=provider) == ["bot", "user"]

    bot, user = first_set("slack", SLACK, "bot"), first_set("slack", SLACK, "user")

    assert (bot.access_token, bot.refresh_token, bot.scopes) == (
        "xoxb-1",
        "xoxe-1-bot",
        ("channels:read", "chat:write"),
    )
    assert (user.access_token, user.refresh_token, user.scopes) == (
        "xoxp-1",
        "xoxe-1-user",
        ("user:channels:history",),
    )
    assert user.expires_at == NOW + 43200
    assert user.metadata["team_id"] == bot.metadata["team_id"] == "T1"
    asked = ("channels:read", "user:channels:history", "user:users:read")
    assert normalise_scopes(provider, user.scopes, asked) == ("user:channels:history",)


def test_slack_refreshes_each_token_flat_and_keeps_whose_it_is():
    """The answer for the user's token stands at the top, with nothing around it."""
    provider = record("slack")
    before = first_set("slack", SLACK, "user")
    flat = {
        "ok": True, "access_token": "xoxp-2", "refresh_token": "xoxe-2-user", "expires_in": 43200,
        "token_type": "user", "scope": "channels:history",
    }  # fmt: skip
    answer = answered("slack", flat)

    assert granted(answer, provider=provider, names=["user"], lenient=True) == ["user"]
    after = token_set(
        sealable(answer.body, provider=provider, name="user", previous=before, received_at=NOW),
        provider=provider,
        name="user",
    )
    assert (after.access_token, after.refresh_token) == ("xoxp-2", "xoxe-2-user")
    assert after.scopes == ("user:channels:history",)
    assert after.metadata["user_id"] == "U1", "who the account is outlives the refresh"


def test_slack_without_rotation_never_expires():
    """No expires_in and no refresh token: an app setting."""
    body = {"ok": True, "access_token": "xoxb-1", "token_type": "bot", "scope": "chat:write", "team": {"id": "T1"}}
    found = first_set("slack", body, "bot")

    assert (found.expires_at, found.refresh_token) == (None, None)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("invalid_refresh_token", "dead"),
        ("bad_client_secret", "config"),
        ("ratelimited", "transient"),
        ("new", "unknown"),
    ],
)
def test_slack_refuses_in_a_200(error, kind):
    """`ok: false`."""
    answer = answered("slack", {"ok": False, "error": error})

    assert granted(answer, provider=record("slack")) == []
    assert failure(answer, provider=record("slack"), now=NOW).kind == kind


def test_slack_accounts_are_a_person_in_a_workspace():
    """users.info is asked for the person who installed, not for the bot."""
    info = {
        "ok": True,
        "user": {
            "real_name": "Ada",
            "locale": "en-GB",
            "profile": {"email": "ada@acme.example", "image_192": "https://i"},
        },
    }
    found, requests = profile_of(
        "slack",
        {"https://slack.com/api/auth.test": {"ok": True}, "https://slack.com/api/users.info": info},
        SLACK,
    )

    assert (found.provider_user_id, found.email, found.email_verified) == ("T1_U1", "ada@acme.example", False)
    assert found.locale == "en-GB"
    assert requests[1].url == "https://slack.com/api/users.info?user=U1&include_locale=true"


def test_slack_says_in_a_200_that_a_token_is_dead():
    """And that a scope is missing, which hides a name and no account."""
    with pytest.raises(TokenResponseRejected) as caught:
        profile_of("slack", {"https://slack.com/api/auth.test": {"ok": False, "error": "token_revoked"}}, SLACK)
    assert caught.value.extensions["reason"] == "token_refused"

    refused = {"ok": False, "error": "missing_scope"}
    found, _ = profile_of(
        "slack",
        {"https://slack.com/api/auth.test": {"ok": True}, "https://slack.com/api/users.info": refused},
        SLACK,
    )
    assert (found.provider_user_id, found.name) == ("T1_U1", "Acme")


def test_slack_sign_in_is_openid_connect_with_two_claims_for_an_id():
    """Claims whose names are URLs."""
    from grantkeeper.oauth.profile import resolve_profile

    claims = {"sub": "U1", "https://slack.com/team_id": "T1", "https://slack.com/user_id": "U1", "email": "a@b.example"}
    provider = record("slack-signin")

    assert resolve_profile(provider, id_claims=claims, token_response={}, answers={}).provider_user_id == "T1_U1"
    assert provider.credentials_id == "slack"


# --- bodies, authentication, parameters ---


def test_notion_is_basic_around_json():
    """Authentication and body are two choices."""
    request = exchange("notion")

    assert dict(request.headers)["authorization"] == BASIC
    assert dict(request.headers)["notion-version"]
    assert json.loads(request.body) == {"grant_type": "authorization_code", "code": "c", "redirect_uri": CALLBACK}
    assert json.loads(refresh("notion").body) == {"grant_type": "refresh_token", "refresh_token": "rt/1"}
    page = consent_page("notion")
    assert page["owner"] == "user"
    assert "scope" not in page


@pytest.mark.parametrize("provider_id", ["trello", "atlassian"])
def test_atlassian_takes_credentials_in_a_json_body(provider_id):
    """Post and JSON."""
    body = json.loads(refresh(provider_id).body)

    assert (body["client_id"], body["client_secret"], body["refresh_token"]) == ("us", "s/ecret", "rt/1")


def test_jira_names_its_audience_and_trello_sends_a_challenge():
    """One authorization server, two dialects."""
    assert consent_page("jira")["audience"] == "api.atlassian.com"
    assert "code_challenge" not in consent_page("jira")
    assert consent_page("trello")["code_challenge_method"] == "S256"


@pytest.mark.parametrize("provider_id", ["asana", "gitlab", "discord"])
def test_some_want_the_redirect_uri_with_every_refresh(provider_id):
    """Asana, GitLab, Discord."""
    assert form(refresh(provider_id))["redirect_uri"] == CALLBACK


@pytest.mark.parametrize("provider_id", ["zoom", "figma", "spotify", "x", "slack", "discord"])
def test_some_want_basic(provider_id):
    """And then nothing in the body (RFC 6749 section 2.3.1)."""
    request = exchange(provider_id)

    assert dict(request.headers)["authorization"] == BASIC
    assert "client_secret" not in form(request)


def test_figma_is_refreshed_elsewhere():
    """A separate refresh endpoint."""
    assert exchange("figma").url == "https://api.figma.com/v1/oauth/token"
    assert refresh("figma").url == "https://api.figma.com/v1/oauth/refresh"


def test_scopes_are_joined_as_each_provider_reads_them():
    """Commas at Linear, Figma and Trello's old server; spaces elsewhere; none at Zoom."""
    assert consent_page("linear", "write")["scope"] == "read,write"
    assert consent_page("trello-oauth1", "write")["scope"] == "account,read,write"
    assert consent_page("x", "write")["scope"] == "users.read tweet.read users.email tweet.write offline.access"
    assert "scope" not in consent_page("zoom")


def test_dropbox_is_offline_and_salesforce_has_a_host_per_kind_of_org():
    """By parameter and by variable."""
    assert consent_page("dropbox")["token_access_type"] == "offline"
    sandbox = resolve(Catalog().get("salesforce"), {"host": "test"})
    assert sandbox.token_endpoint == "https://test.salesforce.com/services/oauth2/token"
    mine = resolve(Catalog().get("salesforce"), {"host": "acme--uat.sandbox.my"})
    assert mine.revocation.url_template == "https://acme--uat.sandbox.my.salesforce.com/services/oauth2/revoke"


def test_salesforce_keeps_the_address_of_its_api():
    """Without instance_url the token is of no use; without expires_in nothing is due."""
    found = first_set("salesforce", {"access_token": "a", "instance_url": "https://acme.my.salesforce.com", "id": "i"})

    assert found.metadata == {"instance_url": "https://acme.my.salesforce.com", "id": "i"}
    assert found.expires_at is None


# --- revocation ---


def test_tokens_are_revoked_as_each_provider_wants_it():
    """In the form, in the path, as Bearer, as JSON; with the refresh token or the access token."""
    hubspot, dropbox, notion = revocation("hubspot"), revocation("dropbox"), revocation("notion")

    assert (hubspot.method, hubspot.url) == ("POST", "https://api.hubapi.com/oauth/2026-03/token/revoke")
    assert form(hubspot) | {"token": "rt/1", "client_id": "us", "client_secret": "s/ecret"} == form(hubspot)
    assert (dropbox.method, dropbox.body, dict(dropbox.headers)["authorization"]) == ("POST", None, "Bearer at 1")
    assert json.loads(notion.body) == {"token": "at 1"}
    assert form(revocation("asana")) == {"token": "rt/1", "client_id": "us", "client_secret": "s/ecret"}
    assert form(revocation("gitlab"))["token_type_hint"] == "refresh_token"
    assert dict(revocation("linear").headers)["authorization"] == "Bearer at 1"
    trello = revocation("trello-oauth1")
    assert (trello.method, trello.url) == ("DELETE", "https://api.trello.com/1/tokens/at%201?key=us&token=at%201")
    assert revocation("spotify") is revocation("figma") is revocation("atlassian") is None


# --- profiles ---


def test_linears_account_is_asked_by_graphql():
    """POST, JSON."""
    viewer = {
        "data": {"viewer": {"id": "l1", "name": "Ada", "email": "a@b.example", "avatarUrl": "https://i.example/a"}}
    }
    found, (request,) = profile_of("linear", {"https://api.linear.app/graphql": viewer})

    assert (found.provider_user_id, found.avatar_url) == ("l1", "https://i.example/a")
    assert request.method == "POST"
    assert dict(request.headers)["content-type"] == "application/json"
    assert "viewer" in json.loads(request.body)["query"]


def test_dropboxs_account_is_asked_by_an_empty_post():
    """No body and no content type."""
    account = {"account_id": "dbid:1", "email": "a@b.example", "email_verified": True, "name": {"display_name": "Ada"}}
    found, (request,) = profile_of("dropbox", {"https://api.dropboxapi.com/2/users/get_current_account": account})

    assert (found.provider_user_id, found.email_verified) == ("dbid:1", True)
    assert (request.method, request.body) == ("POST", None)
    assert "content-type" not in dict(request.headers)


def test_hubspots_account_is_asked_with_our_credentials_beside_the_token():
    """Introspection (RFC 7662): both in the body, neither in URL, header or repr."""
    url = "https://api.hubapi.com/oauth/2026-03/token/introspect"
    provider = record("hubspot")
    found, (request,) = profile_of(
        "hubspot",
        {url: {"active": True, "user": "a@b.example"}},
        body={"hub_id": 7, "user_id": 9},
        access_token="at/1",
    )

    us = credentials(provider)
    assert (found.provider_user_id, found.email) == ("7:9", "a@b.example")
    assert form(request) == {
        "token": "at/1",
        "token_type_hint": "access_token",
        "client_id": us.client_id,
        "client_secret": us.client_secret,
    }
    assert (request.method, request.url) == ("POST", url)
    assert "authorization" not in dict(request.headers)
    assert "at/1" not in repr(request)
    assert us.client_secret not in repr(request)


def test_a_token_in_the_path_is_escaped_and_in_no_header():
    """For the APIs that want it there."""
    request = ProfileRequest("info", "https://api.acme.example/tokens/{token}", auth="none")

    sent = profile_request(request, "at/1", {})

    assert sent.url == "https://api.acme.example/tokens/at%2F1"
    assert "authorization" not in dict(sent.headers)
    assert "at%2F1" not in repr(sent)


def test_discords_picture_is_computed():
    """Of the account's id and its hash; none without a hash."""
    me = {"id": "80351110224678912", "username": "ada", "avatar": "8342729096ea3675442027381ff50dfe", "verified": True}
    url = "https://discord.com/api/users/@me"

    assert profile_of("discord", {url: me})[0].avatar_url == (
        "https://cdn.discordapp.com/avatars/80351110224678912/8342729096ea3675442027381ff50dfe.png"
    )
    assert profile_of("discord", {url: me | {"avatar": None}})[0].avatar_url is None
    assert profile_of("discord", {url: me | {"avatar": "../x?y"}})[0].avatar_url.endswith("/..%2Fx%3Fy.png")


def test_microsofts_picture_is_never_shown_as_a_url():
    """It opens for the token's bearer only."""
    from grantkeeper.oauth.profile import resolve_profile

    kept = {"tid": "t", "oid": "o"}
    claims = kept | {"picture": "https://graph.microsoft.com/v1.0/me/photo/$value"}
    found = resolve_profile(
        record("microsoft"), id_claims=claims, token_response={}, answers={"metadata": kept, "userinfo": claims}
    )

    assert found.avatar_url is None


def test_trellos_picture_gets_a_size():
    """The address comes without."""
    me = {"id": "5abbe4b7ddc1b351ef961414", "fullName": "Ada", "avatarUrl": "https://trello-members.example/a/b"}
    found, _ = profile_of("trello", {"https://api.trello.com/1/members/me": me})

    assert found.avatar_url == "https://trello-members.example/a/b/170.png"


@pytest.mark.parametrize(("said", "verified"), [(1, True), (0, False), ("1", False), (None, False)])
def test_c101_zoom_says_verified_by_a_number(said, verified):
    """1, of type number; the text is not."""
    me = {"id": "z1", "email": "a@b.example", "verified": said}

    assert profile_of("zoom", {"https://api.zoom.us/v2/users/me": me})[0].email_verified is verified


def test_x_shows_confirmed_addresses_only():
    """What is there is confirmed."""
    url = "https://api.x.com/2/users/me"

    found, _ = profile_of("x", {url: {"data": {"id": "1", "name": "Ada", "confirmed_email": "a@b.example"}}})
    assert (found.email, found.email_verified) == ("a@b.example", True)
    assert profile_of("x", {url: {"data": {"id": "1", "name": "Ada"}}})[0].email_verified is False


def test_notions_account_is_in_the_token_response_and_outlives_a_refresh():
    """One account per workspace; `users/me` adds what the capabilities allow."""
    body = {"workspace_id": "w1", "owner": {"type": "user", "user": {"id": "u1", "name": "Ada"}}}
    found, _ = profile_of("notion", {}, body)
    assert (found.provider_user_id, found.name) == ("user-u1_workspace-w1", "Ada")

    first = first_set("notion", {"access_token": "a", "refresh_token": "r"} | body)
    refreshed = json.dumps({"access_token": "b", "refresh_token": "nrt_2"}).encode()
    provider = record("notion")
    second = token_set(sealable(refreshed, provider=provider, previous=first, received_at=NOW), provider=provider)
    tokens = ProviderTokens(refreshed, {"main": second}, None)
    again = fetch_profile(provider=provider, tokens=tokens, provider_http=Api({}))
    assert again.provider_user_id == found.provider_user_id


# --- errors ---


@pytest.mark.parametrize(
    ("provider_id", "status", "body", "kind"),
    [
        (
            "atlassian",
            403,
            {"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."},
            "dead",
        ),
        ("trello", 403, {"error": "invalid_grant"}, "dead"),
        ("hubspot", 400, {"status": "BAD_REFRESH_TOKEN", "message": "no"}, "dead"),
        ("salesforce", 400, {"error": "invalid_grant", "error_description": "inactive user"}, "dead"),
        ("dropbox", 401, {"error": {".tag": "invalid_access_token"}}, "dead"),
        ("dropbox", 401, {"error": {".tag": "expired_access_token"}}, "unknown"),
        ("trello-oauth1", 401, b"invalid token", "dead"),
        ("trello-oauth1", 401, b"invalid key", "config"),
        ("notion", 429, {"object": "error", "code": "rate_limited"}, "transient"),
        ("notion", 403, {"object": "error", "code": "restricted_resource"}, "unknown"),
        ("x", 400, {"error": "invalid_client"}, "config"),
        ("zoom", 503, {"error": "invalid_grant"}, "transient"),
    ],
)
def test_answers_mean_what_each_provider_means_by_them(provider_id, status, body, kind):
    """Codes at their own places, plain text, statuses that are not 400."""
    assert failure(answered(provider_id, body, status), provider=record(provider_id), now=NOW).kind == kind


# --- dialects no shipped record has ---


def own(**fields):
    mapping = {
        "protocol": "oauth2",
        "authorization_endpoint": "https://acme.example/authorize",
        "token_endpoint": "https://acme.example/token",
        "services": [{"id": "acme", "display_name": "Acme", "access": {"read": ["a"]}}],
    }
    return Catalog({"acme": mapping | fields}).get("acme")


def test_an_api_that_wants_the_token_in_the_query_gets_it_there():
    """Escaped, under the name it reads, and in no header."""
    request = {"name": "me", "url": "https://acme.example/me?v=1", "auth": "query", "token_parameter": "key"}
    provider = own(profile={"requests": [request], "map": {"provider_user_id": ["me#/id"]}})

    sent = profile_request(provider.profile.requests[0], "a&b", {})

    assert sent.url == "https://acme.example/me?v=1&key=a%26b"
    assert "authorization" not in dict(sent.headers)


def test_a_lifetime_that_must_be_asked_for_is_asked_for():
    """Zendesk: `expires_in` in both token calls."""
    provider = own(code_params={"expires_in": "1800"}, refresh_params={"expires_in": "1800"})
    us = credentials(provider)

    assert form(code_request(provider, us, code="c", redirect_uri=CALLBACK))["expires_in"] == "1800"
    assert form(refresh_request(provider, us, refresh_token="r"))["expires_in"] == "1800"


def test_optional_scopes_travel_in_their_own_parameter():
    """HubSpot."""
    assert scope_parameters(record("hubspot"), ("oauth", "optional:tickets", "crm.lists.read")) == {
        "scope": "oauth crm.lists.read",
        "optional_scope": "tickets",
    }


@pytest.mark.parametrize(
    "url",
    [
        "https://{metadata#/host}/me",
        "https://{metadata#/host}.acme.example/me",
        "https://api.acme.example{metadata#/path}",
        "https://{token}.acme.example/",
        "{metadata#/url}/me",
    ],
)
def test_o06_an_answer_never_chooses_the_host_that_gets_the_token(url):
    """A place stands behind the host."""
    with pytest.raises(InvalidProviderRecord):
        own(profile={"requests": [{"name": "me", "url": url}], "map": {"provider_user_id": ["me#/id"]}})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("profile", {"requests": [{"name": "metadata", "url": "https://acme.example/"}]}),
        ("profile", {"requests": [{"name": "a", "url": "https://acme.example/{b#/c}"}]}),
        ("profile", {"requests": [{"name": "a", "url": "https://acme.example/", "body": "{}"}]}),
        ("profile", {"requests": [{"name": "a", "url": "https://acme.example/", "method": "POST", "body": "{"}]}),
        ("profile", {"avatar": {"kind": "computed"}}),
        ("profile", {"avatar": {"kind": "computed", "template": "https://cdn.example/{nobody#/id}"}}),
        ("revocation", {"tokens": ["bot"]}),
        ("revocation", {"success_pointer": "ok"}),
        ("token_response", {"tokens": [{"scope_prefix": "user:"}]}),
        ("token_response", {"more_error_pointers": ["code"]}),
        ("oauth1", {"request_token_endpoint": "https://acme.example/request"}),
        ("authorization_params", {"user_scope": "x"}),
        ("registration_url", "javascript:alert(1)"),
    ],
)
def test_new_fields_are_checked_like_the_old(field, value):
    """The message names the field."""
    more = (
        {"scope": {"extra": [{"parameter": "user_scope", "prefix": "u:"}]}} if field == "authorization_params" else {}
    )
    with pytest.raises(InvalidProviderRecord) as caught:
        own(**{field: value}, **more)
    assert caught.value.extensions["field"].startswith(field)


def test_oauth_1_is_a_protocol_with_a_rule():
    """One does not go without the other, and signs nobody in."""
    rule = {"request_token_endpoint": "https://acme.example/request"}
    assert own(protocol="oauth1", oauth1=rule).oauth1.signature_method == "HMAC-SHA1"
    with pytest.raises(InvalidProviderRecord):
        own(protocol="oauth1")
    with pytest.raises(InvalidProviderRecord):
        own(protocol="oauth1", oauth1=rule, signin_scopes=["a"])
