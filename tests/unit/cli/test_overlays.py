"""A deployment's own records: the worked examples of the documents, and what is told of a mistake."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import cli
from cli.overlays import OverlayError, checked, read_overlays
from cli.stack import Stack
from grantkeeper.model import HttpResponse
from grantkeeper.oauth.endpoints import resolve
from grantkeeper.oauth.issuers import is_issuer_of
from grantkeeper.providers.catalog import Catalog
from tests.doubles.aws import memory_wiring
from tests.doubles.deployment import trail

DOCUMENTS = Path(__file__).parents[3] / "docs" / "providers"
EXAMPLES = DOCUMENTS / "examples"
TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
OTHER_TENANT = "00000000-0000-0000-0000-000000000001"
ACME = "https://id.acme.example/realms/staff"
SERVICE = {"id": "wiki", "display_name": "Wiki", "access": {"read": ["wiki:read"]}}


class Issuer:
    """An OpenID provider's discovery document."""

    def __init__(self, host="id.acme.example"):
        self.host, self.urls = host, []

    def send(self, request, *, budget=8.0):
        self.urls.append(request.url)
        document = {
            "issuer": ACME,
            "authorization_endpoint": f"https://{self.host}/realms/staff/auth",
            "token_endpoint": f"https://{self.host}/realms/staff/token",
            "jwks_uri": f"https://{self.host}/realms/staff/certs",
            "userinfo_endpoint": f"https://{self.host}/realms/staff/userinfo",
            "revocation_endpoint": f"https://{self.host}/realms/staff/revoke",
            "code_challenge_methods_supported": ["plain", "S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        }
        return HttpResponse(200, {}, json.dumps(document).encode())


def example(name, *, http=None):
    (overlay,) = read_overlays(EXAMPLES / f"{name}.yaml")
    fields, provider = checked(overlay, http=http, overrides={}, allow_private_addresses=False)
    stored = Catalog({overlay.provider_id: json.loads(json.dumps(fields))}).get(overlay.provider_id)
    assert stored == provider
    return provider


def check_all(path):
    for overlay in read_overlays(path):
        checked(overlay, http=None, overrides={}, allow_private_addresses=False)


def hosts(provider):
    return set(re.findall(r"https://([a-z0-9.-]+)", repr(resolve(provider)).partition("sources=")[0]))


# --- the examples ---


def test_every_example_is_one_that_is_loaded_here():
    """And the document names each."""
    names = {path.name for path in EXAMPLES.iterdir()}

    assert names == {"github-enterprise.yaml", "single-tenant.yaml", "sovereign-cloud.yaml", "in-house-openid.yaml"}
    assert set(re.findall(r"examples/([\w.-]+)", (DOCUMENTS / "overlays.md").read_text())) == names


def test_github_enterprise_is_githubs_record_at_another_host():
    """Nothing goes to github.com but what a person reads."""
    provider = example("github-enterprise")

    assert "github.com" not in " ".join(hosts(provider) - {"docs.github.com"})
    assert provider.profile.map["provider_user_id"] == ("user#/id",)
    assert (provider.revocation.method, provider.revocation.effect) == ("DELETE", "token")
    assert provider.scope.response_separator == ","
    assert provider.service("github-enterprise").access["write"] == ("repo", "read:org")


def test_a_single_tenant_takes_nobody_elses_token():
    """Neither in the address of the consent page nor by an ID token of another tenant."""
    provider = example("single-tenant")

    assert f"/{TENANT}/oauth2/v2.0/authorize" in resolve(provider).authorization_endpoint
    with pytest.raises(Exception, match="malformed"):
        resolve(provider, {"tenant": "common"})
    for tenant, known in ((TENANT, True), (OTHER_TENANT, False)):
        issuer = f"https://login.microsoftonline.com/{tenant}/v2.0"
        assert is_issuer_of(provider, issuer, {"tid": tenant}) is known
    assert {service.id for service in provider.services} == {"outlook-mail", "outlook-calendar", "teams"}


def test_a_sovereign_cloud_sends_nothing_to_the_other_cloud():
    """Endpoints, profile and scopes; the dialect is the same."""
    provider = example("sovereign-cloud")

    assert hosts(provider) == {
        "login.microsoftonline.us",
        "graph.microsoft.us",
        "myapps.microsoft.us",
        "portal.azure.us",
    }
    issuer = f"https://login.microsoftonline.us/{TENANT}/v2.0"
    assert is_issuer_of(provider, issuer, {"tid": TENANT})
    assert not is_issuer_of(provider, issuer.replace(".us/", ".com/"), {"tid": TENANT})
    assert provider.profile.id_template == Catalog().get("microsoft").profile.id_template


def test_an_openid_provider_in_the_house_needs_its_issuer():
    """The rest is discovered once; its own word on addresses is taken because the record says so."""
    http = Issuer()
    provider = example("in-house-openid", http=http)

    assert http.urls == [f"{ACME}/.well-known/openid-configuration"]
    assert provider.token_endpoint == "https://id.acme.example/realms/staff/token"
    assert provider.revocation.kind == "rfc7009"
    assert provider.token_endpoint_auth_method == "client_secret_basic"
    assert provider.profile.email_verified_policy == "claim"
    assert provider.service("acme-id").display_name == "Acme"


# --- mistakes ---


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"acme": {"isuer": ACME}}, "acme: isuer: There is no such field."),
        ({"acme": {"issuer": ACME, "token_endpoint": "http://x.example/t"}}, "acme: authorization_endpoint: "),
        (
            {"google": {"token_endpoint": "https://10.0.0.1/t"}},
            "google: token_endpoint: A public host name is expected.",
        ),
        (
            {"google": {"token_endpoint": "https://localhost/t"}},
            "google: token_endpoint: A public host name is expected.",
        ),
        ({"google": {"token_endpoint": "http://x.example/t"}}, "google: token_endpoint: An https URL is expected."),
        ({"google": {"allow_private_addresses": True}}, "google: allow_private_addresses: Private addresses are for"),
        ({"google": {"refresh": {"rotation": "sometimes"}}}, "google: refresh.rotation: One of none, optional, always"),
        (
            {"google": {"services": [SERVICE | {"access": {"read": ["a b"]}}]}},
            "google: services[0].access.read: A scope",
        ),
        ({"google": {"base": "gogle"}}, "google: base: There is no such built-in record."),
        ({"google": ["x"]}, "google: The fields of a record are expected."),
        ({"google": {"credentials": {"client_id": 7}}}, "google: credentials: {client_id: …"),
        ({"google": {"credentials": {"secret": "s"}}}, "google: credentials.secret: There is no such field."),
        ({"google": {"credentials": {"client_secret": "s"}}}, "google: credentials.client_id: The field is missing."),
        (["google"], "Provider ids with the fields of their records are expected."),
    ],
)
def test_a_mistake_is_told_by_file_record_and_field(content, message, tmp_path):
    """And by what is expected there."""
    file = tmp_path / "acme.json"
    file.write_text(json.dumps(content))

    with pytest.raises(OverlayError) as caught:
        check_all(file)

    assert str(caught.value).startswith(f"{file}: {message}")


