"""A stack into an archive, and out of it into another stack: nothing lost, no grant killed, no token in clear."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace

import pytest

from cli.archive import import_command, journal
from cli.archive.exporter import Exporter
from cli.archive.ledger import Ledger
from cli.archive.tables import Tables
from grantkeeper.errors import Conflict, GrantUnreadable, ReauthorizationRequired, StoreUnavailable
from grantkeeper.model import ApiKey, Binding
from grantkeeper.services.change_user import By, give_role
from grantkeeper.services.dead_answer import usable
from grantkeeper.services.erase_user import erase_user
from grantkeeper.stores.connection_item import connection_item
from grantkeeper.stores.grant_item import grant_item
from tests.doubles.dynamodb_values import client_error
from tests.doubles.two_stacks import new_stack

HOUR = 3600


def tokens(wiring, connection_id):
    grant = wiring.grants.get(connection_id)
    return wiring.vault.open(grant.sealed, binding=Binding.of(grant))


def _refused(_exporter):
    raise StoreUnavailable("DynamoDB does not answer.")


def statuses(wiring, stacks):
    return [wiring.connections.get(each).status for each in stacks.connections]


def test_everything_arrives(lasting):
    """Users, identities, pictures, clients, keys, records, connections, consents and their history, and the tokens."""
    before = {each: tokens(lasting.source, each) for each in lasting.connections}

    exported = lasting.export()
    done = lasting.import_()

    assert (exported["user"], exported["connection"], exported["client"], exported["api_key"]) == (3, 3, 2, 1)
    assert exported["left_out"] == []
    assert {name: count for name, count in done.items() if "." in name} == {
        "api_key.imported": 1,
        "client.imported": 2,
        "connection.imported": 3,
        "provider.imported": 2,
        "user.imported": 3,
    }
    source, target = lasting.source, lasting.target
    for sub in ("usr_alice", "usr_bob", "usr_carol"):
        assert target.users.get(sub) == source.users.get(sub)
        assert target.users.identities(sub) == source.users.identities(sub)
        assert target.consents.list(sub) == source.consents.list(sub)
    assert target.avatars.of_user("usr_bob") == source.avatars.of_user("usr_bob")
    assert target.users.find("https://idp.example", "usr_bob").sub == "usr_bob"
    assert target.clients.list() == source.clients.list()
    assert target.api_keys.list() == source.api_keys.list()
    assert {each: tokens(target, each) for each in lasting.connections} == before
    assert statuses(target, lasting) == ["active"] * 3
    for connection_id in lasting.connections:
        assert target.grants.get(connection_id).generation == source.grants.get(connection_id).generation
        assert target.grants.get(connection_id).due_at is not None


def test_each_record_has_its_entry_in_the_trail(lasting):
    """The operator's, with the archive's id."""
    archive = lasting.export()["archive"]
    lasting.import_()

    events, _ = lasting.target.audit.for_user("usr_alice", limit=50)

    assert sorted(event.action for event in events) == ["connection.activated"] * 2 + ["user.provisioned"]
    assert {event.details["archive"] for event in events} == {archive}
    assert all(event.actor.startswith("operator:") for event in events)
    assert {event.details.get("from") for event in events} == {"none", None}


def test_sealed_sets_are_made_for_their_new_rows(lasting):
    """Neither opens in the other's place: another VaultKey, and another grant id in what they are bound to."""
    lasting.export()
    lasting.import_()
    here, there = (wiring.grants.get(lasting.connections[0]) for wiring in (lasting.source, lasting.target))

    assert here.grant_id != there.grant_id
    with pytest.raises(GrantUnreadable):
        lasting.target.vault.open(here.sealed, binding=Binding.of(here))
    with pytest.raises(GrantUnreadable):
        lasting.source.vault.open(there.sealed, binding=Binding.of(here))


