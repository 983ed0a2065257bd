"""Applying a sealed answer that DynamoDB refused when it came: the same write, the same fence; no KMS, no provider."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from grantkeeper.model import Grant
from grantkeeper.ports import Grants

Rescued = Literal["saved", "moved", "revoked", "dropped"]


def rescue(parked: Grant, *, grants: Grants) -> Rescued:
    """
    Save a parked successor as generation g + 1.

    Doing it twice changes nothing: the write recognises itself.

    Args:
        parked: As the refresh function sealed it; it carries its own write_id.

    Returns:
        `saved`; `moved`: the generation went on without it; `revoked`: the connection was disconnected, and the tokens
        are kept, sealed and due, for the worker that revokes them; `dropped`: disconnected, and they are not the
        latest.

    Raises:
        StoreUnavailable: DynamoDB refuses still; the message stays in the queue.
    """
    rescued = replace(parked, caused_by="rescue")
    saved = grants.save(rescued)
    if saved.outcome != "revoked":
        return saved.outcome
    return "revoked" if grants.keep_for_revocation(rescued) else "dropped"
