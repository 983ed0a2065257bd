"""The keys that grants are sealed under."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BranchKey:
    """A version of the branch key of a bucket of users, wrapped by KMS."""

    bucket: int
    version: int  # 1, 2, …
    wrapped: bytes
    created_at: int