def test_a_second_import_changes_nothing(lasting):
    """It finds the journal finished; and an archive of the same things finds them there."""
    lasting.export()
    first = lasting.import_()
    rows = lasting.target.aws.dynamodb.dump("grants"), lasting.target.aws.dynamodb.dump("audit")

    again = lasting.import_()

    assert {**again, "resumed_at": 0} == {**first, "resumed_at": 0}
    assert (lasting.target.aws.dynamodb.dump("grants"), lasting.target.aws.dynamodb.dump("audit")) == rows
    lasting.file.unlink()
    lasting.export()
    other = lasting.import_()
    assert {name: n for name, n in other.items() if "." in name} == {
        "api_key.there": 1, "client.there": 2, "connection.there": 3, "provider.there": 2, "user.there": 3,
    }  # fmt: skip
    assert lasting.target.aws.dynamodb.dump("audit") == rows[1]


# --- who may spend the refresh token ---


def test_a_copy_of_a_rotating_grant_is_parked_and_the_source_goes_on(stacks):
    """Two stacks that spend one refresh token kill the grant: so the copy spends nothing, and its user is asked."""
    stacks.export()
    done = stacks.import_()

    assert done["connection.parked"] == 3
    assert statuses(stacks.target, stacks) == ["needs_reauth"] * 3
    assert statuses(stacks.source, stacks) == ["active"] * 3
    grant = stacks.target.grants.get(stacks.connections[0])
    assert (grant.reason, grant.due_at) == ("spent_elsewhere", None)
    with pytest.raises(ReauthorizationRequired):
        usable(grant)
    stacks.world.now += HOUR
    assert stacks.refresh(stacks.source, stacks.connections[0]).generation == 2


def test_what_is_frozen_moves(stacks):
    """Refreshed in the new stack, and by nobody in the old one: not by the sweeper, not by a read."""
    exported = stacks.export("--freeze", "--with-provider-secrets")
    done = stacks.import_()

    assert (exported["frozen"], done["connection.imported"]) == (3, 3)
    assert statuses(stacks.source, stacks) == ["needs_reauth"] * 3
    assert statuses(stacks.target, stacks) == ["active"] * 3
    assert all(stacks.source.grants.get(each).due_at is None for each in stacks.connections)
    stacks.world.now += HOUR
    for connection_id in stacks.connections:
        with pytest.raises(ReauthorizationRequired):
            usable(stacks.source.grants.get(connection_id))
        assert stacks.refresh(stacks.target, connection_id).generation == 2
    assert len(stacks.world.provider.live_refresh_tokens) == 3


def test_a_disconnect_of_what_moved_away_revokes_nothing_upstream(stacks):
    """The other stack speaks for the grant now; here it is erased at once."""
    stacks.export("--freeze", "--with-provider-secrets")
    stacks.import_()
    gone = stacks.connections[0]

    answer = stacks.world.disconnect(gone)
    stacks.world.work()

    assert answer.upstream == "done"
    assert stacks.source.grants.get(gone).sealed == b""
    assert stacks.world.provider.revoked_tokens == []
    stacks.world.now += HOUR
    assert stacks.refresh(stacks.target, gone).generation == 2


def test_thawing_undoes_it(stacks):
    """An archive that was lost, or not wanted any more: the source has all it had."""
    archive = stacks.export("--freeze")["archive"]
    stacks.run("source", "thaw", "arc_another", "--yes")
    assert statuses(stacks.source, stacks) == ["needs_reauth"] * 3

    told = json.loads(stacks.run("source", "thaw", archive, "--yes", "--json").stdout)

    assert told == {"archive": archive, "thawed": 3}
    assert statuses(stacks.source, stacks) == ["active"] * 3
    assert stacks.source.grants.get(stacks.connections[0]).due_at is not None
    stacks.world.now += HOUR
    assert stacks.refresh(stacks.source, stacks.connections[0]).generation == 2
    assert json.loads(stacks.run("source", "thaw", archive, "--yes", "--json").stdout)["thawed"] == 0


def test_what_moved_with_one_archive_moves_with_no_other(stacks):
    """Active in two stacks, its refresh token would be spent twice: a later copy has it as it is, a later move not."""
    archive = stacks.export("--freeze", "--with-provider-secrets")["archive"]
    stacks.import_()
    stacks.file.unlink()

    copy = stacks.export()
    assert [(line["frozen"], line["status"]) for line in stacks.records() if line["type"] == "connection"] == [
        (False, "needs_reauth")
    ] * 3
    stacks.file.unlink()
    move = stacks.export("--freeze")

    assert (copy["connection"], copy["frozen"], move.get("connection", 0), move["frozen"]) == (3, 0, 0, 0)
    assert {each["connection"] for each in move["left_out"]} == set(stacks.connections)
    assert all(archive in each["reason"] for each in move["left_out"])
    stacks.world.now += HOUR
    assert stacks.refresh(stacks.target, stacks.connections[0]).generation == 2


