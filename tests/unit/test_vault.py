"""Sealing and opening over a faithful KMS and the real store of branch keys."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from grantkeeper import sealing
from grantkeeper.errors import GrantUnreadable, StoreUnavailable
from grantkeeper.key_cache import KeyCache
from grantkeeper.key_maker import KmsKeyMaker
from grantkeeper.model import AuditEvent, Binding, BranchKey
from grantkeeper.sealing import BranchWrapping, KmsWrapping
from grantkeeper.stores.branch_keys import DynamoBranchKeys
from grantkeeper.vault import KmsSealer, KmsVault
from tests.doubles.dynamodb import InMemoryDynamoDB
from tests.doubles.kms import VAULT_KEY_ARN, InMemoryKms
from tests.doubles.tables import create_tables

NOON = 1_800_000_000
OTHER_ARN = "arn:aws:kms:eu-west-1:111122223333:key/11111111-1111-4111-8111-111111111111"
TOKENS = b'{"access_token":"a","refresh_token":"r"}'
BINDING = Binding(
    connection_id="con_a",
    sub="usr_alice",
    provider="google",
    credentials_id="client-1",
    variables=(),
    name="main",
    grant_id="gra_a",
    n=1,
)
BUCKET = sealing.bucket_of(BINDING.sub)


class World:
    """One KMS and one table; vaults of it are execution environments with caches of their own."""

    def __init__(self) -> None:
        self.kms = InMemoryKms(VAULT_KEY_ARN, OTHER_ARN)
        self.dynamodb = InMemoryDynamoDB()
        create_tables(self.dynamodb)
        self.now = float(NOON)

    def branch_keys(self) -> DynamoBranchKeys:
        return DynamoBranchKeys(self.dynamodb, "grants", "audit", clock=lambda: self.now)

    def vault(self, *, arn: str = VAULT_KEY_ARN) -> KmsVault:
        return KmsVault(self.kms, arn, self.branch_keys(), clock=lambda: self.now)

    def seal(self, plaintext: bytes = TOKENS, *, binding: Binding = BINDING, arn: str = VAULT_KEY_ARN) -> bytes:
        return KmsSealer(self.kms, arn).seal(plaintext, binding=binding)

    def add_branch_key(self, version: int = 1, *, bucket: int = BUCKET) -> None:
        wrapped = KmsKeyMaker(self.kms, VAULT_KEY_ARN).branch_key(bucket=bucket, version=version)
        key = BranchKey(bucket, version, wrapped, NOON)
        event = AuditEvent(f"evt_{bucket}_{version}", NOON, "branch_key.created", "system:test")
        assert self.branch_keys().add(key, audit=event)

    def seal_under_branch(self, *, binding: Binding = BINDING) -> bytes:
        key = self.vault().prepare(binding, sealed=self.seal(binding=binding))
        return key.seal(TOKENS, binding=binding)

    def decrypts(self) -> int:
        return self.kms.faults.count("decrypt")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=["kms", "branch"])
def sealed(request: pytest.FixtureRequest, world: World) -> bytes:
    """A set in either wrapping."""
    if request.param == "kms":
        return world.seal()
    world.add_branch_key()
    return world.seal_under_branch()


def wrapping_of(sealed: bytes) -> sealing.Wrapping:
    return sealing.parse(sealed).wrapping


# --- the way of a grant ---


def test_callback_seals_and_refresh_opens(world):
    """What callback sealed with GenerateDataKey alone, the refresh function opens with Decrypt alone."""
    sealed = world.seal()

    assert isinstance(wrapping_of(sealed), KmsWrapping)
    assert world.vault().open(sealed, binding=BINDING) == TOKENS
    assert [name for name, _ in world.kms.faults.calls] == ["generate_data_key", "decrypt"]


def test_a_sealer_has_no_way_to_open(world):
    """The function that faces the internet cannot read what it stored."""
    assert not hasattr(KmsSealer(world.kms, VAULT_KEY_ARN), "open")


def test_the_first_save_moves_a_grant_under_the_branch_key(world):
    """Kms-wrapped at first; after a refresh under the newest branch key of the user's bucket."""
    world.add_branch_key()
    vault = world.vault()
    first = world.seal()
    successor = replace(BINDING, n=2)

    key = vault.prepare(BINDING, sealed=first)
    second = key.seal(b"second", binding=successor)

    wrapping = wrapping_of(second)
    assert isinstance(wrapping, BranchWrapping)
    assert (wrapping.bucket, wrapping.version) == (BUCKET, 1)
    assert vault.open(second, binding=successor) == b"second"
    assert world.vault().open(second, binding=successor) == b"second"