def test_a_value_that_only_yaml_has_is_told(tmp_path):
    """The table keeps what JSON has."""
    (tmp_path / "a.yaml").write_text("acme: {display_name: !!binary aGVsbG8=}")

    with pytest.raises(OverlayError, match=r"acme: A value of the record .* put it in quotes"):
        read_overlays(tmp_path)


def test_a_version_that_looks_like_a_day_is_a_text(tmp_path):
    """With and without quotes."""
    (tmp_path / "a.yaml").write_text("acme: {token_request_headers: {notion-version: 2025-09-03}}")

    (overlay,) = read_overlays(tmp_path)

    assert overlay.record["token_request_headers"] == {"notion-version": "2025-09-03"}


def test_two_files_with_one_record_are_a_mistake(tmp_path):
    """Which of them would count depends on their names."""
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("google: {display_name: G}")

    with pytest.raises(OverlayError, match=r"b\.yaml: google: .*a\.yaml has it too"):
        read_overlays(tmp_path)


# --- the command ---


@pytest.fixture
def wiring():
    wiring = memory_wiring(LOCAL_RUN="0")
    wiring.__dict__["provider_http"] = Issuer()
    return wiring


@pytest.fixture
def run(wiring, monkeypatch):
    monkeypatch.setattr(Stack, "wiring", wiring)
    monkeypatch.setattr(Stack, "environment", lambda _: dict(wiring.env))

    def invoke(*arguments):
        return CliRunner(mix_stderr=False).invoke(cli, ["providers", *map(str, arguments)])

    return invoke