def test_what_an_export_froze_that_never_ended_moves_with_the_next(stacks, monkeypatch):
    """It bears the mark of the next one from then on, and the first comes to no end any more."""
    complete = Exporter.complete
    monkeypatch.setattr(Exporter, "complete", _refused)
    stacks.run("source", "export", str(stacks.file), "--recipient", stacks.recipient, "--freeze", ok=False)
    monkeypatch.setattr(Exporter, "complete", complete)
    (first,) = {row["frozen_by"]["S"] for row in stacks.source.aws.dynamodb.dump("grants") if "frozen_by" in row}

    again = stacks.export("--freeze", "--with-provider-secrets")

    assert (again["frozen"], again["left_out"]) == (3, [])
    with pytest.raises(Conflict):
        Ledger(Tables.of(stacks.source)).complete(first)
    assert json.loads(stacks.run("source", "thaw", first, "--yes", "--json").stdout)["thawed"] == 0
    assert stacks.import_()["connection.imported"] == 3


def test_an_export_that_was_thawed_meanwhile_makes_no_archive(stacks, monkeypatch):
    """What is in it is refreshed here again: it would be spent in two places."""
    complete = Exporter.complete

    def thawed_first(exporter):
        stacks.run("source", "thaw", exporter.archive_id, "--yes")
        complete(exporter)

    monkeypatch.setattr(Exporter, "complete", thawed_first)

    stacks.run("source", "export", str(stacks.file), "--recipient", stacks.recipient, "--freeze", ok=False)

    assert statuses(stacks.source, stacks) == ["active"] * 3
    assert not stacks.file.exists()


def test_who_took_all_tokens_out_stands_in_the_trail(stacks):
    """A copy and a move, each with its archive's id and the operator's name."""
    copy = stacks.export()["archive"]
    stacks.file.unlink()
    move = stacks.export("--freeze")["archive"]

    entries = stacks.source.aws.dynamodb.dump("audit")
    told = {
        each["action"]["S"]: (each["details"]["M"]["archive"]["S"], each["actor"]["S"].partition(":")[0])
        for each in entries
        if each["action"]["S"].startswith("archive.")
    }
    assert told == {"archive.copied": (copy, "operator"), "archive.frozen": (move, "operator")}


def test_one_dead_token_of_two_makes_the_other_no_copy_that_is_spent(stacks):
    """The connection needs its user, and its other token is refreshed at the source still."""
    mixed = stacks.connections[0]
    grant = stacks.source.grants.get(mixed)
    dead = replace(grant, name="user", status="needs_reauth", due_at=None)
    dead = replace(dead, sealed=stacks.source.sealer.seal(tokens(stacks.source, mixed), binding=Binding.of(dead)))
    row = grant_item(dead, due_shards=16)
    stacks.source.aws.dynamodb.restore("grants", row)
    event = stacks.world.event("connection.needs_reauth")
    other = stacks.source.grants.get(mixed, "user")
    connection = replace(stacks.source.connections.get(mixed), status="needs_reauth", reason="expired_unused")
    stacks.source.aws.dynamodb.restore("grants", connection_item(connection, write_id=event.id))
    assert (grant.status, other.status) == ("active", "needs_reauth")

    stacks.export("--freeze")
    done = stacks.import_()

    assert done["connection.parked"] == 1
    assert stacks.source.grants.get(mixed).status == "active"
    assert (stacks.target.grants.get(mixed).status, stacks.target.grants.get(mixed).due_at) == ("needs_reauth", None)


def test_when_the_source_is_gone_everything_is_active(stacks):
    """The last that is left of a stack: nobody else will spend it."""
    stacks.export()

    assert stacks.import_("--source-is-gone")["connection.imported"] == 3
    assert statuses(stacks.target, stacks) == ["active"] * 3


