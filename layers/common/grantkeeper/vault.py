"""
Sealing and opening grants.

`KmsSealer` seals and cannot open; `KmsVault` opens. Both write the format of
`sealing`. A grant is first sealed under a data key of KMS; once the refresh
function has saved it, under a key derived from the branch key of the user's
bucket, which is cached in memory, so that a warm refresh calls no KMS.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grantkeeper import sealing
from grantkeeper.key_cache import KeyCache
from grantkeeper.kms import KmsKey, branch_context, grant_context
from grantkeeper.sealing import BranchWrapping, KmsWrapping

if TYPE_CHECKING:
    from grantkeeper.model import Binding, BranchKey
    from grantkeeper.ports import BranchKeys, SealingKey


class KmsSealer:
    """`ports.Sealer`: one GenerateDataKey, and a fresh data key, per seal."""

    def __init__(self, kms: Any, key_arn: str, *, on_refusal: Callable[[], None] = lambda: None) -> None:
        """Args: kms: a botocore KMS client; key_arn: the VaultKey; on_refusal: as of `KmsKey`."""
        self._kms = KmsKey(kms, key_arn, on_refusal=on_refusal)

    def seal(self, plaintext: bytes, *, binding: Binding) -> bytes:
        """
        Seal a token set for its record.

        Raises:
            StoreUnavailable: KMS did not make a key.
        """
        key, wrapped = self._kms.data_key(grant_context(binding))
        return sealing.seal(plaintext, key=key, wrapping=KmsWrapping(wrapped), binding=binding)


@dataclass(frozen=True, slots=True)
class _BranchKeyInHand:
    """Seals under a branch key already opened; every seal has a salt, and so a key, of its own."""

    bucket: int
    version: int
    key: bytes = field(repr=False)

    def seal(self, plaintext: bytes, *, binding: Binding) -> bytes:
        wrapping = sealing.new_branch_wrapping(bucket=self.bucket, version=self.version)
        data_key = sealing.branch_data_key(self.key, wrapping=wrapping)
        return sealing.seal(plaintext, key=data_key, wrapping=wrapping, binding=binding)


@dataclass(frozen=True, slots=True)
class _DataKeyInHand:
    """Seals once more under the data key of the current set, with a fresh nonce."""

    wrapping: KmsWrapping
    connection_id: str
    grant_id: str
    name: str
    key: bytes = field(repr=False)

    def seal(self, plaintext: bytes, *, binding: Binding) -> bytes:
        if (binding.connection_id, binding.grant_id, binding.name) != (self.connection_id, self.grant_id, self.name):
            raise ValueError("a data key serves the grant it was made for and no other")
        return sealing.seal(plaintext, key=self.key, wrapping=self.wrapping, binding=binding)


class KmsVault:
    """
    `ports.Vault`: opens both wrappings and hands out keys to seal with.

    Thread-safe. Opened keys are cached for at most 5 minutes and 10 000 uses:
    branch keys by bucket and version, data keys by their wrapped form and
    whole context, so no two grants can share one.
    """

    def __init__(
        self,
        kms: Any,
        key_arn: str,
        branch_keys: BranchKeys,
        *,
        buckets: int = sealing.BUCKETS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Args: buckets: how many buckets new seals are spread over; clock: epoch seconds, for the age of keys."""
        self._kms = KmsKey(kms, key_arn)
        self._branch_keys = branch_keys
        self._buckets = buckets
        self._cache = KeyCache(clock=clock)

    def open(self, sealed: bytes, *, binding: Binding) -> bytes:
        """
        Open a sealed set for its own record.

        Raises:
            GrantUnreadable: Not sealed for this binding, or edited.
            StoreUnavailable: KMS or the branch key's item does not answer.
        """
        parsed = sealing.parse(sealed)
        wrapping = parsed.wrapping
        if isinstance(wrapping, KmsWrapping):
            key = self._data_key(wrapping, binding)
        else:
            branch_key = self._branch_key(bucket=wrapping.bucket, version=wrapping.version)
            key = sealing.branch_data_key(branch_key, wrapping=wrapping)
        return sealing.unseal(parsed, key=key, binding=binding)

    def prepare(self, binding: Binding, *, sealed: bytes) -> SealingKey:
        """
        Get everything the next save needs, before the provider is called.

        The newest branch key of the user's bucket; while there is none, the
        key of the current set. Never an older version than the current set's:
        an item that went missing does not take us back.

        Args:
            binding: The current set's or its successor's; they differ in `n` alone.
            sealed: The current set.

        Raises:
            GrantUnreadable: The current set is damaged, or the branch key's item is.
            StoreUnavailable: KMS or the branch key's item does not answer.
        """
        current = sealing.parse(sealed).wrapping
        newest = self._newest(binding, current)
        if newest is not None:
            key = self._branch_key(bucket=newest.bucket, version=newest.version, item=newest)
            return _BranchKeyInHand(newest.bucket, newest.version, key)
        if isinstance(current, BranchWrapping):
            key = self._branch_key(bucket=current.bucket, version=current.version)
            return _BranchKeyInHand(current.bucket, current.version, key)
        key = self._data_key(current, binding)
        return _DataKeyInHand(current, binding.connection_id, binding.grant_id, binding.name, key)

    def is_current(self, sealed: bytes, *, binding: Binding) -> bool:
        """
        Tell whether the set is sealed under the newest key there is for it; if not, it wants re-sealing.

        Raises:
            GrantUnreadable: The set is damaged.
            StoreUnavailable: The branch key's item does not answer.
        """
        current = sealing.parse(sealed).wrapping
        newest = self._newest(binding, current)
        if newest is None:
            return True
        return isinstance(current, BranchWrapping) and (current.bucket, current.version) == (
            newest.bucket,
            newest.version,
        )

    def _newest(self, binding: Binding, current: sealing.Wrapping) -> BranchKey | None:
        newest = self._branch_keys.newest(sealing.bucket_of(binding.sub, buckets=self._buckets))
        if newest is None or not isinstance(current, BranchWrapping) or current.bucket != newest.bucket:
            return newest
        return newest if newest.version >= current.version else None

    def _data_key(self, wrapping: KmsWrapping, binding: Binding) -> bytes:
        context = grant_context(binding)
        name = (hashlib.sha256(wrapping.wrapped_key).digest(), tuple(context.items()))
        return self._cache.get(name, lambda: self._kms.unwrap(wrapping.wrapped_key, context))

    def _branch_key(self, *, bucket: int, version: int, item: BranchKey | None = None) -> bytes:
        def unwrap() -> bytes:
            stored = item or self._branch_keys.get(bucket, version)
            if stored is None:
                raise sealing.unreadable()
            return self._kms.unwrap(stored.wrapped, branch_context(bucket=bucket, version=version))

        return self._cache.get((bucket, version), unwrap)
