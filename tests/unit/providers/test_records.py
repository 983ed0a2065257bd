"""Every built-in record, held to the same rules."""

import json
import subprocess
import sys
from dataclasses import asdict
from datetime import date
from urllib.parse import urlsplit

import pytest

from grantkeeper.model import HttpResponse
from grantkeeper.oauth.endpoints import ENDPOINT_FIELDS
from grantkeeper.oauth.failure import failure
from grantkeeper.oauth.scopes import normalise_scopes
from grantkeeper.providers.catalog import BUILT_IN, BUILT_IN_SERVICES, BUILT_IN_SIGNIN, Catalog
from grantkeeper.providers.load import load_record
from grantkeeper.providers.record import DEFAULT_ERRORS
from grantkeeper.providers.validate import check_record
from grantkeeper.services.open_connect_session import resolve_scopes

ALL = Catalog(allow_private_addresses=True).all()
DEPLOYED = Catalog().all()
each = pytest.mark.parametrize("provider", ALL, ids=lambda provider: provider.id)


def test_the_catalog_has_the_promised_providers():
    """Ids are stable: they are in callback URLs and in stored connections."""
    assert [provider.id for provider in ALL] == [
        "asana", "atlassian", "box", "demo", "discord", "dropbox", "figma", "github", "github-app", "gitlab", "google",
        "heygen", "hubspot", "linear", "linkedin", "microsoft", "notion", "salesforce", "slack", "slack-signin",
        "spotify", "trello", "trello-oauth1", "x", "zoom",
    ]  # fmt: skip


@each
def test_a_record_passes_its_own_checks(provider):
    """The rules for a deployment's records hold for ours."""
    check_record(provider, allow_private_addresses=provider.allow_private_addresses)


@pytest.mark.parametrize("provider", DEPLOYED, ids=lambda provider: provider.id)
def test_every_endpoint_of_a_deployed_record_is_https(provider):
    """No secret travels in clear."""
    urls = [getattr(provider, name) for name in ENDPOINT_FIELDS]
    urls += [provider.revocation.url_template, provider.revocation.manual_url, provider.registration_url]
    urls += [request.url for request in provider.profile.requests]

    assert {urlsplit(url).scheme for url in urls if url} == {"https"}


def test_the_demo_provider_exists_on_a_local_run_only():
    """Anybody may sign in there as anybody."""
    assert "demo" not in {provider.id for provider in DEPLOYED}


@each
def test_every_record_names_its_sources(provider):
    """A fact without a source is a rumour; the check date is a real one, not in the future of the last review."""
    assert provider.sources
    assert len({(source.url, source.status) for source in provider.sources}) == len(provider.sources)
    for source in provider.sources:
        assert source.note or provider.id == "openid"
        assert urlsplit(source.url).scheme == "https"
        assert date(2026, 11, 1) <= date.fromisoformat(source.checked) <= date(2026, 11, 30)


@each
def test_rotation_is_stated_consistently(provider):
    """The refresh protocol chooses its care by these fields."""
    rule = provider.refresh
    if rule.rotation == "none" and rule.supported != "never":
        assert rule.previous_refresh_token == "valid", "a token that is not replaced stays valid"
    if rule.previous_refresh_token == "grace":
        assert rule.grace_seconds > 0
    if rule.inactivity_days and rule.supported != "never":
        assert rule.keepalive_days
        assert rule.keepalive_days * 2 <= rule.inactivity_days, "one missed keep-alive must not lose the grant"


@each
def test_the_error_table_is_sane(provider):
    """Nothing declares a grant dead for an outage; every dead row has a reason the API can show."""
    for row in (*provider.errors, *DEFAULT_ERRORS):
        if row.outcome == "dead":
            assert row.error or row.body_text
            assert row.status not in (408, 429)
            assert row.status_class != 5
    for status in (408, 429, 500, 503):
        for row in provider.errors:
            answer = HttpResponse(status, {}, b'{"error":"%s"}' % (row.error or "").encode())
            assert failure(answer, provider=provider, now=0).kind in ("transient", "config", "user_action")
    dead = HttpResponse(400, {}, b'{"error":"invalid_grant"}')
    assert failure(dead, provider=provider, now=0).kind == "dead"


@each
def test_services_have_a_read_or_single_level_and_stable_ids(provider):
    """What a client may ask for is said by level, not by scope."""
    for service in provider.services:
        assert BUILT_IN_SERVICES[service.id] == provider.id
        assert service.default_access in service.access
        assert service.docs_url
        if provider.scope.parameter is not None:
            assert all(scopes for scopes in service.access.values())


