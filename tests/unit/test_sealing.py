"""The sealed format: what opens, and that nothing else does."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grantkeeper import sealing
from grantkeeper.errors import GrantUnreadable
from grantkeeper.model import Binding
from grantkeeper.sealing import BranchWrapping, KmsWrapping

KEY = bytes(range(32))
BINDING = Binding(
    connection_id="con_a",
    sub="usr_a",
    provider="google",
    credentials_id="client-1",
    variables=(("region", "eu"), ("subdomain", "acme")),
    name="main",
    grant_id="gra_a",
    n=7,
)
WRAPPINGS = (
    KmsWrapping(b"w" * 184),
    BranchWrapping(bucket=3, version=9, salt=bytes(32)),
)

# Made once by the first release.
GOLDEN = (
    "01020003000000090000000000000000000000000000000000000000000000000000000000000000"
    "53fc044bc7a8e91e8220a88f3b67559f104f5fe10342cd3dd1b4806cfea9fa897398"
)
GOLDEN_DATA_KEY = "bec089979c6d74b257cb478e94843aed3d7bf4a746fc94218bfa685aab825488"

bindings = st.builds(
    Binding,
    connection_id=st.text(max_size=8),
    sub=st.text(max_size=8),
    provider=st.text(max_size=8),
    credentials_id=st.text(max_size=8),
    variables=st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), max_size=3).map(tuple),
    name=st.text(max_size=8),
    grant_id=st.text(max_size=8),
    n=st.integers(min_value=0, max_value=2**40),
    table=st.text(max_size=8),
)
wrappings = st.one_of(
    st.builds(KmsWrapping, st.binary(min_size=1, max_size=sealing.MAX_WRAPPED_KEY)),
    st.builds(
        BranchWrapping,
        bucket=st.integers(0, 2**16 - 1),
        version=st.integers(0, 2**32 - 1),
        salt=st.binary(min_size=32, max_size=32),
    ),
)


def normal(binding: Binding) -> Binding:
    return replace(binding, variables=tuple(sorted(binding.variables)))


@given(plaintext=st.binary(max_size=4096), wrapping=wrappings, binding=bindings)
def test_what_was_sealed_opens_for_its_own_binding(plaintext, wrapping, binding):
    """The plaintext comes back whole, and the header says how to get at its key."""
    sealed = sealing.parse(sealing.seal(plaintext, key=KEY, wrapping=wrapping, binding=binding))

    assert sealed.wrapping == wrapping
    assert sealing.unseal(sealed, key=KEY, binding=binding) == plaintext


@given(one=bindings, other=bindings, header=st.binary(max_size=8), other_header=st.binary(max_size=8))
def test_r01_no_two_bindings_share_an_aad(one, other, header, other_header):
    """Wherever the texts are cut, another binding or header is another AAD; the order of variables alone is free."""
    same = (normal(one), header) == (normal(other), other_header)

    assert (sealing.aad(one, header=header) == sealing.aad(other, header=other_header)) is same


def test_r01_moving_a_character_between_neighbouring_fields_changes_the_aad():
    """Fields are framed, not joined: `ab` + `c` is not `a` + `bc`."""
    one = replace(BINDING, connection_id="ab", sub="c")
    other = replace(BINDING, connection_id="a", sub="bc")

    assert sealing.aad(one, header=b"") != sealing.aad(other, header=b"")


@pytest.mark.parametrize(
    "field", ["connection_id", "sub", "provider", "credentials_id", "variables", "name", "grant_id", "n", "table"]
)
@pytest.mark.parametrize("wrapping", WRAPPINGS, ids=["kms", "branch"])
def test_r01_r02_r04_a_set_moved_to_any_other_record_does_not_open(field, wrapping):
    """Every word of the binding counts: owner, connection, token name, endpoint, consent and count."""
    elsewhere = {"variables": (("region", "us"), ("subdomain", "acme")), "n": 8}.get(field, "other")
    sealed = sealing.parse(sealing.seal(b"tokens", key=KEY, wrapping=wrapping, binding=BINDING))

    with pytest.raises(GrantUnreadable):
        sealing.unseal(sealed, key=KEY, binding=replace(BINDING, **{field: elsewhere}))


def test_endpoint_variables_may_come_back_in_any_order():
    """A store that sorts its maps does not lock anybody out."""
    sealed = sealing.parse(sealing.seal(b"tokens", key=KEY, wrapping=WRAPPINGS[0], binding=BINDING))

    assert sealing.unseal(sealed, key=KEY, binding=replace(BINDING, variables=BINDING.variables[::-1])) == b"tokens"


def opens(data: bytes) -> bool:
    """Open with the data key of the untouched header, which is more than an attacker without KMS gets."""
    try:
        sealing.unseal(sealing.parse(data), key=KEY, binding=BINDING)
    except GrantUnreadable as error:
        return str(error) != "The stored grant does not open."  # one text for every kind of damage
    return True


@pytest.mark.parametrize("wrapping", WRAPPINGS, ids=["kms", "branch"])
def test_r05_every_single_flipped_bit_is_an_authentication_error(wrapping):
    """Format, wrapping, wrapped key, bucket, version, salt, nonce, ciphertext and tag: all of it is authenticated."""
    sealed = sealing.seal(b"a token set of some length", key=KEY, wrapping=wrapping, binding=BINDING)

    assert opens(sealed)
    for bit in range(len(sealed) * 8):
        damaged = bytearray(sealed)
        damaged[bit // 8] ^= 1 << bit % 8
        assert not opens(bytes(damaged)), f"bit {bit}"


@pytest.mark.parametrize("wrapping", WRAPPINGS, ids=["kms", "branch"])
def test_r05_every_truncation_and_any_extension_is_an_error(wrapping):
    """No prefix opens, nor anything longer."""
    sealed = sealing.seal(b"a token set", key=KEY, wrapping=wrapping, binding=BINDING)

    assert not any(opens(sealed[:length]) for length in range(len(sealed)))
    assert not opens(sealed + b"\0")
    assert not opens(b"\0" + sealed)


@given(data=st.binary(max_size=200))
@settings(max_examples=300)
def test_r05_garbage_is_an_error_and_never_a_crash(data):
    """Whatever stands in the attribute, the answer is the typed error."""
    assert not opens(data)


@given(data=st.binary(max_size=120), kind=st.sampled_from([1, 2]))
@settings(max_examples=300)
def test_r05_garbage_behind_a_good_start_is_an_error(data, kind):
    """Lengths in the header are never believed beyond the bytes that are there."""
    assert not opens(bytes((1, kind)) + data)


def test_a_wrapped_key_over_the_bound_and_a_set_over_64_kib_are_refused():
    """Bounds are checked before anything is decrypted or sent to KMS."""
    long_key = sealing.seal(b"", key=KEY, wrapping=KmsWrapping(b"w" * 1025), binding=BINDING)
    no_key = sealing.seal(b"", key=KEY, wrapping=KmsWrapping(b""), binding=BINDING)
    large = sealing.seal(bytes(sealing.MAX_SEALED), key=KEY, wrapping=WRAPPINGS[0], binding=BINDING)

    for data in (long_key, no_key, large):
        with pytest.raises(GrantUnreadable):
            sealing.parse(data)


@pytest.mark.parametrize("version", [0, 2, 255])
def test_r14_another_format_version_is_refused(version):
    """One version is readable; a set relabelled to an older or unknown one is not."""
    sealed = sealing.seal(b"tokens", key=KEY, wrapping=WRAPPINGS[0], binding=BINDING)

    with pytest.raises(GrantUnreadable):
        sealing.parse(bytes((version,)) + sealed[1:])


def test_r09_nonces_and_salts_never_repeat():
    """A hundred thousand seals: no nonce and no salt twice."""
    nonces = {sealing.seal(b"", key=KEY, wrapping=WRAPPINGS[0], binding=BINDING)[-28:-16] for _ in range(100_000)}
    salts = {sealing.new_branch_wrapping(bucket=0, version=1).salt for _ in range(100_000)}

    assert len(nonces) == len(salts) == 100_000


def test_every_seal_under_one_branch_key_has_a_key_of_its_own():
    """Bucket, version and salt each lead to another data key."""
    wrapping = BranchWrapping(1, 1, bytes(32))
    others = [replace(wrapping, bucket=2), replace(wrapping, version=2), replace(wrapping, salt=b"\1" * 32)]
    keys = {sealing.branch_data_key(KEY, wrapping=w) for w in [wrapping, *others]}

    assert len(keys) == 4
    assert all(len(key) == 32 for key in keys)


def test_buckets_are_stable_and_evenly_filled():
    """The bucket of a user never changes; sixteen thousand users spread over all sixteen."""
    counts = [0] * sealing.BUCKETS
    for number in range(16_000):
        counts[sealing.bucket_of(f"usr_{number}")] += 1

    assert sealing.bucket_of("usr_golden") == 6
    assert min(counts) > 800
    assert max(counts) < 1200


def test_the_layout_is_what_the_documentation_says():
    """A set sealed by an earlier release must open for ever: these bytes are frozen."""
    sealed = bytes.fromhex(GOLDEN)

    assert sealing.parse(sealed).wrapping == WRAPPINGS[1]
    assert opens(sealed)
    assert sealing.branch_data_key(KEY, wrapping=WRAPPINGS[1]).hex() == GOLDEN_DATA_KEY


@given(secret=st.text(min_size=1, max_size=50), plaintext=st.binary(max_size=500), context=st.text(max_size=40))
def test_what_is_sealed_under_a_secret_opens_under_it(secret, plaintext, context):
    """The verifier and nonce come back for the bearer of `state`."""
    sealed = sealing.seal_under(secret, plaintext, context=context)

    assert sealing.open_under(secret, sealed, context=context) == plaintext


def test_another_secret_or_context_opens_nothing():
    """What is sealed for one purpose under one secret serves no other."""
    secret = secrets.token_urlsafe(32)
    sealed = sealing.seal_under(secret, b"verifier", context="ar:1")

    for other, context in [(secrets.token_urlsafe(32), "ar:1"), (secret, "ar:2"), (secret, ""), ("", "ar:1")]:
        with pytest.raises(GrantUnreadable):
            sealing.open_under(other, sealed, context=context)


def test_every_damage_to_what_is_sealed_under_a_secret_is_the_typed_error():
    """Each flipped bit, each truncation, and a grant put in its place."""
    sealed = sealing.seal_under("secret", b"verifier", context="c")
    damaged = [sealed[:length] for length in range(len(sealed))] + [sealed + b"\0"]
    for bit in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))
    damaged.append(sealing.seal(b"tokens", key=KEY, wrapping=WRAPPINGS[1], binding=BINDING))

    for data in damaged:
        with pytest.raises(GrantUnreadable):
            sealing.open_under("secret", data, context="c")


def test_two_seals_of_one_plaintext_share_nothing():
    """Salt and nonce are fresh, so equal secrets are not seen to be equal."""
    one, other = (sealing.seal_under("secret", b"same", context="c") for _ in range(2))

    assert one[2:34] != other[2:34]
    assert one[34:46] != other[34:46]
    assert one[46:] != other[46:]
