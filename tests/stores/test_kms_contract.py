"""
The fake KMS and MiniStack, held to the same cases.

Where MiniStack is wrong a case is an expected failure there: when it is mended
the run says so, and the fake can be trusted a little less on faith.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from grantkeeper.errors import GrantUnreadable, StoreUnavailable
from grantkeeper.key_maker import KmsKeyMaker
from grantkeeper.kms import KmsKey, signing_context
from grantkeeper.model import Binding, BranchKey
from grantkeeper.sealing import BranchWrapping, bucket_of, parse
from grantkeeper.services.rotate_keys import ensure_keys
from grantkeeper.signer import KmsSigner, PublishedKeySet, verify_jws
from grantkeeper.stores.branch_keys import DynamoBranchKeys
from grantkeeper.stores.signing_keys import DynamoSigningKeys
from grantkeeper.vault import KmsSealer, KmsVault
from tests.doubles.dynamodb import InMemoryDynamoDB
from tests.doubles.kms import InMemoryKms
from tests.doubles.tables import create_tables
from tests.support import ministack

CONTEXT = {"purpose": "grant", "connection": "con_a"}
BINDING = Binding("con_a", "usr_a", "google", "client-1", (), "main", "gra_a", 1)


@dataclass
class Kms:
    """A client and the few things an operator does."""

    client: Any
    name: str

    def new_key(self) -> str:
        if self.name == "ministack":
            arn: str = self.client.create_key()["KeyMetadata"]["Arn"]
            return arn
        arn = f"arn:aws:kms:us-east-1:000000000000:key/{uuid.uuid4()}"
        self.client.add_key(arn)
        return arn

    def disable(self, arn: str) -> None:
        if self.name == "ministack":
            self.client.disable_key(KeyId=arn)
        else:
            self.client.disable(arn)

    def schedule_deletion(self, arn: str) -> None:
        if self.name == "ministack":
            self.client.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
        else:
            self.client.schedule_deletion(arn)


@pytest.fixture(params=["double", pytest.param("ministack", marks=pytest.mark.stack)])
def kms(request: pytest.FixtureRequest) -> Iterator[Kms]:
    if request.param == "double":
        yield Kms(InMemoryKms(), "double")
        return
    client = ministack.client("kms", ministack.endpoint_url())
    yield Kms(client, "ministack")
    client.close()


@pytest.fixture
def arn(kms: Kms) -> str:
    return kms.new_key()


@pytest.fixture
def known_wrong_on_ministack(kms: Kms, request: pytest.FixtureRequest) -> None:
    if kms.name == "ministack":
        request.applymarker(pytest.mark.xfail(reason="MiniStack accepts it (security.md 5.2)", strict=True))


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return caught.value.response["Error"]["Code"]


def new_data_key(kms: Kms, arn: str) -> dict[str, Any]:
    answer: dict[str, Any] = kms.client.generate_data_key(KeyId=arn, KeySpec="AES_256", EncryptionContext=CONTEXT)
    return answer


# --- the client ---


def test_a_data_key_opens_with_its_context_in_any_order(kms, arn):
    """R-06: order is irrelevant, and every data key is another."""
    one, other = new_data_key(kms, arn), new_data_key(kms, arn)
    reordered = dict(reversed(CONTEXT.items()))

    opened = kms.client.decrypt(KeyId=arn, CiphertextBlob=one["CiphertextBlob"], EncryptionContext=reordered)

    assert opened["Plaintext"] == one["Plaintext"]
    assert opened["KeyId"] == one["KeyId"] == arn
    assert len(one["Plaintext"]) == 32
    assert one["Plaintext"] != other["Plaintext"]
    assert len(one["CiphertextBlob"]) <= 1024


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"purpose": "grant"},
        {**CONTEXT, "more": "x"},
        {"purpose": "Grant", "connection": "con_a"},
        {"Purpose": "grant", "connection": "con_a"},
        {"purpose": "con_a", "connection": "grant"},
        {"purpose": "branch", "connection": "con_a"},
    ],
    ids=str,
)
def test_r06_any_other_context_is_refused(kms, arn, context):
    """Missing, subset, superset, another case, swapped values."""
    wrapped = new_data_key(kms, arn)["CiphertextBlob"]

    with pytest.raises(ClientError) as caught:
        kms.client.decrypt(KeyId=arn, CiphertextBlob=wrapped, EncryptionContext=context)

    assert code_of(caught) == "InvalidCiphertextException"


def test_a_data_key_without_plaintext_shows_none_and_opens(kms, arn):
    """What branch keys are made with."""
    answer = kms.client.generate_data_key_without_plaintext(KeyId=arn, KeySpec="AES_256", EncryptionContext=CONTEXT)

    assert "Plaintext" not in answer
    opened = kms.client.decrypt(KeyId=arn, CiphertextBlob=answer["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert len(opened["Plaintext"]) == 32


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "RSA_2048"])
def test_a_key_pair_without_plaintext_shows_none_and_opens(kms, arn, spec):
    """What signing keys are made with: the private half is PKCS #8 and belongs to the public one; the context holds."""
    answer = kms.client.generate_data_key_pair_without_plaintext(KeyId=arn, KeyPairSpec=spec, EncryptionContext=CONTEXT)
    wrapped = answer["PrivateKeyCiphertextBlob"]

    assert "PrivateKeyPlaintext" not in answer
    opened = kms.client.decrypt(KeyId=arn, CiphertextBlob=wrapped, EncryptionContext=CONTEXT)
    private = load_der_private_key(opened["Plaintext"], None)
    assert private.public_key() == load_der_public_key(answer["PublicKey"])
    with pytest.raises(ClientError) as caught:
        kms.client.decrypt(KeyId=arn, CiphertextBlob=wrapped, EncryptionContext={"purpose": "signing"})
    assert code_of(caught) == "InvalidCiphertextException"


