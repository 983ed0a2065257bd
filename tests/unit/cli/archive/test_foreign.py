"""Connections from Nango and from CSV: good rows are imported and work, bad ones are told without what is in them."""

from __future__ import annotations

import json

import pytest

from grantkeeper.model import Binding, Identity
from grantkeeper.oauth.token_response import token_set
from grantkeeper.stores.identity_item import link_writes
from grantkeeper.stores.table import Table
from tests.doubles.connect_world import SERVICE
from tests.doubles.two_stacks import new_stack

HOUR = 3600
SECRET = "SECRET-that-nobody-shows"


@pytest.fixture
def there(stacks):
    """The source world alone: an own stack, its provider known to it, and tokens of that provider made elsewhere."""
    stacks.answer = lambda: stacks.world.provider.grant("openid files.read offline_access")
    return stacks


def imported(stacks, *options, ok=True):
    done = stacks.run("source", "import", str(stacks.file), "--client", "app", "--json", *options, ok=ok)
    return json.loads(done.stdout) if ok else done.stderr


def from_csv(stacks, *lines, options=("--source-is-gone",), ok=True):
    stacks.file.write_text("\n".join(lines) + "\n")
    return imported(stacks, "--from", "csv", *options, ok=ok)


def from_nango(stacks, *connections, options=("--source-is-gone",), form="list"):
    told = {
        "list": json.dumps(list(connections)),
        "wrapped": json.dumps({"connections": list(connections)}, indent=2),
        "lines": "".join(json.dumps(each) + "\n" for each in connections),
    }[form]
    stacks.file.write_text(told)
    return imported(stacks, "--from", "nango", *options)


def nango(answer, **changes):
    """As Nango's API answers `GET /connections/{id}`."""
    return {
        "id": 7, "connection_id": "3f5c", "provider_config_key": SERVICE, "provider": "example", "errors": [],
        "end_user": {"id": "customer-1", "email": "c@example.com", "display_name": None, "organization": None},
        "tags": {}, "metadata": {}, "connection_config": {},
        "created_at": "2026-05-01T10:00:00.000Z", "updated_at": "2026-05-01T10:00:00.000Z",
        "credentials": {
            "type": "OAUTH2", "access_token": answer["access_token"], "refresh_token": answer["refresh_token"],
            "expires_at": "2027-01-15T09:00:00.000Z", "raw": answer,
        },
        **changes,
    }  # fmt: skip


def only(stacks, user_id):
    """The connection of a user as the client calls him."""
    sub = stacks.source.users.find("client:app", user_id).sub
    (connection,) = stacks.source.connections.list_for_user(sub)
    return connection


def tokens(stacks, connection):
    grant = stacks.source.grants.get(connection.id)
    plain = stacks.source.vault.open(grant.sealed, binding=Binding.of(grant))
    return token_set(plain, provider=stacks.source.catalog.get(grant.provider))


@pytest.mark.parametrize("form", ["list", "wrapped", "lines"])
def test_a_connection_of_nango_is_active_and_refreshes(there, form):
    """Under the client's own user id, with the client's consent, and whose account it is asked of the provider."""
    answer = there.answer()

    done = from_nango(there, nango(answer), form=form)

    assert (done["row.imported"], done["notes"]) == (1, [])
    connection = only(there, "customer-1")
    assert (connection.status, connection.service, connection.client_id) == ("active", SERVICE, "app")
    assert connection.account_id == there.world.provider.accounts()[-1].subject
    assert connection.scopes == ("openid", "files.read", "offline_access")
    assert there.source.connections.has_consent(connection.sub, "app", connection.id)
    assert tokens(there, connection).access_token == answer["access_token"]
    grant = there.source.grants.get(connection.id)
    assert grant.expires_at == 1_800_003_600
    assert grant.due_at < grant.expires_at
    there.world.now += HOUR
    assert there.refresh(there.source, connection.id).generation == 2
    actions = [event.action for event in there.source.audit.for_user(connection.sub, limit=9)[0]]
    assert sorted(actions) == ["connection.activated", "user.provisioned"]


