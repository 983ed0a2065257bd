"""The operator's command, over the real stores in memory."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cli.main import cli
from cli.stack import OUTPUTS, Stack
from grantkeeper.api_key_format import parse_api_key
from tests.doubles.aws import memory_wiring
from tests.infrastructure.template import source


@pytest.fixture
def wiring():
    return memory_wiring(LOCAL_RUN="1")


@pytest.fixture
def run(wiring, monkeypatch):
    monkeypatch.setattr(Stack, "wiring", wiring)
    monkeypatch.setattr(Stack, "environment", lambda _: dict(wiring.env))

    def invoke(*arguments, given=None):
        return CliRunner(mix_stderr=False).invoke(cli, arguments, input=given)

    return invoke


def test_the_wiring_of_the_command_writes_as_the_functions_do(monkeypatch):
    """Secrets under the stack's own key, entries for as long as the stack keeps them."""
    outputs = dict.fromkeys(OUTPUTS, "x") | {"TableKeyArn": "arn:table-key", "AuditRetentionDays": "30"}
    monkeypatch.setattr(Stack, "outputs", lambda *_: outputs)

    environment = Stack("stack").environment()

    assert environment["TABLE_KEY_ARN"] == "arn:table-key"
    assert environment["AUDIT_RETENTION_DAYS"] == "30"
    assert set(OUTPUTS) <= set(source()["Outputs"])


def test_the_first_admin_key_is_made_with_aws_credentials(run, wiring):
    """Shown once; stored is its hash; audited."""
    shown = json.loads(run("api-keys", "create", "--name", "first", "--json").stdout)

    text = parse_api_key(shown["api_key"])
    stored = wiring.api_keys.get(text.key_id)
    assert stored.secret_hash == text.secret_hash
    assert stored.client_id is None
    assert "connections:token" not in stored.scopes
    assert shown["api_key"] not in str(wiring.aws.dynamodb.dump("grants"))
    assert any(row["action"]["S"] == "api_key.created" for row in wiring.aws.dynamodb.dump("audit"))


def test_k14_an_operators_key_never_reads_tokens(run):
    """Admins never read tokens."""
    answer = run("api-keys", "create", "--name", "x", "--scope", "connections:token")

    assert answer.exit_code == 1
    assert "may not carry connections:token" in answer.stderr


def test_k08_a_revoked_key_is_stored_as_revoked(run, wiring):
    """And listed so."""
    shown = json.loads(run("api-keys", "create", "--name", "x", "--json").stdout)

    assert run("api-keys", "revoke", shown["key_id"]).exit_code == 0

    assert wiring.api_keys.get(shown["key_id"]).status == "revoked"
    assert json.loads(run("api-keys", "list", "--json").stdout)[0]["status"] == "revoked"


def test_a_confidential_client_is_shown_its_secret_once(run, wiring):
    """Stored is its digest."""
    shown = json.loads(
        run(
            "clients", "register", "--name", "Web", "--redirect-uri", "https://a.example/cb", "--confidential", "--json"
        ).stdout
    )

    client = wiring.clients.get(shown["client_id"])
    assert client.confidential
    assert shown["client_secret"] not in str(wiring.aws.dynamodb.dump("grants"))
    assert json.loads(run("clients", "list", "--json").stdout)[0]["client_id"] == client.client_id


def test_a_client_says_which_apis_its_tokens_are_for_and_where_a_sign_out_ends(run, wiring):
    """What a single-page application with a backend needs; both exact."""
    at = "https://a.example"
    texts = (
        "--redirect-uri",
        f"{at}/cb",
        "--resource",
        "https://api.a.example",
        "--post-logout-redirect-uri",
        f"{at}/",
    )
    shown = json.loads(run("clients", "register", "--name", "Spa", *texts, "--json").stdout)

    client = wiring.clients.get(shown["client_id"])
    assert (client.resources, client.post_logout_redirect_uris) == (("https://api.a.example",), (f"{at}/",))


def test_a_public_client_may_not_read_tokens(run):
    """Design section 3."""
    answer = run(
        "clients", "register", "--name", "Spa", "--redirect-uri", "https://a.example/cb", "--scope", "connections:token"
    )

    assert answer.exit_code == 1
    assert "never issued to a public client" in answer.stderr


def test_a_provider_gets_credentials_and_the_old_ones_stay_live(run, wiring):
    """So a secret rotates without an outage; it comes by standard input, never as an argument."""
    for number in (1, 2):
        answer = run(
            "providers",
            "configure",
            "google",
            "--client-id",
            f"id-{number}",
            "--client-secret-stdin",
            given=f"secret-{number}\n",
        )
        assert answer.exit_code == 0, answer.output

    from grantkeeper.stores.providers import DynamoProviders

    fresh = DynamoProviders(wiring.aws.dynamodb, "grants", "audit").registrations()["google"]
    assert {entry["client_id"] for entry in fresh} >= {"id-2"}
    assert max(wiring.aws.ssm.parameters.values()) == "secret-2"
    assert "secret-" not in str(wiring.aws.dynamodb.dump("grants"))


def test_f28_a_new_registration_is_not_blamed_for_the_old_one(run, wiring):
    """What was refused is forgotten at once, for every provider that the registration serves."""
    for provider in ("slack", "slack-signin", "google"):
        wiring.breakers.record_refusal(provider, error="invalid_client", now=1)

    answer = run("providers", "configure", "slack-signin", "--client-id", "new", "--client-secret-stdin", given="s")

    assert answer.exit_code == 0, answer.output
    assert not wiring.breakers.misconfigured("slack")
    assert not wiring.breakers.misconfigured("slack-signin")
    assert wiring.breakers.misconfigured("google")


def test_an_unknown_provider_is_told_in_a_sentence(run):
    """No stack trace."""
    answer = run("providers", "configure", "nobody", "--client-id", "x", "--client-secret-stdin", given="y")

    assert answer.exit_code == 1
    assert type(answer.exception).__name__ in ("UnknownProvider", "SystemExit")


def test_init_makes_the_keys_and_repeating_it_changes_nothing(run, wiring):
    """Both signing algorithms."""
    assert "Keys made" in run("init").output
    assert "already" in run("init").output
    assert {key.alg for key in wiring.signing_keys.public()} == {"ES256", "RS256"}


def test_the_command_runs_from_a_checkout():
    """Without any package installed and from any folder."""
    import subprocess
    import sys
    from pathlib import Path

    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-m", "cli", "--help"], cwd=root, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "api-keys" in done.stdout


def test_a_client_is_disabled_and_let_in_again(run, wiring):
    """With all it had; in the trail both times; an unknown one is told."""
    made = json.loads(
        run("clients", "register", "--name", "Web", "--redirect-uri", "https://a.example/cb", "--json").stdout
    )
    client_id = made["client_id"]
    before = wiring.clients.get(client_id)

    assert json.loads(run("clients", "disable", client_id, "--json").stdout) == {
        "client_id": client_id, "status": "disabled",
    }  # fmt: skip
    assert wiring.clients.get(client_id).status == "disabled"
    assert run("clients", "enable", client_id).stdout == f"{client_id} is active.\n"

    assert wiring.clients.get(client_id) == before
    actions = {row["action"]["S"] for row in wiring.aws.dynamodb.dump("audit")}
    assert {"client.disabled", "client.enabled"} <= actions
    assert run("clients", "disable", "cli_nobody").exit_code == 1
