"""Making keys that nobody sees: KMS returns them wrapped, for the function that may open them one day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from grantkeeper.errors import StoreUnavailable
from grantkeeper.jws import public_jwk
from grantkeeper.kms import KeyPairSpec, KmsKey, branch_context, signing_context

_SPECS: Mapping[str, KeyPairSpec] = {"ES256": "ECC_NIST_P256", "RS256": "RSA_2048"}


class KmsKeyMaker:
    """`ports.KeyMaker`: needs GenerateDataKeyWithoutPlaintext and GenerateDataKeyPairWithoutPlaintext, no Decrypt."""

    def __init__(self, kms: Any, key_arn: str) -> None:
        """Args: kms: a botocore KMS client; key_arn: the VaultKey."""
        self._kms = KmsKey(kms, key_arn)

    def signing_pair(self, alg: Literal["ES256", "RS256"]) -> tuple[Mapping[str, str], bytes]:
        """
        Make a signing key pair.

        Returns:
            (public JWK with its required members, private half wrapped under the purpose `signing`).

        Raises:
            StoreUnavailable: KMS did not make one.
        """
        der, wrapped = self._kms.wrapped_key_pair(_SPECS[alg], signing_context(alg))
        public = load_der_public_key(der)
        if not isinstance(public, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey)):
            raise StoreUnavailable("The key service made another kind of key.")
        return public_jwk(public), wrapped

    def branch_key(self, *, bucket: int, version: int) -> bytes:
        """
        Make a branch key, wrapped under the purpose `branch` for this bucket and version alone.

        Raises:
            StoreUnavailable: KMS did not make one.
        """
        return self._kms.wrapped_data_key(branch_context(bucket=bucket, version=version))