def test_what_was_parked_becomes_active_when_it_may(stacks):
    """By an archive with what was frozen since, or by the word that the source is gone; not if its user came first."""
    stacks.export()
    stacks.import_()
    reconnected = stacks.connections[0]
    table = stacks.target.aws.dynamodb
    for row in table.dump("grants"):  # as a confirmation leaves it: the mark is gone with what bore it
        if row["pk"]["S"] == f"CONNECTION#{reconnected}" and "parked" in row:
            table.restore("grants", {name: value for name, value in row.items() if name != "parked"})

    foreseen = stacks.import_("--source-is-gone", "--dry-run")
    gone = stacks.import_("--source-is-gone")

    assert (foreseen["connection.imported"], foreseen["connection.there"]) == (2, 1)
    assert (gone["connection.imported"], gone["connection.there"]) == (2, 1)
    assert statuses(stacks.target, stacks) == ["needs_reauth", "active", "active"]
    entries = stacks.target.audit.for_connection(stacks.connections[1], limit=5)[0]  # of one second, in any order
    assert ("connection.activated", "needs_reauth") in {(each.action, each.details.get("from")) for each in entries}
    stacks.file.unlink()
    stacks.export("--freeze")
    assert stacks.import_()["connection.there"] == 3


def test_a_connection_that_is_being_refreshed_is_left_out_and_told(stacks):
    """Its next token set is on its way: what would be exported is spent already."""
    busy = stacks.connections[0]
    grant = stacks.source.grants.get(busy)
    from grantkeeper.services.lease_policy import new_lease

    lease = new_lease(grant, token="t", owner="worker", write_id="w1", now=stacks.world.now)
    assert stacks.source.grants.take_lease(lease) is None

    exported = stacks.export("--freeze")

    assert exported["left_out"] == [{"connection": busy, "reason": "a refresh is under way"}]
    assert exported["frozen"] == 2
    assert stacks.source.grants.get(busy).status == "active"
    assert stacks.import_()["connection.imported"] == 2


def test_what_needs_its_user_stays_so(stacks):
    """With its reason, in both stacks, and is not frozen."""
    dead = stacks.connections[0]
    grant = stacks.source.grants.get(dead)
    event = stacks.world.event("connection.needs_reauth")
    stacks.source.grants.mark_needs_reauth(grant, "expired_unused", now=stacks.world.now, audit=event)

    assert stacks.export("--freeze")["frozen"] == 2
    assert stacks.import_()["connection.imported"] == 3

    assert stacks.target.connections.get(dead).reason == "expired_unused"
    assert stacks.target.grants.get(dead).status == "needs_reauth"


def test_a_disconnected_connection_is_in_no_archive(stacks):
    """Revoked is final: there is nothing to move."""
    stacks.world.disconnect(stacks.connections[0])

    assert stacks.export()["connection"] == 2


# --- what stands in the way ---


def test_who_is_erased_comes_with_no_archive(lasting):
    """Neither out of a stack that erased him, nor back into one, however old the archive is."""
    lasting.export()
    lasting.import_()
    ports = lasting.target
    erase_user("usr_alice", by=By("operator:test", root=True), ports=ports, now=lasting.world.now)
    lasting.file.rename(lasting.folder / "old.age")
    erase_user("usr_alice", by=By("operator:test", root=True), ports=lasting.source, now=lasting.world.now)
    newer = lasting.export()
    (lasting.folder / "old.age").rename(lasting.file)

    again = lasting.import_("--source-is-gone")

    assert (newer["user"], newer["connection"]) == (2, 1)
    assert (again["user.there"], again["user.imported"]) == (1, 2)
    assert (again["connection.refused"], again["connection.imported"]) == (2, 1)
    assert {note["note"] for note in again["notes"] if note["what"] == "connection"} == {"its user is erased here"}
    assert ports.users.get("usr_alice").status == "erased"
    assert ports.connections.list_for_user("usr_alice") == []


