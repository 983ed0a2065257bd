"""A rotation of the branch keys: every grant under new keys, whatever kills it on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from grantkeeper.errors import StoreUnavailable
from grantkeeper.key_maker import KmsKeyMaker
from grantkeeper.model import Binding
from grantkeeper.sealing import BranchWrapping, bucket_of, parse
from grantkeeper.services import rotate_branch_keys as module
from grantkeeper.services.reseal_all import Pace, census
from grantkeeper.services.rotate_branch_keys import KEPT_RETIRED, RotationPorts, rotate_branch_keys
from grantkeeper.services.rotate_keys import Operator, RotationSchedule, ensure_keys
from grantkeeper.services.work import work_through
from grantkeeper.stores.branch_keys import DynamoBranchKeys
from grantkeeper.stores.queues import read_work
from tests.doubles import refresh_world
from tests.doubles.kms import VAULT_KEY_ARN
from tests.doubles.refresh_world import RefreshWorld

BUCKETS = 2
PEOPLE = [name for n in range(400) if bucket_of(name := f"usr_{n}") < BUCKETS][:5]
OPERATOR = Operator("operator:ops")


class Killed(BaseException):
    """The process is gone."""


class Deployment:
    """Five people's connections under version 1, and a worker that is warm all the while."""

    def __init__(self, monkeypatch):
        self.world = RefreshWorld(monkeypatch)
        wiring = self.process()
        schedule = RotationSchedule(buckets=BUCKETS)
        ensure_keys(
            key_maker=self.key_maker, signing_keys=wiring.signing_keys, branch_keys=wiring.branch_keys,
            now=self.world.now, schedule=schedule,
        )  # fmt: skip
        self.connections = []
        for person in PEOPLE:
            monkeypatch.setattr(refresh_world, "ALICE", person)
            self.connections.append(self.world.connect(account_id=person))
        self.worker = self.process()
        for connection_id in self.connections:
            self.world.read(connection_id, wiring=self.worker)
        self.parked = 0
        self.works = True

    @property
    def key_maker(self):
        return KmsKeyMaker(self.world.aws.kms, VAULT_KEY_ARN)

    def process(self):
        """One with caches of its own, by the world's clock."""
        wiring, name = self.world.container(), self.world.wiring.env
        wiring.__dict__["branch_keys"] = DynamoBranchKeys(
            self.world.aws.dynamodb, name["GRANTS_TABLE"], name["AUDIT_TABLE"], clock=self.world.clock.time
        )
        return wiring

    def rotate(self):
        wiring = self.process()
        ports = RotationPorts(
            key_maker=self.key_maker,
            branch_keys=wiring.branch_keys,
            rotations=wiring.rotations,
            sealed_grants=wiring.sealed_grants,
            queue=wiring.work_queue,
            rescue_waiting=lambda: self.parked,
        )
        pace = Pace(clock=lambda: self.world.now, sleep=self.sleep)
        return rotate_branch_keys(ports=ports, pace=pace, by=OPERATOR, buckets=BUCKETS)

    def sleep(self, seconds):
        """Meanwhile the worker works, whatever was planned for the command."""
        self.world.clock.skip(seconds)
        sqs, url = self.world.aws.sqs, self.world.wiring.env["WORK_QUEUE_URL"]
        hooks = (self.world.aws.dynamodb.faults, sqs.faults, self.world.aws.kms.faults)
        planned = [hook.yield_point for hook in hooks]
        for hook in hooks:
            hook.yield_point = None
        while self.works:
            messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            if not messages:
                break
            works = [read_work(message["Body"]) for message in messages]
            ports = self.world.ports(self.worker)
            assert not work_through(works, ports=ports, run=self.world.run(), parallel=in_turn)
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        for hook, point in zip(hooks, planned, strict=True):
            hook.yield_point = point

    def kill_at(self, call):
        """The command's process dies before its n-th call of AWS."""
        made = 0

        def count(_operation, _request):
            nonlocal made
            made += 1
            if made == call:
                raise Killed

        for each in (self.world.aws.dynamodb, self.world.aws.sqs, self.world.aws.kms):
            each.faults.yield_point = count

    def let_live(self):
        for each in (self.world.aws.dynamodb, self.world.aws.sqs, self.world.aws.kms):
            each.faults.yield_point = None

    def grants(self):
        return [self.world.grant(connection_id) for connection_id in self.connections]

    def versions(self):
        wrappings = [parse(grant.sealed).wrapping for grant in self.grants()]
        return [each.version if isinstance(each, BranchWrapping) else None for each in wrappings]

    def trail(self):
        rows = self.world.aws.dynamodb.dump("audit")
        ours = [row for row in rows if row["action"]["S"].startswith("branch_key")]
        return Counter(row["action"]["S"] for row in ours if row["actor"]["S"] == OPERATOR.actor)


def in_turn(tasks):
    for task in tasks:
        task()


@pytest.fixture
def deployment(monkeypatch):
    return Deployment(monkeypatch)


DONE = {
    "branch_keys.rotation_started": 1,
    "branch_key.created": BUCKETS,
    "branch_key.retired": BUCKETS,
    "branch_keys.rotation_finished": 1,
}


