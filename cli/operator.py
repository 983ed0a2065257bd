"""Who acts when the operator's CLI writes: the audit trail names the AWS user, as far as the environment tells."""

from __future__ import annotations

import getpass
import time
from typing import Any

from grantkeeper import ids
from grantkeeper.model import AuditEvent


def now() -> int:
    """Epoch seconds."""
    return int(time.time())


def event(action: str, **fields: Any) -> AuditEvent:
    """An audit entry of the operator."""
    return AuditEvent(id=ids.new_id("evt"), time=now(), action=action, actor=actor(), **fields)


def actor() -> str:
    """`operator:<login name>`."""
    try:
        return f"operator:{getpass.getuser()}"
    except (KeyError, OSError):
        return "operator:unknown"
