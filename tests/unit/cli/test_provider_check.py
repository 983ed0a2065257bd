"""`grantkeeper providers check`."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cli.main import cli
from cli.provider_check import check, redirect_refusal
from cli.stack import Stack
from grantkeeper.errors import ProviderUnavailable
from grantkeeper.model import HttpResponse
from grantkeeper.providers.catalog import BUILT_IN, Catalog
from tests.doubles.aws import memory_wiring
from tests.doubles.deployment import audit_event

GITLAB = {
    "issuer": "https://gitlab.com",
    "authorization_endpoint": "https://gitlab.com/oauth/authorize",
    "token_endpoint": "https://gitlab.com/oauth/token",
    "jwks_uri": "https://gitlab.com/oauth/discovery/keys",
    "userinfo_endpoint": "https://gitlab.com/oauth/userinfo",
    "id_token_signing_alg_values_supported": ["RS256"],
    "token_endpoint_auth_methods_supported": ["client_secret_post"],
}


class Metadata:
    """The issuer's discovery document, or no answer."""

    def __init__(self, document):
        self.document, self.urls = document, []

    def send(self, request, *, budget=8.0):
        self.urls.append(request.url)
        if self.document is None:
            raise ProviderUnavailable("down")
        return HttpResponse(200, {}, json.dumps(self.document).encode())


def checked(provider_id="gitlab", document=None, *, offline=False, our_issuer="https://id.example.com", **overrides):
    http = None if offline else Metadata(document)
    return check(provider_id, catalog=Catalog(overrides), http=http, our_issuer=our_issuer)


@pytest.fixture
def wiring():
    return memory_wiring(LOCAL_RUN="1", ISSUER="http://localhost:8080")


@pytest.fixture
def run(wiring, monkeypatch):
    monkeypatch.setattr(Stack, "wiring", wiring)

    def invoke(*arguments):
        return CliRunner(mix_stderr=False).invoke(cli, ["providers", "check", *arguments])

    return invoke


def test_a_record_that_agrees_with_discovery_is_fine():
    """Every endpoint the document has."""
    finding = checked(document=GITLAB)

    assert (finding.record, finding.discovery, finding.redirect, finding.wrong) == ("sound", "agrees", "https", False)
    assert finding.unverified == 1


def test_a_moved_endpoint_is_told():
    """With its new address; the operator decides (C-86)."""
    finding = checked(document=GITLAB | {"token_endpoint": "https://gitlab.com/oauth2/token"})

    assert (finding.discovery, finding.wrong) == ("token_endpoint: https://gitlab.com/oauth2/token", True)


def test_c85_another_issuers_document_is_wrong():
    """It names itself."""
    assert checked(document=GITLAB | {"issuer": "https://evil.example"}).wrong


def test_no_answer_is_no_contradiction():
    """A provider that is down, or has no document, is not a record gone wrong."""
    assert checked(document=None).discovery == "no answer"
    assert not checked(document=None).wrong
    assert checked(offline=True).discovery == "not asked"
    assert checked("notion", GITLAB).discovery == "no issuer"


def test_an_unsound_record_names_its_field():
    """The deployment's own."""
    finding = checked("acme", offline=True, acme={"issuer": "http://acme.example"})

    assert finding.wrong
    assert finding.record.startswith("authorization_endpoint")


@pytest.mark.parametrize(
    ("provider_id", "host", "wrong"),
    [("spotify", "localhost", True), ("spotify", "127.0.0.1", False), ("microsoft", "127.0.0.1", True),
     ("google", "localhost", False), ("slack", "localhost", True), ("heygen", "localhost", False)],
)  # fmt: skip
def test_a_local_redirect_uri_the_provider_refuses_is_told(provider_id, host, wrong):
    """Before anybody stands before its error page."""
    assert checked(provider_id, offline=True, our_issuer=f"http://{host}:8080").wrong is wrong


def test_the_shipped_records_are_checked_without_a_stack(run):
    """Offline: the schema alone."""
    answer = run("--offline", "--built-in", "--json")

    assert answer.exit_code == 0, answer.stderr
    rows = json.loads(answer.stdout)
    assert {row["provider"] for row in rows} == set(BUILT_IN) - {"demo"}
    assert {row["record"] for row in rows} == {"sound"}


def test_a_stacks_records_are_checked_with_its_own_on_top(run, wiring):
    """One broken record fails the command, and the others are shown all the same."""
    wiring.provider_items.put(
        "acme", record={"issuer": "http://acme.example"}, registrations=None, disabled=None, audit=audit_event("x")
    )

    answer = run("--offline", "--json")

    assert answer.exit_code == 1
    rows = {row["provider"]: row for row in json.loads(answer.stdout)}
    assert rows["acme"]["wrong"] == "wrong"
    assert rows["demo"]["record"] == "sound"
    assert rows["spotify"]["redirect"] == "localhost over http is refused by the provider"


def test_one_provider_is_shown_as_a_table(run):
    """For people."""
    answer = run("google", "--offline")

    assert answer.exit_code == 0
    assert "google" in answer.stdout
    assert "sound" in answer.stdout


def test_an_unknown_provider_is_told(run):
    """By the domain error's sentence."""
    assert run("nobody", "--offline").exit_code == 1


# http on this machine: (localhost, loopback address); https is taken by all of them. From each vendor's own rules.
TAKES = {
    "microsoft": (True, False),  # 127.0.0.1 by the application's manifest only
    "slack": (False, False),  # https alone
    "slack-signin": (False, False),
    "spotify": (False, True),  # no localhost since 2025-04
}


@pytest.mark.parametrize("provider_id", sorted(set(BUILT_IN) - {"demo"}))
def test_every_records_redirect_rule_is_told(provider_id):
    """Which callback URLs of ours its provider takes: in production all, on this machine by its own rule."""
    provider = Catalog().get(provider_id)
    localhost, loopback = TAKES.get(provider_id, (True, True))

    assert redirect_refusal(provider, "https://id.example.com") is None
    assert (redirect_refusal(provider, "http://localhost:8080") is None) is localhost
    assert (redirect_refusal(provider, "http://127.0.0.1:8080") is None) is loopback
    if provider.protocol != "api_key":
        assert redirect_refusal(provider, "http://id.example.com") == "http is for this machine alone"
        long = redirect_refusal(provider, f"https://{'long-label.' * 24}example.com")
        assert (long is not None) is (provider_id == "microsoft")