def test_a_key_of_somebody_who_is_erased_comes_with_no_archive(lasting):
    """It would be a trace of him that nobody sees: his own list of keys went with him."""
    lasting.export()
    lasting.import_()
    erase_user("usr_alice", by=By("operator:test", root=True), ports=lasting.target, now=lasting.world.now)
    now = lasting.world.now
    key = ApiKey("hers", "hash", ("connections:read",), now, now + 1000, client_id="app", sub="usr_alice")
    lasting.source.api_keys.put(key, audit=lasting.world.event("api_key.created"))
    lasting.file.unlink()
    lasting.export()

    done = lasting.import_()

    assert done["api_key.refused"] == 1
    assert ("hers", "its user is erased here") in {(note["id"], note["note"]) for note in done["notes"]}
    assert lasting.target.api_keys.get("hers") is None


def test_people_of_the_target_are_not_taken_over(lasting):
    """An identity that is somebody else's there: that user and his connections are refused, all others come."""
    from grantkeeper.model import Identity, User

    now = lasting.world.now
    lasting.target.users.provision(
        User("usr_else", now, now), Identity("https://idp.example", "usr_alice", "usr_else", "example", now),
        audit=lasting.world.event("user.provisioned"),
    )  # fmt: skip
    lasting.export()

    done = lasting.import_()

    assert (done["user.refused"], done["user.imported"]) == (1, 2)
    assert (done["connection.refused"], done["connection.imported"]) == (2, 1)
    assert {note["note"] for note in done["notes"] if note["what"] == "connection"} == {"its user is not here"}
    assert lasting.target.users.find("https://idp.example", "usr_alice").sub == "usr_else"


def test_one_row_that_does_not_open_keeps_nobody_from_leaving(lasting):
    """It is told by its id, the rest goes into the archive, and it is not frozen either."""
    broken, good = lasting.connections[:2]
    grant = lasting.source.grants.get(broken)
    stolen = replace(grant, sealed=lasting.source.grants.get(good).sealed)
    assert lasting.source.grants.reseal(grant, sealed=stolen.sealed)

    exported = lasting.export("--freeze")

    assert [each["connection"] for each in exported["left_out"]] == [broken]
    assert exported["connection"] == exported["frozen"] == 2
    assert lasting.source.connections.get(broken).status == "active"


def test_a_dry_run_writes_nothing(lasting):
    """And foresees what an import does."""
    lasting.export()
    before = lasting.target.aws.dynamodb.dump("grants")

    foreseen = lasting.import_("--dry-run")

    assert lasting.target.aws.dynamodb.dump("grants") == before == []
    assert lasting.target.aws.dynamodb.dump("audit") == []
    done = lasting.import_()
    assert {**foreseen, "dry_run": False} == done


def test_power_that_comes_with_an_archive_is_told(lasting):
    """Whoever has a public key can write an archive for it: an operator looks at who would be what, before it is."""
    world = lasting.world
    key = ApiKey("root1", "hash", ("admin:write",), world.now, world.now + 1000)
    lasting.source.api_keys.put(key, audit=world.event("api_key.created"))
    people, by = lasting.source.people, By("operator:test", root=True)
    give_role("usr_bob", "admin", by=by, users=lasting.source.users, changing=people, now=world.now)
    lasting.export()

    for options in (("--dry-run",), ()):
        notes = {(note["what"], note["id"]): note["note"] for note in lasting.import_(*options)["notes"]}
        assert notes["api_key", "root1"] == "an operator's key: admin:write"
        assert notes["user", "usr_bob"] == "has the role admin"


def test_a_damaged_archive_changes_nothing(lasting):
    """It is read to its end before its first record is believed."""
    lasting.export()
    whole = lasting.file.read_bytes()

    for damaged in (whole[:-1], whole[:-17] + bytes((whole[-17] ^ 1,)) + whole[-16:]):
        lasting.file.write_bytes(damaged)
        key = lasting.folder / "key.txt"
        key.write_text("AGE-SECRET-KEY-1HHGUS9EZK3TWJV2SX8DQLRNLZVQXMJYHFRXLQXND2DS2VWGA8MRSJD2F2P")
        with pytest.raises(AssertionError):
            lasting.import_()
        assert lasting.target.aws.dynamodb.dump("grants") == []


