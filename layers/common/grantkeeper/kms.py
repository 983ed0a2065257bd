"""
The only code that calls KMS.

Every call names the VaultKey, so a ciphertext of another key is refused by
KMS itself, and carries an encryption context. The context is written to
CloudTrail in clear: it holds a purpose, which the roles' policies check, and
opaque ids; never a secret, an e-mail address or a provider's name for anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from grantkeeper.errors import KeyServiceUnavailable
from grantkeeper.sealing import unreadable

if TYPE_CHECKING:
    from grantkeeper.model import Binding

KeyPairSpec = Literal["ECC_NIST_P256", "RSA_2048"]

# The ciphertext or its context is not ours: damage. Everything else KMS may say is trouble, and trouble passes.
_DAMAGE = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
# These end when an operator acts, so a client that comes back in two seconds only makes them louder.
_OPERATOR = frozenset(
    {
        "AccessDeniedException",
        "DisabledException",
        "KMSInvalidStateException",
        "NotFoundException",
        "KeyUnavailableException",
    }
)
_RETRY_SOON = 2  # seconds
_RETRY_LATER = 30


def grant_context(binding: Binding) -> dict[str, str]:
    """Return the context of a grant's data key. `n` is no part of it: a refresh may seal again under the same key."""
    return {
        "purpose": "grant",
        "connection": binding.connection_id,
        "grant": binding.grant_id,
        "token": binding.name,
    }


def branch_context(*, bucket: int, version: int) -> dict[str, str]:
    """Return the context of a branch key."""
    return {"purpose": "branch", "bucket": str(bucket), "version": str(version)}


def signing_context(alg: str) -> dict[str, str]:
    """Return the context of a signing key's private half."""
    return {"purpose": "signing", "alg": alg}


class KmsKey:
    """
    One symmetric KMS key. Thread-safe, as botocore clients are.

    Every method raises `StoreUnavailable` when KMS is throttled, denied,
    disabled or silent; there is no way around it in clear.
    """

    def __init__(self, client: Any, key_arn: str, *, on_refusal: Callable[[], None] = lambda: None) -> None:
        """
        Args:
            client: A botocore KMS client with timeouts set.
            key_arn: The VaultKey, never an alias.
            on_refusal: Called when KMS refuses or is silent, which is what an alarm watches for; not for damage.
        """
        self._client = client
        self._key_arn = key_arn
        self._on_refusal = on_refusal

    def data_key(self, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """Return a new 256-bit data key: (plaintext, wrapped)."""
        answer = self._call(self._client.generate_data_key, KeySpec="AES_256", EncryptionContext=dict(context))
        return answer["Plaintext"], answer["CiphertextBlob"]

    def wrapped_data_key(self, context: Mapping[str, str]) -> bytes:
        """Return a new 256-bit data key, wrapped; its plaintext leaves KMS for nobody."""
        answer = self._call(
            self._client.generate_data_key_without_plaintext, KeySpec="AES_256", EncryptionContext=dict(context)
        )
        wrapped: bytes = answer["CiphertextBlob"]
        return wrapped

    def wrapped_key_pair(self, spec: KeyPairSpec, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """Return a new key pair: (public key as DER SubjectPublicKeyInfo, wrapped private key)."""
        answer = self._call(
            self._client.generate_data_key_pair_without_plaintext, KeyPairSpec=spec, EncryptionContext=dict(context)
        )
        return answer["PublicKey"], answer["PrivateKeyCiphertextBlob"]

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """
        Open a wrapped key.

        Raises:
            GrantUnreadable: Not wrapped by this key for this context.
        """
        answer = self._call(self._client.decrypt, CiphertextBlob=wrapped, EncryptionContext=dict(context))
        key: bytes = answer["Plaintext"]
        return key

    def _call(self, operation: Callable[..., Any], **parameters: Any) -> Any:
        try:
            return operation(KeyId=self._key_arn, **parameters)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _DAMAGE:
                raise unreadable() from error
            self._on_refusal()
            wait = _RETRY_LATER if code in _OPERATOR else _RETRY_SOON
            raise KeyServiceUnavailable("The key service refused.", retry_after=wait) from error
        except BotoCoreError as error:
            self._on_refusal()
            raise KeyServiceUnavailable("The key service did not answer.", retry_after=_RETRY_SOON) from error
