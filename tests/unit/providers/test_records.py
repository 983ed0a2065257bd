"""Every built-in record, held to the same rules."""

import subprocess
import sys
from datetime import date
from urllib.parse import urlsplit

import pytest

from grantkeeper.oauth.failure import failure
from grantkeeper.oauth.scopes import normalise_scopes
from grantkeeper.ports import HttpResponse
from grantkeeper.providers.catalog import BUILT_IN, BUILT_IN_SERVICES, Catalog
from grantkeeper.providers.record import DEFAULT_ERRORS
from grantkeeper.providers.validate import check_record

ALL = Catalog(allow_private_addresses=True).all()
DEPLOYED = Catalog().all()
each = pytest.mark.parametrize("provider", ALL, ids=lambda provider: provider.id)


def test_the_catalog_has_the_promised_providers():
    """Ids are stable: they are in callback URLs and in stored connections."""
    assert [provider.id for provider in ALL] == ["demo", "github", "github-app", "google", "microsoft"]


@each
def test_a_record_passes_its_own_checks(provider):
    """The rules for a deployment's records hold for ours."""
    check_record(provider, allow_private_addresses=provider.allow_private_addresses)


@pytest.mark.parametrize("provider", DEPLOYED, ids=lambda provider: provider.id)
def test_every_endpoint_of_a_deployed_record_is_https(provider):
    """No secret travels in clear."""
    urls = [getattr(provider, name) for name in dir(provider) if name.endswith(("_endpoint", "_uri"))]

    assert {urlsplit(url).scheme for url in urls if url} == {"https"}


def test_the_demo_provider_exists_on_a_local_run_only():
    """Anybody may sign in there as anybody."""
    assert "demo" not in {provider.id for provider in DEPLOYED}


@each
def test_every_record_names_its_sources(provider):
    """A fact without a source is a rumour; the check date is a real one, not in the future of the last review."""
    assert provider.sources
    for source in provider.sources:
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
    assert set(BUILT_IN_SERVICES.values()) == set(BUILT_IN)


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
        asked = (*service.base_scopes, *service.access[service.default_access], *service.offline_scopes)
        separator = provider.scope.response_separator or provider.scope.separator
        told = separator.join(scope for scope in asked if scope not in provider.scope.never_returned)

        assert normalise_scopes(provider, told, asked) == asked


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