def test_an_archive_is_not_written_over(lasting):
    """A file that is there may be the only copy."""
    lasting.export()
    before = lasting.file.read_bytes()

    lasting.run("source", "export", str(lasting.file), "--recipient", "age1x", ok=False)

    assert lasting.file.read_bytes() == before
    assert lasting.file.stat().st_mode & 0o777 == 0o600


# --- provider credentials ---


def test_provider_secrets_stay_at_home_unless_asked_for(lasting):
    """Without them the registration is told by its client_id, to be configured."""
    lasting.export()
    done = lasting.import_()

    registered = lasting.world.provider.client_id
    assert f"configure its credentials: {registered}" in [note["note"] for note in done["notes"]]
    assert lasting.target.provider_items.registrations() == {}
    assert lasting.target.aws.ssm.parameters == {}
    assert "example" in lasting.target.provider_items.overrides()


def test_provider_secrets_go_along_when_asked_for(lasting):
    """Sealed in the archive, and kept under a name of the target's own."""
    lasting.export("--with-provider-secrets")
    lasting.import_()

    credentials = lasting.target.credentials.active("example")
    assert credentials.client_secret == lasting.world.provider.client_secret
    assert all(name.startswith("/target/") for name in lasting.target.aws.ssm.parameters)


# --- secrets ---


def test_l01_tokens_are_in_clear_nowhere(stacks, monkeypatch, tmp_path, caplog):
    """Not in the archive, its parts, the tables, the trail, the output, a log or a file: raw, base64 or hex."""
    world = stacks.world
    secrets = [
        token
        for each in stacks.connections
        for token in (json.loads(tokens(stacks.source, each))["answer"]["access_token"],
                      json.loads(tokens(stacks.source, each))["answer"]["refresh_token"])
    ]  # fmt: skip
    secrets.append(world.provider.client_secret)

    exported = stacks.export("--freeze", "--with-provider-secrets")
    done = stacks.import_()

    sinks = [str(exported), str(done), caplog.text, repr(stacks.target.aws.dynamodb.dump("grants"))]
    sinks += [repr(stacks.target.aws.dynamodb.dump("audit")), repr(stacks.source.aws.dynamodb.dump("audit"))]
    sinks += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(secrets) == 7
    for secret in secrets:
        for form in (secret, b64encode(secret.encode()).decode().rstrip("="), secret.encode().hex()):
            assert not any(form in sink for sink in sinks)


def test_an_import_that_meets_trouble_goes_on_where_it_was(lasting, monkeypatch):
    """The store refuses after some records: exit with a word, and nothing is done twice afterwards."""
    monkeypatch.setattr(journal, "EVERY", 3)
    monkeypatch.setattr(import_command, "EVERY", 3)
    lasting.export()
    faults = lasting.target.aws.dynamodb.faults
    written = []
    fifth = lambda _: len(written) == 5 or written.append(1)  # noqa: E731
    faults.fail("transact_write_items", client_error("TransactWriteItems", "AccessDeniedException", ""), when=fifth)

    with pytest.raises(AssertionError):
        lasting.import_()
    done = lasting.import_()

    assert done["resumed_at"] > 0
    assert done["connection.imported"] == 3
    entries = lasting.target.aws.dynamodb.dump("audit")
    assert len([e for e in entries if e["action"]["S"] == "user.provisioned"]) == 3


def test_the_source_is_left_as_it_is_by_a_plain_export(lasting):
    """Not a row is written, but for the entry that says so."""
    before = lasting.source.aws.dynamodb.dump("grants"), lasting.source.aws.dynamodb.dump("audit")

    lasting.export()

    assert lasting.source.aws.dynamodb.dump("grants") == before[0]
    added = [row for row in lasting.source.aws.dynamodb.dump("audit") if row not in before[1]]
    assert [row["action"]["S"] for row in added] == ["archive.copied"]


def test_an_empty_stack_makes_an_archive_too(lasting, monkeypatch):
    """With nothing in it but what it is."""
    from cli.stack import Stack

    monkeypatch.setattr(Stack, "wiring", property(lambda stack: new_stack(None)))
    exported = lasting.export()

    assert "user" not in exported
    assert [line["type"] for line in lasting.records()] == ["archive", "end"]