def test_without_a_branch_key_the_current_data_key_seals_again(world):
    """In the first minute of a deployment a refresh is saved under the data key it opened, with a fresh nonce."""
    vault = world.vault()
    first = world.seal()
    successor = replace(BINDING, n=2)

    second = vault.prepare(BINDING, sealed=first).seal(b"second", binding=successor)

    assert wrapping_of(second) == wrapping_of(first)
    assert sealing.parse(second).nonce != sealing.parse(first).nonce
    assert world.vault().open(second, binding=successor) == b"second"
    assert b"second" not in second


def test_a_data_key_in_hand_serves_no_other_grant(world):
    """The context of the wrapped key names connection, consent and token: another grant could never be opened."""
    key = world.vault().prepare(BINDING, sealed=world.seal())

    for field in ("connection_id", "grant_id", "name"):
        with pytest.raises(ValueError):
            key.seal(TOKENS, binding=replace(BINDING, **{field: "other"}))


def test_after_prepare_nobody_is_called(world, sealed):
    """Between the provider's answer and the save there is no KMS call and no read: they may all be down."""
    vault = world.vault()
    key = vault.prepare(BINDING, sealed=sealed)
    world.kms.disable()
    before = (world.decrypts(), world.dynamodb.faults.count())

    saved = key.seal(b"next", binding=replace(BINDING, n=2))

    assert (world.decrypts(), world.dynamodb.faults.count()) == before
    world.kms.enable()
    assert vault.open(saved, binding=replace(BINDING, n=2)) == b"next"


def test_a_key_in_hand_shows_nothing_of_itself(world, sealed):
    """A repr in a log or traceback holds no key."""
    key = world.vault().prepare(BINDING, sealed=sealed)

    assert key.key.hex() not in repr(key)
    assert repr(key.key) not in repr(key)


def test_warm_reads_and_refreshes_call_no_kms(world):
    """One Decrypt of the branch key, then a thousand reads and saves without any."""
    world.add_branch_key()
    vault = world.vault()
    sealed = world.seal_under_branch()
    before = world.decrypts()

    for n in range(1, 1001):
        binding = replace(BINDING, n=n)
        vault.open(sealed, binding=binding)
        successor = replace(binding, n=n + 1)
        sealed = vault.prepare(binding, sealed=sealed).seal(TOKENS, binding=successor)

    assert world.decrypts() == before + 1


def test_is_current_tells_what_wants_resealing(world):
    """A kms set is current while the bucket has no branch key; then only the newest version is."""
    vault_at_first = world.vault()
    first = world.seal()
    assert vault_at_first.is_current(first, binding=BINDING)

    world.add_branch_key(1)
    second = world.seal_under_branch()
    assert not world.vault().is_current(first, binding=BINDING)
    assert world.vault().is_current(second, binding=BINDING)

    world.add_branch_key(2)
    assert not world.vault().is_current(second, binding=BINDING)
    assert world.vault().is_current(world.seal_under_branch(), binding=BINDING)


# --- an adversary who writes the table ---


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("connection_id", "con_b"),
        ("sub", "usr_bob"),
        ("provider", "github"),
        ("credentials_id", "client-2"),
        ("variables", (("subdomain", "evil"),)),
        ("name", "bot"),
        ("grant_id", "gra_b"),
        ("n", 2),
    ],
)
def test_r01_r02_r04_a_set_copied_to_another_record_does_not_open(world, sealed, field, value):
    """Whatever field of the record differs, nothing opens, warm or cold."""
    warm = world.vault()
    assert warm.open(sealed, binding=BINDING) == TOKENS

    for vault in (warm, world.vault()):
        with pytest.raises(GrantUnreadable):
            vault.open(sealed, binding=replace(BINDING, **{field: value}))


def test_r01_swapping_two_records_opens_neither(world):
    """The swap test: Alice's and Mallory's sets change places, in both wrappings; both rows are dead, none leaks."""
    mallory = replace(BINDING, connection_id="con_m", sub="usr_mallory", grant_id="gra_m")
    for bucket in {BUCKET, sealing.bucket_of(mallory.sub)}:
        world.add_branch_key(bucket=bucket)
    for seal in (world.seal, world.seal_under_branch):
        of_alice, of_mallory = seal(binding=BINDING), seal(binding=mallory)
        vault = world.vault()

        assert vault.open(of_alice, binding=BINDING) == vault.open(of_mallory, binding=mallory) == TOKENS
        for stolen, binding in ((of_alice, mallory), (of_mallory, BINDING)):
            with pytest.raises(GrantUnreadable):
                vault.open(stolen, binding=binding)