def test_a_key_pair_with_plaintext_shows_the_same_private_half(kms, arn):
    """GenerateDataKeyPair, for completeness of the double: we never call it."""
    answer = kms.client.generate_data_key_pair(KeyId=arn, KeyPairSpec="ECC_NIST_P256", EncryptionContext=CONTEXT)
    wrapped = answer["PrivateKeyCiphertextBlob"]

    opened = kms.client.decrypt(KeyId=arn, CiphertextBlob=wrapped, EncryptionContext=CONTEXT)

    assert opened["Plaintext"] == answer["PrivateKeyPlaintext"]


def test_an_unknown_key_is_not_found(kms):
    """With the code that the service uses."""
    with pytest.raises(ClientError) as caught:
        new_data_key(kms, f"arn:aws:kms:us-east-1:000000000000:key/{uuid.uuid4()}")

    assert code_of(caught) == "NotFoundException"


@pytest.mark.parametrize(
    ("act", "code"), [("disable", "DisabledException"), ("schedule_deletion", "KMSInvalidStateException")]
)
def test_r12_a_key_out_of_service_neither_makes_nor_opens(kms, arn, act, code):
    """Disabled and pending deletion."""
    wrapped = new_data_key(kms, arn)["CiphertextBlob"]
    getattr(kms, act)(arn)

    with pytest.raises(ClientError) as caught:
        new_data_key(kms, arn)
    assert code_of(caught) == code
    with pytest.raises(ClientError) as caught:
        kms.client.decrypt(KeyId=arn, CiphertextBlob=wrapped, EncryptionContext=CONTEXT)
    assert code_of(caught) == code


@pytest.mark.usefixtures("known_wrong_on_ministack")
def test_r05_a_tampered_ciphertext_is_refused(kms, arn):
    """A bit of the last byte."""
    wrapped = new_data_key(kms, arn)["CiphertextBlob"]

    with pytest.raises(ClientError) as caught:
        kms.client.decrypt(
            KeyId=arn, CiphertextBlob=wrapped[:-1] + bytes((wrapped[-1] ^ 1,)), EncryptionContext=CONTEXT
        )
    assert code_of(caught) == "InvalidCiphertextException"