def test_every_grant_comes_under_the_new_keys_and_stays_what_it_is(deployment):
    """Same tokens, same generation, same n; audited, the old versions retired and none of them gone."""
    before, tokens = deployment.grants(), [deployment.world.tokens(grant) for grant in deployment.grants()]
    assert deployment.versions() == [1] * 5

    done = deployment.rotate()

    assert (done.unfinished, done.resumed, done.grants.left) == ("", False, 0)
    assert deployment.versions() == [2] * 5
    after = deployment.grants()
    assert [replace(now, sealed=old.sealed) for now, old in zip(after, before, strict=True)] == before
    assert [deployment.world.tokens(grant) for grant in after] == tokens
    assert sorted(done.retired) == ["0#1", "1#1"]
    assert deployment.trail() == DONE


def test_a_rotation_killed_at_any_call_is_gone_on_with_and_loses_nothing(monkeypatch):
    """At each of its calls of AWS: no second new version, every grant re-sealed, each step in the trail once."""
    killed = 0
    for call in range(1, 200):
        deployment = Deployment(monkeypatch)
        tokens = [deployment.world.tokens(grant) for grant in deployment.grants()]
        deployment.kill_at(call)
        try:
            deployment.rotate()
        except Killed:
            killed += 1
        else:
            break
        deployment.let_live()
        deployment.sleep(30)

        done = deployment.rotate()

        assert (done.unfinished, done.grants.left) == ("", 0), call
        assert set(deployment.versions()) == {2}, call
        assert [deployment.world.tokens(grant) for grant in deployment.grants()] == tokens, call
        assert deployment.trail() == DONE, call
    assert killed > 20


def test_a_rotation_begun_twice_at_once_is_one(deployment):
    """Two operators: the second goes on with what the first began."""
    other = []
    original = module._wait

    def meanwhile(**arguments):
        module._wait = original
        other.append(deployment.rotate())
        original(**arguments)

    module._wait = meanwhile
    try:
        done = deployment.rotate()
    finally:
        module._wait = original

    assert (done.unfinished, other[0].unfinished) == ("", "")
    assert (done.resumed, other[0].resumed) == (False, True)
    assert set(deployment.versions()) == {2}
    assert deployment.trail() == DONE


def test_a_parked_answer_keeps_the_old_versions(deployment):
    """It may be sealed under one of them; once it is saved, the rotation is finished by running it again."""
    deployment.parked = 1

    waiting = deployment.rotate()
    deployment.parked = 0
    done = deployment.rotate()

    assert "1 parked answers" in waiting.unfinished
    assert (waiting.retired, done.resumed, done.unfinished) == ((), True, "")
    assert deployment.trail() == DONE


def test_a_grant_that_does_not_open_keeps_its_version_and_holds_up_nobody(deployment):
    """It is told, again and again, and the rest is re-sealed; no message of it becomes a dead letter."""
    broken = deployment.grants()[0]
    damaged = broken.sealed[:-1] + bytes([broken.sealed[-1] ^ 1])
    assert deployment.world.wiring.grants.reseal(broken, sealed=damaged)

    done = deployment.rotate()

    assert (done.grants.left, done.grants.named) == (1, [broken.connection_id])
    assert "1 grants are still under old versions" in done.unfinished
    assert deployment.versions() == [1, 2, 2, 2, 2]
    assert deployment.trail()["branch_key.retired"] == 0


def test_without_workers_the_command_ends_with_a_sentence(deployment):
    """And what it made is gone on with."""
    deployment.works = False

    with pytest.raises(StoreUnavailable, match="No worker"):
        deployment.rotate()
    deployment.works = True

    assert deployment.rotate().resumed
    assert set(deployment.versions()) == {2}


def test_a_row_from_the_oldest_backup_opens_whatever_was_rotated_since(deployment):
    """Point-in-time recovery reaches 35 days back: a version that was retired since is there for its rows."""
    row = deployment.world.aws.dynamodb.dump("grants")
    old = deployment.grants()[0]
    deployment.rotate()
    deployment.world.pass_time(35 * 86_400 - 3600)
    deployment.rotate()

    for each in row:
        if each["pk"]["S"] == f"CONNECTION#{old.connection_id}":
            deployment.world.aws.dynamodb.restore("grants", each)

    assert deployment.versions()[0] == 1
    assert deployment.process().vault.open(old.sealed, binding=Binding.of(old))


def test_a_retired_version_opens_for_five_weeks_more_and_is_then_deleted(deployment):
    """By the next rotation, which retires its own."""
    deployment.rotate()
    versions = deployment.process().rotations.versions
    assert {bucket: set(versions(bucket, below=9)) for bucket in range(BUCKETS)} == {0: {1, 2}, 1: {1, 2}}
    deployment.world.pass_time(KEPT_RETIRED + 1)

    done = deployment.rotate()

    assert sorted(done.deleted) == ["0#1", "1#1"]
    assert sorted(done.retired) == ["0#2", "1#2"]
    assert set(deployment.versions()) == {3}
    assert {bucket: set(versions(bucket, below=9)) for bucket in range(BUCKETS)} == {0: {2, 3}, 1: {2, 3}}


def test_two_rotations_in_a_row_delete_nothing(deployment):
    """What was retired just now may still be wanted by somebody's copy in hand."""
    deployment.rotate()

    assert deployment.rotate().deleted == []


def test_a_count_tells_what_is_under_which_keys(deployment):
    """A new connection is as the callback sealed it, and no old one."""
    deployment.world.connect(account_id="new")

    seen = census(deployment.process().sealed_grants, targets={0: 2, 1: 1})

    in_first = sum(bucket_of(person) == 0 for person in PEOPLE)
    assert (seen.left, dict(seen.old)) == (in_first, {(0, 1): in_first})
    assert seen.by_kms == seen.total - 5