def test_r03_only_a_whole_old_row_opens(world, sealed):
    """A row put back whole is consistent with itself: it opens, and the audit trail finds it, not the vault."""
    newer = replace(BINDING, n=2)
    vault = world.vault()
    second = vault.prepare(BINDING, sealed=sealed).seal(b"second", binding=newer)

    assert vault.open(sealed, binding=BINDING) == TOKENS
    for mixed, binding in ((sealed, newer), (second, BINDING)):
        with pytest.raises(GrantUnreadable):
            vault.open(mixed, binding=binding)


def test_r05_no_flipped_bit_truncation_or_extension_ever_opens(world, sealed):
    """Every bit of the stored bytes, through KMS as well: always the one error, never a part of the plaintext."""
    vault = world.vault()
    damaged = [sealed[:length] for length in range(len(sealed))] + [sealed + b"\0"]
    for bit in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))

    for data in damaged:
        with pytest.raises(GrantUnreadable, match=r"^The stored grant does not open\.$"):
            vault.open(data, binding=BINDING)


def test_r05_preparing_on_a_damaged_set_is_refused(world):
    """A refresh does not start from bytes that are no sealed set."""
    world.add_branch_key()

    for data in (b"", b"\1", b"\2" + world.seal()[1:]):
        with pytest.raises(GrantUnreadable):
            world.vault().prepare(BINDING, sealed=data)


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"purpose": "grant"},
        {"purpose": "grant", "connection": "con_a", "grant": "gra_a"},
        {"purpose": "grant", "connection": "con_a", "token": "main"},
        {"purpose": "grant", "grant": "gra_a", "token": "main"},
        {"purpose": "grant", "connection": "con_a", "grant": "gra_a", "token": "main", "more": "x"},
        {"purpose": "Grant", "connection": "con_a", "grant": "gra_a", "token": "main"},
        {"purpose": "branch", "connection": "con_a", "grant": "gra_a", "token": "main"},
    ],
)
def test_r06_a_data_key_wrapped_for_any_other_context_is_refused(world, context):
    """Missing, subset, superset, other case, other purpose: KMS itself says no."""
    answer = world.kms.generate_data_key(KeyId=VAULT_KEY_ARN, KeySpec="AES_256", EncryptionContext=context)
    forged = sealing.seal(
        TOKENS, key=answer["Plaintext"], wrapping=KmsWrapping(answer["CiphertextBlob"]), binding=BINDING
    )

    with pytest.raises(GrantUnreadable):
        world.vault().open(forged, binding=BINDING)


def test_r06_a_branch_key_of_another_bucket_or_version_is_refused(world):
    """A branch key's item overwritten with another bucket's opens for neither."""
    other = (BUCKET + 1) % sealing.BUCKETS
    world.add_branch_key()
    world.add_branch_key(bucket=other)
    sealed = world.seal_under_branch()
    items = {item["pk"]["S"]: item for item in world.dynamodb.dump("grants")}
    stolen = items[f"BRANCH#{other}#1"]["wrapped"]
    for name in (f"BRANCH#{BUCKET}#1", f"BRANCH#{BUCKET}#newest"):
        world.dynamodb.restore("grants", {**items[name], "wrapped": stolen})

    with pytest.raises(GrantUnreadable):
        world.vault().open(sealed, binding=BINDING)
    with pytest.raises(GrantUnreadable):
        world.vault().prepare(BINDING, sealed=sealed)


def test_r07_the_context_holds_ids_and_nothing_personal(world):
    """CloudTrail shows contexts in clear: purpose and our own random ids, no user, no account, no secret."""
    world.add_branch_key()
    world.vault().open(world.seal(), binding=BINDING)
    world.vault().open(world.seal_under_branch(), binding=BINDING)

    for context in world.kms.contexts():
        assert context["purpose"] in {"grant", "branch"}
        assert set(context) <= {"purpose", "connection", "grant", "token", "bucket", "version"}
        assert not {BINDING.sub, BINDING.credentials_id} & set(context.values())


def test_r08_every_call_names_the_key_and_another_keys_ciphertext_is_refused(world):
    """A set that somebody sealed under a KMS key of his own is not opened, though KMS could."""
    foreign = world.seal(arn=OTHER_ARN)

    with pytest.raises(GrantUnreadable):
        world.vault().open(foreign, binding=BINDING)
    assert world.vault(arn=OTHER_ARN).open(foreign, binding=BINDING) == TOKENS
    assert all("KeyId" in kwargs for _, kwargs in world.kms.faults.calls)