@pytest.mark.parametrize(("rule", "second"), [("stacks", "refused"), ("lasting", "imported")])
def test_one_refresh_token_in_two_rows_is_one_connection(request, rule, second):
    """Two that replace it at every use end the grant for each other; where it lasts, each may have it."""
    stacks = request.getfixturevalue(rule)
    answer = stacks.world.provider.grant("openid files.read offline_access")
    row = f"{SERVICE},{answer['access_token']},{answer['refresh_token']},acc"

    done = from_csv(stacks, "service,access_token,refresh_token,account_id,user_id", f"{row},u1", f"{row},u2")

    assert done["row.imported"] == (1 if second == "refused" else 2)
    assert [note["id"] for note in done["notes"]] == (["3"] if second == "refused" else [])
    assert only(stacks, "u1").status == "active"
    stacks.world.now += HOUR
    assert stacks.refresh(stacks.source, only(stacks, "u1").id).generation == 2


def test_a_row_of_csv_says_whose_account_it_is(there):
    """Then nobody is asked; a service may have another name there, and the columns come in any order."""
    answer = there.answer()
    mapping = there.folder / "mapping.json"
    mapping.write_text(json.dumps({"files-old": SERVICE}))
    calls = len(there.world.provider.requests)

    done = from_csv(
        there,
        "service,user_id,refresh_token,access_token,expires_at,account_id,label,scopes",
        f"files-old,u1,{answer['refresh_token']},{answer['access_token']},1800003600,acc-1,Work,files.read openid",
        options=("--source-is-gone", "--mapping", str(mapping), "--no-probe"),
    )

    assert done["row.imported"] == 1
    connection = only(there, "u1")
    assert (connection.account_id, connection.label, connection.scopes) == ("acc-1", "Work", ("files.read", "openid"))
    assert len(there.world.provider.requests) == calls


def test_bad_rows_are_told_by_line_and_reason_and_the_others_come(there):
    """And nothing that stands in a row is ever shown: it may be a token in the wrong column."""
    good = there.answer()["access_token"]

    done = from_csv(
        there,
        "user_id,service,access_token,refresh_token,expires_at,scopes,account_id,oauth_client_id",
        f"u1,{SERVICE},{good},,,,acc-1,",
        f"u2,{SECRET},{SECRET},,,,acc,",
        f",{SERVICE},{SECRET},,,,acc,",
        f"u4,{SERVICE},,{SECRET},,,acc,",
        f"u5,{SERVICE},{SECRET},,{SECRET},,acc,",
        f"u6,{SERVICE},{SECRET},,,,,",
        f"u7,{SERVICE},{SECRET},,,,acc,{SECRET}",
        f"u8,{SERVICE},{SECRET}",
        f"u9,{SERVICE},{SECRET},,,,acc,,{SECRET}",
        f"u10,trello-oauth1,{SECRET},,,,acc,",
        f"u11,slack,{SECRET},,,,acc,",
        f"u12,{SERVICE},{good},,,,acc-2,",
    )

    assert (done["row.imported"], done["row.refused"]) == (2, 10)
    assert [note["id"] for note in done["notes"]] == [str(line) for line in range(3, 13)]
    reasons = [note["note"] for note in done["notes"]]
    for at, words in enumerate((
        "service is not known", "user_id is empty", "access_token is empty", "expires_at", "whose its token is",
        "no credentials", "as many cells", "as many cells", "OAuth 1.0a", "do not stand",
    )):  # fmt: skip
        assert words in reasons[at]
    assert SECRET not in json.dumps(done)
    assert SECRET not in repr(there.source.aws.dynamodb.dump("grants"))
    assert SECRET not in repr(there.source.aws.dynamodb.dump("audit"))
    assert there.source.users.find("client:app", "u6") is None


def test_a_column_that_is_not_known_is_refused_before_the_first_row(there):
    """By its number: its name may be a token, in a file without a header."""
    told = from_csv(there, f"user_id,service,access_token,{SECRET}", "u,s,t,x", ok=False)

    assert "Column 4" in told
    assert SECRET not in told
    assert "lacks the column user_id" in from_csv(there, "a,b", ok=False)


def test_the_source_has_to_be_stopped_first(there):
    """Two that spend one refresh token end the grant for both; only a dry run goes without the word."""
    line = f"u1,{SERVICE},{there.answer()['access_token']},acc"

    told = from_csv(there, "user_id,service,access_token,account_id", line, options=(), ok=False)
    foreseen = from_csv(there, "user_id,service,access_token,account_id", line, options=("--dry-run",))

    assert "--source-is-gone" in told
    assert foreseen["row.imported"] == 1
    assert there.source.users.find("client:app", "u1") is None


