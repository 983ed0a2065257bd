"""An import is killed again and again, and started again: in the end everything is there, once."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import secrets
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from cli.archive import import_command, journal
from cli.archive.journal import Journal
from cli.archive.outcomes import Done
from cli.archive.tables import Tables
from grantkeeper.errors import Conflict, GrantkeeperError
from grantkeeper.model import Binding, Principal
from tests.chaos.importing import wiring_of
from tests.doubles.aws import InMemoryAws
from tests.doubles.connect_world import WRITE
from tests.doubles.kms import InMemoryKms
from tests.doubles.provider import Account
from tests.doubles.two_stacks import LASTING, OTHER_KEY, STRICT, made, new_stack

pytestmark = pytest.mark.chaos

PEOPLE = 6
ROOT = Path(__file__).parents[2]
ONCE = {"user.provisioned": "sub", "connection.activated": "connection_id", "client.created": "client_id"}


class Killed(BaseException):
    """As a SIGKILL: no handler of errors runs."""


@pytest.fixture
def stacks(monkeypatch, tmp_path):
    """A source with a dozen users and as many connections, in an archive."""
    stacks = made(monkeypatch, tmp_path, rule=LASTING)
    for at in range(PEOPLE):
        stacks.world.add_user(f"usr_{at}")
        person = Principal("user", WRITE, client_id="app", sub=f"usr_{at}")
        stacks.connections.append(stacks.world.connect(person, account=Account(f"account-{at}")).id)
    stacks.export()
    return stacks


def tokens(wiring, connection_id):
    grant = wiring.grants.get(connection_id)
    return wiring.vault.open(grant.sealed, binding=Binding.of(grant))


def scanned(client, table):
    """Every item of a table of DynamoDB Local."""
    return [item for page in client.get_paginator("scan").paginate(TableName=table) for item in page["Items"]]


def shape(items):
    """What stands where, without what is random or of the moment."""
    moving = {"write_id", "grant_id", "sealed", "due_at", "due_shard", "updated_at"}
    rows = [item for item in items if not item["pk"]["S"].startswith("IMPORT#")]
    plain = [{name: value for name, value in item.items() if name not in moving} for item in rows]
    return sorted(json.dumps(item, sort_keys=True, default=repr) for item in plain)


def entries(items):
    """How often the trail tells of each thing."""
    told = Counter()
    for item in items:
        action = item["action"]["S"]
        if action in ONCE and "day_pk" in item:
            told[action, item[ONCE[action]]["S"]] += 1
    return told


def expected(stacks):
    """What an import that nobody disturbs leaves behind, in memory."""
    quiet = new_stack(stacks.world.provider)
    stacks.target.__dict__["aws"] = quiet.aws
    stacks.import_()
    return quiet.aws.dynamodb.dump("grants"), entries(quiet.aws.dynamodb.dump("audit"))


def lives(stacks, tables, deaths):
    """Run them; the target as it is afterwards, and how each life ended."""
    plan = {
        "env": tables.env | {"VAULT_KEY_ARN": OTHER_KEY, "PARAMETER_PREFIX": "/target"},
        "key_material": secrets.token_hex(32),
        "file": str(stacks.file),
        "identity": str(stacks.folder / "key.txt"),
        "every": 3,
        "deaths": deaths,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos.importing"], input=json.dumps(plan), capture_output=True, text=True,
        check=False, timeout=100, cwd=ROOT, env={"PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'common'}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return wiring_of(plan, tables.client), json.loads(done.stdout)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_import_goes_on_until_everything_is_there_once(seed, stacks, dynamodb_tables):
    """SIGKILL before a call, after one that nobody heard the answer of, or anywhere; on DynamoDB Local."""
    rows, told = expected(stacks)
    rng = random.Random(seed)
    deaths = [{"at": rng.randrange(1, 11), "after": rng.random() < 0.5} for _ in range(40)]
    deaths[2::6] = [{"after_ms": rng.randrange(5, 60)} for _ in deaths[2::6]]  # too little for the whole

    target, ended = lives(stacks, dynamodb_tables, [*deaths, {}])

    killed = [life for life in ended if life["code"] == -signal.SIGKILL]
    assert len(killed) >= 8
    assert ended[-1]["code"] == 0
    summary = json.loads(ended[-1]["said"])
    assert summary["connection.imported"] == 3 + PEOPLE
    assert {each: tokens(target, each) for each in stacks.connections} == {
        each: tokens(stacks.source, each) for each in stacks.connections
    }
    client = dynamodb_tables.client
    assert shape(scanned(client, dynamodb_tables.grants)) == shape(rows)
    assert entries(scanned(client, dynamodb_tables.audit)) == told
    assert set(told.values()) == {1}


def test_it_may_die_at_any_call(stacks, monkeypatch):
    """Every call of an import, once before it and once behind it; then one that goes on."""
    _note_every(5, monkeypatch)
    rows, told = expected(stacks)
    calls = _calls(stacks)

    for at in range(1, calls + 1):
        for after in (False, True):
            aws = InMemoryAws()
            aws.__dict__["kms"] = InMemoryKms(OTHER_KEY)
            stacks.target.__dict__ = {"env": stacks.target.env, "aws": aws}
            _die_at(aws, at, after=after)
            with pytest.raises(Killed):
                stacks.import_()
            _die_at(aws, 0, after=False)

            done = stacks.import_()

            assert done["connection.imported"] == 3 + PEOPLE
            assert shape(aws.dynamodb.dump("grants")) == shape(rows)
            assert entries(aws.dynamodb.dump("audit")) == told
    assert calls >= 40


def _note_every(records, monkeypatch):
    monkeypatch.setattr(journal, "EVERY", records)
    monkeypatch.setattr(import_command, "EVERY", records)


def _calls(stacks):
    return len(stacks.target.aws.dynamodb.faults.calls)


def _die_at(aws, at, *, after):
    """The process ends at this call to DynamoDB, and does nothing any more; 0 lets the next one live."""
    faults, numbers = aws.dynamodb.faults, itertools.count(1)
    whole = type(faults).call

    def call(operation, method, kwargs):
        number = next(numbers)
        if at and number >= at + after:
            raise Killed
        answer = whole(faults, operation, method, kwargs)
        if number == at:
            raise Killed
        return answer

    faults.call = call


def test_two_imports_of_one_archive_do_not_meet(stacks):
    """The second stops by itself, when the journal has moved under its hands."""
    table = Tables.of(stacks.target).grants
    one, two = Journal.open(table, "arc_1"), Journal.open(table, "arc_1")
    one.count("user", "usr_1", Done("imported"))
    one.note()
    two.count("user", "usr_1", Done("imported"))

    with pytest.raises(Conflict):
        two.note()
    one.finish()
    assert Journal.open(table, "arc_1").finished


def test_what_was_changed_meanwhile_is_not_put_back(stacks, monkeypatch):
    """Between two lives of an import its users are at work already: they find their things as they left them."""
    _note_every(1000, monkeypatch)  # nothing was noted when it died
    _die_at(stacks.target.aws, 40, after=True)
    with pytest.raises(Killed):
        stacks.import_()
    _die_at(stacks.target.aws, 0, after=False)
    found = (stacks.target.users.get(f"usr_{at}") for at in range(PEOPLE))
    user = next(user for user in found if user is not None)  # eight are written at once, in no order
    event = stacks.world.event("profile.changed")
    assert stacks.target.users.update(replace(user, name="New"), expected_version=user.version, audit=event)

    stacks.import_()

    assert stacks.target.users.get(user.sub).name == "New"


def test_an_export_that_froze_and_was_killed_loses_nothing(monkeypatch, tmp_path):
    """What it left is no archive and shows no token; the next one has everything, and all of it moves."""
    for at in itertools.count(1, 3):
        stacks = made(monkeypatch, tmp_path, rule=STRICT)
        secrets_there = [json.loads(tokens(stacks.source, each))["answer"] for each in stacks.connections]
        _die_at(stacks.source.aws, at, after=at % 2 == 0)
        try:
            stacks.export("--freeze")
            break
        except Killed:
            _die_at(stacks.source.aws, 0, after=False)
        part = stacks.file.with_name("archive.age.part")
        left = part.read_bytes() if part.exists() else b""
        assert not stacks.file.exists()
        assert not any(answer["refresh_token"].encode() in left for answer in secrets_there)
        for _ in range(3):  # its lease runs out, is found, and the rescue queue is given its time
            stacks.world.now += 400
            for connection_id in stacks.connections:
                with contextlib.suppress(GrantkeeperError):
                    stacks.refresh(stacks.source, connection_id)

        for row in stacks.source.aws.dynamodb.dump("grants"):  # it died between its end and the name of its file
            if row["pk"]["S"].startswith("EXPORT#") and row["state"]["S"] == "whole":
                stacks.run("source", "thaw", row["pk"]["S"].removeprefix("EXPORT#"), "--yes")
        exported = stacks.export("--freeze")

        assert exported["left_out"] == []
        assert all(line["frozen"] for line in stacks.records() if line["type"] == "connection")
        assert exported["connection"] == 3
        stacks.file.unlink()
    assert at > 20
