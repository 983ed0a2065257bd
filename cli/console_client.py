"""The console's own registration: a public client like any other, made by `grantkeeper init` and by the local run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from grantkeeper.model import AuditEvent, Client
from grantkeeper.wiring import Wiring

CONSOLE_ID = "console"
SIGN_UP = ("invited", "open")
SCOPES = ("openid", "profile", "email", "admin:read", "admin:write", "audit:read", "metrics:read")


def ensure_console(
    wiring: Wiring, *, now: int, event: Callable[..., AuditEvent], sign_up: str | None = None
) -> str | None:
    """
    Register the client `console` for this deployment's address, or bring its registration up to date.

    By default it admits who has an account here already: a console open to the world would let anybody in the world
    make himself an account, and with it pass every other client that is by invitation. What an operator changed of the
    registration otherwise, such as the providers that may sign in at the console, stays.

    Args:
        now: Epoch seconds.
        event: Makes an audit entry from an action and its fields.
        sign_up: `invited` or `open`; None leaves it as it is, and is `invited` at first.

    Returns:
        What was done, `registered` or `updated`; None when nothing was missing.
    """
    uri = f"{wiring.issuer}/console"
    known = wiring.clients.get(CONSOLE_ID)
    wanted: dict[str, Any] = {
        "redirect_uris": (uri,),
        "post_logout_redirect_uris": (uri,),
        "scopes": SCOPES,
        "sign_up": sign_up or (known.sign_up if known else "invited"),
    }
    if known is None:
        client = Client(CONSOLE_ID, "Grantkeeper console", created_at=now, **wanted)
        wiring.clients.put(client, audit=event("client.registered", client_id=CONSOLE_ID))
        return "registered"
    client = replace(known, **wanted)
    if client == known:
        return None
    changed = {name: f"{getattr(known, name)} to {value}" for name, value in wanted.items()}
    changed = {name: text for name, text in changed.items() if getattr(known, name) != wanted[name]}
    wiring.clients.put(client, audit=event("client.updated", client_id=CONSOLE_ID, details=changed))
    return "updated"