def test_the_same_file_again_adds_nothing(there):
    """Also one with rows that were refused: those are tried again, since what stood in the way may be gone."""
    answer = there.answer()
    lines = (
        "user_id,service,access_token,account_id",
        f"u1,{SERVICE},{answer['access_token']},acc",
        f"u2,other,{answer['access_token']},acc",
    )
    first = from_csv(there, *lines)
    before = there.source.aws.dynamodb.dump("audit")
    mapping = there.folder / "mapping.json"
    mapping.write_text(json.dumps({"other": SERVICE}))

    again = from_csv(there, *lines, options=("--source-is-gone", "--mapping", str(mapping)))

    assert (first["row.imported"], first["row.refused"]) == (1, 1)
    assert again["row.imported"] == 2
    assert len(there.source.aws.dynamodb.dump("audit")) == len(before) + 3  # the connection's stands in two places
    third = from_csv(there, *lines, options=("--source-is-gone", "--mapping", str(mapping)))
    assert third["row.imported"] == 2
    assert len(there.source.aws.dynamodb.dump("audit")) == len(before) + 3


def test_an_account_is_connected_once(there):
    """A user who has the account here already keeps what he has."""
    answer = there.answer()
    header = "user_id,service,access_token,account_id"
    from_csv(there, header, f"u1,{SERVICE},{answer['access_token']},acc")
    first = only(there, "u1")
    there.world.add_client("second")
    sub = first.sub
    identity = Identity("client:second", "theirs", sub, "client:second", there.world.now)
    table = Table(there.source.aws.dynamodb, "grants")
    table.transact(link_writes(table, identity))
    there.file.write_text(f"{header}\ntheirs,{SERVICE},{answer['access_token']},acc\n")
    done = there.run(
        "source", "import", str(there.file), "--client", "second", "--json", "--from", "csv", "--source-is-gone"
    )

    (note,) = json.loads(done.stdout)["notes"]
    assert note["note"] == "the user has a connection for this account here"
    assert only(there, "u1") == first


def test_what_nango_has_no_end_user_for(there):
    """Its older connections name the user by connection_id: only the operator knows."""
    plain = nango(there.answer(), end_user=None)
    tagged = nango(there.answer(), end_user=None, tags={"end_user_id": "customer-2"})

    first = from_nango(there, plain, tagged)
    second = from_nango(there, plain, tagged, options=("--source-is-gone", "--connection-id-is-user"))

    assert [note["note"] for note in first["notes"]] == ["it names no end user"]
    assert only(there, "customer-2").status == "active"
    assert (second["row.imported"], second["notes"]) == (2, [])
    assert only(there, "3f5c").status == "active"


def test_odd_connections_of_nango_are_told(there):
    """Other credentials, none, no JSON: each by its place."""
    basic = nango(there.answer(), credentials={"type": "BASIC", "username": "u", "password": SECRET})
    without = nango(there.answer())
    del without["credentials"]["access_token"]

    done = from_nango(there, basic, without, {}, [SECRET], nango(there.answer()), form="list")

    assert done["row.imported"] == 1
    assert [note["id"] for note in done["notes"]] == ["1", "2", "3", "4"]
    assert SECRET not in json.dumps(done)


def test_an_api_key_of_nango_becomes_the_users_own_key(there):
    """Named by its connection, as the user's own keys are named by their label."""
    key = nango(
        there.answer(), provider_config_key="example-keys", connection_id="main key",
        credentials={"type": "API_KEY", "apiKey": "the-key"},
    )  # fmt: skip

    assert from_nango(there, key)["row.imported"] == 1

    connection = only(there, "customer-1")
    assert (connection.kind, connection.label, connection.account_id) == ("api_key", "main key", "label:main key")
    grant = there.source.grants.get(connection.id)
    assert tokens(there, connection).access_token == "the-key"
    assert (grant.refreshable, grant.due_at) == (False, None)


def test_a_token_that_is_over_is_taken_by_its_refresh_token(there):
    """Due at once; its account has to be named, since nobody can be asked with it."""
    answer = there.answer()
    header = "user_id,service,access_token,refresh_token,expires_at,account_id"

    from_csv(there, header, f"u1,{SERVICE},old,{answer['refresh_token']},2027-01-15T07:00:00Z,acc")

    connection = only(there, "u1")
    assert there.source.grants.get(connection.id).due_at < there.world.now + 600
    there.world.now += 120
    assert there.refresh(there.source, connection.id).generation == 2


def test_a_client_has_to_be_there(there, monkeypatch):
    """Whose user ids would they be?"""
    there.file.write_text("user_id,service,access_token\n")

    done = there.run("source", "import", str(there.file), "--from", "csv", "--source-is-gone", ok=False)
    assert "--client" in (done.stderr + str(done.exception))
    assert new_stack(None).clients.get("app") is None