def written(folder, **files):
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def test_a_folder_is_applied_as_a_whole(run, wiring, tmp_path):
    """Records to the table, secrets to SSM, both audited; where to register is told."""
    folder = written(
        tmp_path,
        acme={"acme-id": {"issuer": ACME, "credentials": {"client_id": "gk", "client_secret": "their secret"}}},
        wiki={"acme-wiki": {"base": "openid", "credentials_ref": "acme-id", "issuer": ACME, "services": [SERVICE]}},
    )

    answer = run("apply", folder, "--json")

    assert answer.exit_code == 0, answer.stderr
    rows = {row["provider"]: row for row in json.loads(answer.stdout)}
    assert rows["acme-id"]["redirect_uri"] == f"{wiring.issuer}/oauth2/callback/acme-id"
    assert (rows["acme-id"]["credentials"], rows["acme-wiki"]["credentials"]) == ("stored", "as they were")
    provider, service = wiring.catalog.service("wiki")
    assert (provider.id, service.id) == ("acme-wiki", "wiki")
    assert wiring.credentials.active(provider.credentials_id).client_secret == "their secret"
    assert "their secret" not in str(wiring.aws.dynamodb.dump("grants")) + answer.stdout
    assert sum(entry["action"] == "provider.configured" for entry in trail(wiring)) == 3


def test_applying_again_changes_no_credentials(run, wiring, tmp_path):
    """The folder can be applied by every deployment."""
    folder = written(tmp_path, a={"acme-id": {"issuer": ACME, "credentials": {"client_id": "c", "client_secret": "s"}}})
    run("apply", folder)
    before = wiring.provider_items.registrations()["acme-id"]

    assert run("apply", folder).exit_code == 0

    assert wiring.provider_items.registrations()["acme-id"] == before


def test_one_unsound_record_stores_none(run, wiring, tmp_path):
    """Neither those before it nor those after."""
    folder = written(tmp_path, a={"acme-id": {"issuer": ACME}}, b={"google": {"token_endpoint": "http://x.example/t"}})

    answer = run("apply", folder)

    assert answer.exit_code == 1
    assert "b.json: google: token_endpoint: An https URL is expected." in answer.stderr
    assert wiring.provider_items.overrides() == {}


@pytest.mark.parametrize("command", ["apply", "configure"])
def test_c86_an_endpoint_that_moved_is_not_taken_unasked(command, run, wiring, tmp_path):
    """Whoever takes the discovery document over gets no code by our next look at it."""
    folder = written(tmp_path, a={"acme-id": {"issuer": ACME}})
    asked = (folder,) if command == "apply" else ("acme-id", "--issuer", ACME)
    assert run(command, *asked).exit_code == 0
    wiring.__dict__["provider_http"] = Issuer("evil.example")

    answer = run(command, *asked)

    assert answer.exit_code == 1
    assert "https://evil.example/realms/staff" in answer.stderr
    assert "--accept-moved-endpoints" in answer.stderr
    assert wiring.catalog.get("acme-id").token_endpoint == "https://id.acme.example/realms/staff/token"
    assert run(command, *asked, "--accept-moved-endpoints").exit_code == 0
    assert wiring.catalog.get("acme-id").token_endpoint == "https://evil.example/realms/staff/token"


def test_a_local_stack_may_use_loopback_and_a_deployed_one_may_not(run, wiring, tmp_path):
    """The same file, told apart by where it is applied."""
    endpoints = {"authorization_endpoint": "http://127.0.0.1:9/a", "token_endpoint": "http://127.0.0.1:9/t"}
    folder = written(tmp_path, a={"mine": {"protocol": "oauth2", "services": [SERVICE], **endpoints}})

    refused = run("apply", folder)
    wiring.env["LOCAL_RUN"] = "1"
    taken = run("apply", folder)

    assert (refused.exit_code, taken.exit_code) == (1, 0)
    assert "a.json: mine: authorization_endpoint: An https URL is expected." in refused.stderr


def test_configure_names_file_record_and_field(run, tmp_path):
    """As `apply` does."""
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"refresh": {"rotation": "sometimes"}}))
    answer = run("configure", "google", "--record", file)
    assert answer.exit_code == 1
    assert f"{file}: google: refresh.rotation: One of none, optional, always is expected." in answer.stderr

    file.write_text("[]")
    assert f"{file}: The fields of a record are expected." in run("configure", "google", "--record", file).stderr


def test_configure_says_when_the_provider_will_not_redirect_here(run, wiring):
    """It is stored all the same: the deployment may get another address."""
    wiring.env["ISSUER"] = "http://localhost:8080"

    answer = run("configure", "spotify", "--enable", "--json")

    assert answer.exit_code == 0, answer.stderr
    assert json.loads(answer.stdout)["warning"].endswith("localhost over http is refused by the provider")
    wiring.env["ISSUER"] = "https://id.example.com"
    assert "warning" not in json.loads(run("configure", "spotify", "--enable", "--json").stdout)