def test_the_service_index_is_complete():
    """It stands in for importing every record."""
    assert set(BUILT_IN_SERVICES) == {service.id for provider in ALL for service in provider.services}
    assert set(BUILT_IN_SERVICES.values()) == set(BUILT_IN) - {"slack-signin"}, "which only signs users in"
    ids = [service.id for provider in ALL for service in provider.services]
    assert len(ids) == len(set(ids)), "a service id names one service"


def test_the_sign_in_index_is_complete():
    """The chooser reads it instead of every record."""
    assert {provider.id for provider in ALL if provider.signin_scopes} == BUILT_IN_SIGNIN
    assert [provider.id for provider in Catalog(allow_private_addresses=True).signin()] == sorted(BUILT_IN_SIGNIN)


@each
def test_sign_in_never_asks_for_offline_access(provider):
    """Sign-in keeps no provider tokens, and minting them would push stored grants out of the providers' caps."""
    assert "offline_access" not in provider.signin_scopes
    assert not {"access_type", "token_access_type"} & {
        name for name, _ in (*provider.signin_params, *provider.authorization_params)
    }
    assert "include_granted_scopes" not in {name for name, _ in provider.connect_params}


@each
def test_a_services_scopes_survive_the_answer(provider):
    """What is asked for and granted compares equal after normalising, in the provider's own spelling."""
    for service in provider.services:
        asked = resolve_scopes(service, access=None, scopes=None)
        separator = provider.scope.response_separator or provider.scope.separator
        told = separator.join(scope for scope in asked if scope not in provider.scope.never_returned)

        assert normalise_scopes(provider, told, asked) == asked


@each
def test_every_level_says_who_the_account_is(provider):
    """Base scopes hold the identity probe's: a connection without an account cannot be told from another."""
    for service in provider.services:
        assert set(service.base_scopes).isdisjoint(service.offline_scopes)
    rule = provider.profile
    if provider.protocol != "api_key" and provider.services:
        assert rule.id_template or rule.map.get("provider_user_id")
        assert rule.requests or provider.userinfo_endpoint or provider.jwks_uri


@each
def test_keys_and_tokens_that_cannot_be_withdrawn_by_us_say_where_users_do(provider):
    """`revocation.kind == none` leaves the user a page to go to."""
    assert provider.id == "demo" or provider.revocation.manual_url
    if provider.revocation.auth == "bearer":
        assert provider.revocation.token_hint == "access_token"
        assert provider.revocation.requires_live_access_token, "a token proves itself only while it lives"


@pytest.mark.parametrize("provider", DEPLOYED, ids=lambda provider: provider.id)
def test_an_operator_is_told_where_to_register(provider):
    """The page of the provider's developer console."""
    assert provider.registration_url


@each
def test_redirect_rules_leave_a_way_to_register_us(provider):
    """Our callback has no query, so that alone is never forbidden to us."""
    rule = provider.redirect_uris
    assert {rule.localhost, rule.loopback_ip, rule.query} <= {"allowed", "forbidden"}


def test_redirect_rules_that_people_trip_over():
    """Spotify takes no localhost, Microsoft no 127.0.0.1, Slack neither."""
    rules = {provider.id: provider.redirect_uris for provider in ALL}

    assert (rules["spotify"].localhost, rules["spotify"].loopback_ip) == ("forbidden", "allowed")
    assert (rules["microsoft"].localhost, rules["microsoft"].loopback_ip) == ("allowed", "forbidden")
    assert (rules["slack"].localhost, rules["slack"].loopback_ip) == ("forbidden", "forbidden")


@each
def test_a_record_survives_the_way_through_json(provider):
    """What an operator can write down is all there is: no field takes code."""
    mapping = json.loads(json.dumps(asdict(provider)))

    loaded = load_record(provider.id, mapping, allow_private_addresses=provider.allow_private_addresses)

    assert loaded == provider


def test_googles_and_microsofts_spellings_are_understood():
    """Google spells `email` out; Microsoft qualifies and recases."""
    google, microsoft = Catalog().get("google"), Catalog().get("microsoft")

    assert normalise_scopes(
        google,
        "openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile",
        ("openid", "email", "profile"),
    ) == ("openid", "email", "profile")
    assert normalise_scopes(
        microsoft, "https://graph.microsoft.com/mail.read openid", ("openid", "Mail.Read", "offline_access")
    ) == ("openid", "Mail.Read", "offline_access")


def test_records_are_imported_one_by_one():
    """A refresh of a Google grant reads Google's record and no other, and no JSON schema machinery."""
    code = (
        "import sys\n"
        "from grantkeeper.providers.catalog import Catalog\n"
        "Catalog().service('gmail')\n"
        "print(sorted(m for m in sys.modules if m.startswith('grantkeeper.providers.')))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={
        "PYTHONPATH": "layers/common"
    })  # fmt: skip

    assert result.stdout.strip() == str([f"grantkeeper.providers.{name}" for name in ("catalog", "google", "record")])
