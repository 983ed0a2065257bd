"""What a rotation of the branch keys is, and what it needs of the tables: for the operator's command alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from grantkeeper.model import AuditEvent


@dataclass(frozen=True, slots=True)
class SealedGrant:
    """Under which key a grant is sealed."""

    connection_id: str
    generation: int
    wrapping: Literal["branch", "kms", "unreadable"]
    bucket: int = 0
    version: int = 0


class SealedGrants(Protocol):
    """All grants, by whoever may see them all."""

    def pages(self, *, consistent: bool) -> Iterator[Sequence[SealedGrant]]:
        """Every grant that holds a sealed set."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """Which versions are wanted, since when (epoch seconds); `finished_at` None while it goes on."""

    started_at: int
    targets: Mapping[str, int]  # bucket → version
    finished_at: int | None = None
    write_id: str = ""

    @property
    def versions(self) -> Mapping[int, int]:
        """Bucket → version."""
        return {int(bucket): version for bucket, version in self.targets.items()}


class Rotations(Protocol):
    """The item of the rotation, and the end of old versions."""

    def current(self) -> Rotation | None:
        """The last one, finished or not; consistent."""

    def put(self, rotation: Rotation, *, replaces: Rotation | None, audit: AuditEvent) -> bool:
        """Store it in place of another; False when somebody else was faster."""

    def versions(self, bucket: int, *, below: int) -> Mapping[int, int | None]:
        """Stored versions below one → when they were retired (epoch seconds), None for those that are not."""

    def retire(self, bucket: int, version: int, *, now: int, audit: AuditEvent) -> bool:
        """Mark a version as retired; False when it is already."""

    def delete(self, bucket: int, version: int, *, retired_before: int, audit: AuditEvent) -> bool:
        """Delete a version that was retired before; False when it is gone or was not."""