def test_r09_every_first_seal_has_a_data_key_and_nonce_of_its_own(world):
    """A thousand seals of one plaintext: no wrapped key and no nonce twice."""
    seals = [sealing.parse(world.seal()) for _ in range(1000)]

    assert len({one.nonce for one in seals}) == 1000
    assert len({one.wrapping.header for one in seals}) == 1000


def test_r14_a_missing_newest_version_does_not_take_us_back(world):
    """Version 2 is in use; the pointer is put back to 1: the next save stays under 2."""
    world.add_branch_key(1)
    old_pointer = next(i for i in world.dynamodb.dump("grants") if i["pk"]["S"] == f"BRANCH#{BUCKET}#newest")
    world.add_branch_key(2)
    sealed = world.seal_under_branch()
    world.dynamodb.restore("grants", old_pointer)

    again = world.vault().prepare(BINDING, sealed=sealed).seal(TOKENS, binding=BINDING)

    assert wrapping_of(again).version == 2


def test_r14_a_branch_set_relabelled_as_kms_does_not_open(world):
    """The wrapping is part of what is authenticated: nobody moves a set to the other scheme."""
    world.add_branch_key()
    sealed = sealing.parse(world.seal_under_branch())
    kms_wrapping = wrapping_of(world.seal())

    with pytest.raises(GrantUnreadable):
        world.vault().open(kms_wrapping.header + sealed.nonce + sealed.ciphertext, binding=BINDING)


def test_a_branch_key_that_is_gone_is_damage_not_death(world):
    """The version a set needs is not in the table: unreadable, and said so."""
    world.add_branch_key()
    sealed = world.seal_under_branch()
    world.dynamodb.forget("grants", {"pk": {"S": f"BRANCH#{BUCKET}#1"}, "sk": {"S": "BRANCH"}})

    with pytest.raises(GrantUnreadable):
        world.vault().open(sealed, binding=BINDING)


# --- trouble at KMS ---


def test_r11_rotated_key_material_opens_everything_old_and_new(world, sealed):
    """RotateKeyOnDemand under running traffic: no failure."""
    world.kms.rotate()
    newer = world.seal()
    world.kms.rotate()

    for data in (sealed, newer, world.seal()):
        assert world.vault().open(data, binding=BINDING) == TOKENS


@pytest.mark.parametrize(
    "code",
    [
        "ThrottlingException",
        "LimitExceededException",
        "AccessDeniedException",
        "DisabledException",
        "KMSInvalidStateException",
        "KMSInternalException",
        "DependencyTimeoutException",
        "KeyUnavailableException",
        "NotFoundException",
        "ExpiredTokenException",
        "SomethingNewException",
    ],
)
def test_r12_whatever_kms_refuses_with_is_unavailable_and_never_damage(world, sealed, code):
    """503 with a time to come back; sealing, opening and preparing alike; afterwards everything is as before."""
    actions = [
        (lambda vault: vault.open(sealed, binding=BINDING), "decrypt"),
        (lambda vault: vault.prepare(BINDING, sealed=sealed), "decrypt"),
        (lambda _: world.seal(), "generate_data_key"),
    ]
    for action, operation in actions:
        vault = world.vault()
        world.kms.faults.throttle(operation, code=code)
        with pytest.raises(StoreUnavailable) as caught:
            action(vault)
        assert 1 <= caught.value.retry_after <= 60
        action(vault)


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url="https://kms.invalid"),
        ConnectTimeoutError(endpoint_url="https://kms.invalid"),
        EndpointConnectionError(endpoint_url="https://kms.invalid"),
    ],
    ids=["read", "connect", "endpoint"],
)
def test_r12_silence_is_unavailable(world, error):
    """A timeout of KMS is our trouble, not the grant's."""
    sealed = world.seal()
    world.kms.faults.fail("decrypt", error)

    with pytest.raises(StoreUnavailable):
        world.vault().open(sealed, binding=BINDING)


@pytest.mark.parametrize("state", ["disable", "schedule_deletion"])
def test_r12_a_key_disabled_or_going_fails_closed_and_comes_back(world, sealed, state):
    """No fallback in clear: nothing seals, nothing opens, until the key is back."""
    getattr(world.kms, state)()
    with pytest.raises(StoreUnavailable):
        world.vault().open(sealed, binding=BINDING)
    with pytest.raises(StoreUnavailable):
        world.seal()

    world.kms.enable()
    assert world.vault().open(sealed, binding=BINDING) == TOKENS