@pytest.mark.usefixtures("known_wrong_on_ministack")
def test_r08_the_ciphertext_of_another_key_is_refused(kms, arn):
    """KeyId says whose it must be."""
    wrapped = new_data_key(kms, kms.new_key())["CiphertextBlob"]

    with pytest.raises(ClientError) as caught:
        kms.client.decrypt(KeyId=arn, CiphertextBlob=wrapped, EncryptionContext=CONTEXT)
    assert code_of(caught) == "IncorrectKeyException"


# --- what stands on it ---


@pytest.fixture
def dynamodb() -> InMemoryDynamoDB:
    client = InMemoryDynamoDB()
    create_tables(client)
    return client


def test_a_grant_goes_its_way(kms, arn, dynamodb):
    """Sealed by callback, opened by refresh, saved under the branch key; it opens for its own record alone."""
    branch_keys = DynamoBranchKeys(dynamodb, "grants", "audit")
    wrapped = KmsKeyMaker(kms.client, arn).branch_key(bucket=bucket_of("usr_a"), version=1)
    dynamodb.put_item(
        TableName="grants",
        Item={
            "pk": {"S": f"BRANCH#{bucket_of('usr_a')}#newest"},
            "sk": {"S": "BRANCH"},
            "bucket": {"N": str(bucket_of("usr_a"))},
            "version": {"N": "1"},
            "wrapped": {"B": wrapped},
            "created_at": {"N": "1"},
        },
    )
    assert branch_keys.newest(bucket_of("usr_a")) == BranchKey(bucket_of("usr_a"), 1, wrapped, 1)
    vault = KmsVault(kms.client, arn, branch_keys)
    successor = replace(BINDING, n=2)

    first = KmsSealer(kms.client, arn).seal(b"first", binding=BINDING)
    assert vault.open(first, binding=BINDING) == b"first"
    second = vault.prepare(BINDING, sealed=first).seal(b"second", binding=successor)

    assert isinstance(parse(second).wrapping, BranchWrapping)
    assert vault.open(second, binding=successor) == b"second"
    for sealed, binding in ((first, successor), (second, BINDING), (first, replace(BINDING, connection_id="con_b"))):
        with pytest.raises(GrantUnreadable):
            vault.open(sealed, binding=binding)


def test_r05_no_damaged_grant_opens_whatever_kms_lets_pass(kms, arn, dynamodb):
    """MiniStack gives back a wrong key for a tampered one; the set is authenticated on its own and stays shut."""
    vault = KmsVault(kms.client, arn, DynamoBranchKeys(dynamodb, "grants"))
    sealed = KmsSealer(kms.client, arn).seal(b"tokens", binding=BINDING)

    for at in range(0, len(sealed), 5):
        damaged = sealed[:at] + bytes((sealed[at] ^ 1,)) + sealed[at + 1 :]
        with pytest.raises((GrantUnreadable, StoreUnavailable)):
            vault.open(damaged, binding=BINDING)


def test_keys_are_made_and_sign(kms, arn, dynamodb):
    """From the sweeper's first minute to a token that verifies."""
    signing_keys = DynamoSigningKeys(dynamodb, "grants", "audit")
    ensure_keys(
        key_maker=KmsKeyMaker(kms.client, arn),
        signing_keys=signing_keys,
        branch_keys=DynamoBranchKeys(dynamodb, "grants", "audit"),
        now=1_700_000_000,
    )
    signer, key_set = KmsSigner(kms.client, arn, signing_keys), PublishedKeySet(signing_keys)

    for alg in ("ES256", "RS256"):
        token = signer.sign({"sub": "usr_a"}, alg=alg, typ="JWT")
        assert verify_jws(token, key_set=key_set, algorithms=(alg,), typ="JWT")[1] == {"sub": "usr_a"}


def test_r12_a_key_out_of_service_is_unavailable_to_the_product(kms, arn):
    """Not a damaged grant."""
    key = KmsKey(kms.client, arn)
    wrapped = key.wrapped_data_key(signing_context("ES256"))
    kms.disable(arn)

    with pytest.raises(StoreUnavailable):
        key.unwrap(wrapped, signing_context("ES256"))
