# ruff: noqa: N803 - the argument names are those of the service
"""
KMS in memory, behind the methods of a botocore client.

What the emulators get wrong is right here: a ciphertext is authenticated
(AES-GCM, the canonical encryption context as AAD), `KeyId` must be the key
that made it, and a disabled key is disabled. `test_kms_contract.py` holds the
double and MiniStack to the same cases. Calls and faults are in `faults`.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.doubles.dynamodb_values import client_error
from tests.doubles.faults import Faults

VAULT_KEY_ARN = "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-4000-8000-000000000000"

_MAGIC = b"kms\x01"


@dataclass
class _Key:
    materials: list[bytes] = field(default_factory=lambda: [secrets.token_bytes(32)])
    state: str = "Enabled"


class InMemoryKms:
    """Symmetric keys by ARN; thread-safe."""

    def __init__(self, *arns: str) -> None:
        """Args: arns: the keys there are; without any, the VaultKey of `tests.doubles.aws`."""
        self.faults = Faults()
        self._keys = {arn: _Key() for arn in arns or (VAULT_KEY_ARN,)}
        self._lock = threading.Lock()

    # --- control ---

    def add_key(self, arn: str) -> None:
        """Make another key."""
        self._keys[arn] = _Key()

    def disable(self, arn: str = VAULT_KEY_ARN) -> None:
        """DisableKey."""
        self._keys[arn].state = "Disabled"

    def enable(self, arn: str = VAULT_KEY_ARN) -> None:
        """EnableKey, or CancelKeyDeletion and EnableKey."""
        self._keys[arn].state = "Enabled"

    def schedule_deletion(self, arn: str = VAULT_KEY_ARN) -> None:
        """ScheduleKeyDeletion."""
        self._keys[arn].state = "PendingDeletion"

    def rotate(self, arn: str = VAULT_KEY_ARN) -> None:
        """RotateKeyOnDemand: new ciphertexts under new material, old ones still open."""
        self._keys[arn].materials.append(secrets.token_bytes(32))

    def contexts(self) -> list[dict[str, str]]:
        """Every encryption context ever sent: what CloudTrail would show in clear."""
        return [dict(kwargs.get("EncryptionContext", {})) for _, kwargs in self.faults.calls]

    # --- the client ---

    def generate_data_key(self, **kwargs: Any) -> dict[str, Any]:
        """GenerateDataKey."""
        return self.faults.call("generate_data_key", self._generate_data_key, kwargs)

    def generate_data_key_without_plaintext(self, **kwargs: Any) -> dict[str, Any]:
        """GenerateDataKeyWithoutPlaintext."""
        return self.faults.call(
            "generate_data_key_without_plaintext", _without(self._generate_data_key, "Plaintext"), kwargs
        )

    def generate_data_key_pair(self, **kwargs: Any) -> dict[str, Any]:
        """GenerateDataKeyPair."""
        return self.faults.call("generate_data_key_pair", self._generate_data_key_pair, kwargs)

    def generate_data_key_pair_without_plaintext(self, **kwargs: Any) -> dict[str, Any]:
        """GenerateDataKeyPairWithoutPlaintext."""
        return self.faults.call(
            "generate_data_key_pair_without_plaintext",
            _without(self._generate_data_key_pair, "PrivateKeyPlaintext"),
            kwargs,
        )

    def decrypt(self, **kwargs: Any) -> dict[str, Any]:
        """Decrypt of a symmetric ciphertext."""
        return self.faults.call("decrypt", self._decrypt, kwargs)

    def describe_key(self, **kwargs: Any) -> dict[str, Any]:
        """DescribeKey, of a key in whatever state."""
        return self.faults.call("describe_key", self._describe_key, kwargs)

    # --- what the service does ---

    def _describe_key(self, *, KeyId: str) -> dict[str, Any]:
        state = self._keys[KeyId].state
        return {"KeyMetadata": {"KeyId": KeyId, "KeyState": state, "Enabled": state == "Enabled"}}

    def _generate_data_key(
        self, *, KeyId: str, KeySpec: str, EncryptionContext: dict[str, str] | None = None
    ) -> dict[str, Any]:
        if KeySpec != "AES_256":
            raise client_error("GenerateDataKey", "ValidationException", "KeySpec")
        plaintext = secrets.token_bytes(32)
        wrapped = self._encrypt("GenerateDataKey", KeyId, plaintext, EncryptionContext)
        return {"KeyId": KeyId, "Plaintext": plaintext, "CiphertextBlob": wrapped}

    def _generate_data_key_pair(
        self, *, KeyId: str, KeyPairSpec: str, EncryptionContext: dict[str, str] | None = None
    ) -> dict[str, Any]:
        private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
        if KeyPairSpec == "ECC_NIST_P256":
            private = ec.generate_private_key(ec.SECP256R1())
        elif KeyPairSpec == "RSA_2048":
            private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        else:
            raise client_error("GenerateDataKeyPair", "ValidationException", "KeyPairSpec")
        plaintext = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return {
            "KeyId": KeyId,
            "KeyPairSpec": KeyPairSpec,
            "PublicKey": private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            "PrivateKeyPlaintext": plaintext,
            "PrivateKeyCiphertextBlob": self._encrypt("GenerateDataKeyPair", KeyId, plaintext, EncryptionContext),
        }

    def _decrypt(
        self, *, CiphertextBlob: bytes, EncryptionContext: dict[str, str] | None = None, KeyId: str | None = None
    ) -> dict[str, Any]:
        if not 1 <= len(CiphertextBlob) <= 6144:
            raise client_error("Decrypt", "ValidationException", "ciphertextBlob")
        made_by, generation, nonce, ciphertext = self._parse(CiphertextBlob)
        if KeyId is not None:
            self._usable("Decrypt", KeyId)
            if made_by != KeyId:
                raise client_error("Decrypt", "IncorrectKeyException", "The key ID in the request does not identify")
        materials = self._usable("Decrypt", made_by).materials
        try:
            key = AESGCM(materials[generation])
            plaintext = key.decrypt(nonce, ciphertext, _canonical("Decrypt", EncryptionContext))
        except (InvalidTag, IndexError):
            raise client_error("Decrypt", "InvalidCiphertextException", "") from None
        return {"KeyId": made_by, "Plaintext": plaintext, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}

    def _encrypt(self, operation: str, arn: str, plaintext: bytes, context: dict[str, str] | None) -> bytes:
        with self._lock:
            materials = self._usable(operation, arn).materials
            generation = len(materials) - 1
        nonce = secrets.token_bytes(12)
        name = arn.encode()
        header = _MAGIC + len(name).to_bytes(2) + name + generation.to_bytes(2)
        return header + nonce + AESGCM(materials[generation]).encrypt(nonce, plaintext, _canonical(operation, context))

    def _parse(self, blob: bytes) -> tuple[str, int, bytes, bytes]:
        """A blob whose key cannot be read is no ciphertext of ours, as the service says it."""
        size = int.from_bytes(blob[4:6])
        arn = blob[6 : 6 + size].decode("utf-8", "replace")
        rest = blob[6 + size :]
        if not blob.startswith(_MAGIC) or arn not in self._keys or len(rest) < 2 + 12 + 16:
            raise client_error("Decrypt", "InvalidCiphertextException", "")
        return arn, int.from_bytes(rest[:2]), rest[2:14], rest[14:]

    def _usable(self, operation: str, arn: str) -> _Key:
        key = self._keys.get(arn)
        if key is None:
            raise client_error(operation, "NotFoundException", f"Key '{arn}' does not exist")
        if key.state == "Disabled":
            raise client_error(operation, "DisabledException", f"{arn} is disabled.")
        if key.state != "Enabled":
            raise client_error(operation, "KMSInvalidStateException", f"{arn} is pending deletion.")
        return key


def _without(method: Callable[..., dict[str, Any]], plaintext: str) -> Callable[..., dict[str, Any]]:
    return lambda **kwargs: {name: value for name, value in method(**kwargs).items() if name != plaintext}


def _canonical(operation: str, context: dict[str, str] | None) -> bytes:
    """The context as AAD: order does not matter, everything else does."""
    if any(not isinstance(text, str) for pair in (context or {}).items() for text in pair):
        raise client_error(operation, "ValidationException", "encryptionContext")
    return json.dumps(context or {}, sort_keys=True).encode()