def test_r13_tampered_and_foreign_sets_are_refused_in_the_same_words(world, sealed):
    """Nobody learns from the answer which check failed."""
    flipped = sealed[:-1] + bytes((sealed[-1] ^ 1,))
    answers = set()
    for data, binding in ((flipped, BINDING), (sealed, replace(BINDING, sub="usr_bob")), (b"", BINDING)):
        with pytest.raises(GrantUnreadable) as caught:
            world.vault().open(data, binding=binding)
        answers.add((caught.value.status, caught.value.slug, str(caught.value), str(caught.value.extensions)))

    assert len(answers) == 1


# --- keys in memory ---


def test_r10_a_branch_key_is_opened_again_after_five_minutes(world):
    """By the wall clock, which goes on while an execution environment is frozen."""
    world.add_branch_key()
    sealed = world.seal_under_branch()
    vault = world.vault()
    vault.open(sealed, binding=BINDING)
    before = world.decrypts()

    world.now += 299
    vault.open(sealed, binding=BINDING)
    assert world.decrypts() == before

    world.now += 2
    vault.open(sealed, binding=BINDING)
    assert world.decrypts() == before + 1


def test_r10_a_key_disabled_in_kms_opens_nothing_five_minutes_later(world, sealed):
    """Disabling the VaultKey is the emergency stop: warm containers obey within the cache's age."""
    vault = world.vault()
    vault.open(sealed, binding=BINDING)
    world.kms.disable()
    world.now += 301

    with pytest.raises(StoreUnavailable):
        vault.open(sealed, binding=BINDING)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_r10_a_key_is_used_so_often_and_no_more(clock):
    """After max_uses the key is loaded again."""
    loads: list[int] = []
    cache = KeyCache(max_uses=3, clock=clock)

    for _ in range(7):
        cache.get("k", lambda: loads.append(1) or b"key")

    assert len(loads) == 3


def test_r10_an_expired_key_is_overwritten(clock):
    """Our own copy is zeroed, wherever it expires: by age, by use, by number."""
    cache = KeyCache(max_keys=1, clock=clock)
    cache.get("one", lambda: b"key-one")
    held = cache._held["one"].key

    cache.get("two", lambda: b"key-two")
    assert held == bytes(7)

    held = cache._held["two"].key
    clock.now += 301
    assert cache.get("two", lambda: b"key-2nd") == b"key-2nd"
    assert held == bytes(7)
    assert len(cache) == 1


def test_r10_a_clock_that_goes_back_expires_everything(clock):
    """A key must not live longer because the clock was set."""
    cache = KeyCache(clock=clock)
    clock.now = 1000.0
    cache.get("k", lambda: b"old")
    clock.now = 10.0

    assert cache.get("k", lambda: b"new") == b"new"


def test_threads_that_miss_together_load_once_and_share_failures(clock):
    """Twenty-five ids of one bucket cost one Decrypt; when KMS is down they cost one time-out, not twenty-five."""
    cache = KeyCache(clock=clock)
    arrived = threading.Barrier(25)
    loads: list[int] = []
    loading, release = threading.Event(), threading.Event()
    outcomes: list[str] = []

    def load() -> bytes:
        loads.append(1)
        loading.set()
        release.wait(5)
        raise StoreUnavailable("down")

    def work() -> None:
        arrived.wait()
        try:
            cache.get("k", load)
        except StoreUnavailable as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(25)]
    for thread in threads:
        thread.start()
    assert loading.wait(5)
    timer = threading.Timer(0.3, release.set)
    timer.start()
    for thread in threads:
        thread.join(10)

    assert outcomes == ["down"] * 25
    assert len(loads) == 1
    assert cache.get("k", lambda: b"up") == b"up"


def test_a_vault_is_shared_by_threads(world):
    """Sixteen threads refresh their own grants at once, all through one vault; every set opens for its record."""
    for bucket in range(sealing.BUCKETS):
        world.add_branch_key(bucket=bucket)
    vault = world.vault()
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            binding = replace(BINDING, connection_id=f"con_{number}", sub=f"usr_{number}", grant_id=f"gra_{number}")
            sealed = world.seal(b"0", binding=binding)
            for n in range(1, 30):
                current, successor = replace(binding, n=n), replace(binding, n=n + 1)
                assert vault.open(sealed, binding=current) == str(n - 1).encode()
                sealed = vault.prepare(current, sealed=sealed).seal(str(n).encode(), binding=successor)
        except BaseException as error:  # noqa: BLE001 - a thread's failure is the test's
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert failures == []
