"""Connections from a CSV, and an archive of the whole stack: against the deployed one, its tables and its KMS."""

from __future__ import annotations

import json
import secrets

import pytest

from tests.e2e.conftest import eventually

pytestmark = pytest.mark.stack


def test_an_imported_connection_serves_its_token_and_goes_into_an_archive(grantkeeper, stack, api, tmp_path):
    """By the function that opens grants, under the client's own user id; counted, and in the archive for its key."""
    user, token = f"imported-{secrets.token_hex(4)}", f"token-{secrets.token_hex(8)}"
    rows, archive = tmp_path / "rows.csv", tmp_path / "archive.age"
    rows.write_text(f"user_id,service,access_token,account_id\n{user},demo,{token},{user}\n{user},unknown,x,y\n")
    client, key = stack.facts["client_id"], {"x-api-key": stack.facts["client_api_key"]}

    told = json.loads(
        grantkeeper(
            "import", str(rows), "--from", "csv", "--client", client, "--source-is-gone", "--no-probe", "--json"
        )
    )

    assert (told["row.imported"], told["row.refused"]) == (1, 1)
    (connection,) = api.get("/v1/connections", params={"user_id": user}, headers=key).json()["connections"]
    answer = api.get(f"/v1/connections/{connection['id']}/token", headers=key).json()
    assert (answer["access_token"], answer["generation"]) == (token, 1)
    operator = {"x-api-key": stack.facts["admin_api_key"]}
    found = f"/v1/admin/connections/{connection['id']}"
    eventually(lambda: api.get(found, headers=operator).json()["status"] == "active")

    passphrase = "correct horse battery staple\n"
    exported = json.loads(grantkeeper("export", str(archive), "--passphrase-stdin", "--json", given=passphrase))
    foreseen = json.loads(
        grantkeeper("import", str(archive), "--passphrase-stdin", "--dry-run", "--json", given=passphrase)
    )

    assert exported["connection"] >= 1
    assert token.encode() not in archive.read_bytes()
    assert foreseen["connection.there"] == exported["connection"]

    vault_key = stack.facts["outputs"]["VaultKeyArn"]
    for_kms = tmp_path / "kms.age"
    grantkeeper("export", str(for_kms), "--kms-key", vault_key, "--json")
    assert json.loads(grantkeeper("import", str(for_kms), "--kms-key", vault_key, "--dry-run", "--json"))["records"] > 1
