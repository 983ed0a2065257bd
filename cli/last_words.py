"""
What the trail said last of a state since a table was restored: suspensions, roles, erasures, clients, and what moved.

Only what takes something away is said again. Whoever was let back or got a role since then is told to nobody here: that
is for a person to give once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cli import operator
from cli.archive.frozen import Busy, Freezer
from cli.archive.tables import Tables
from cli.stack import Stack
from grantkeeper.errors import GrantkeeperError, ProviderNotConfigured
from grantkeeper.model import AuditEvent, Role
from grantkeeper.services.acting import Acting
from grantkeeper.services.change_user import By, give_role, suspend
from grantkeeper.services.erase_user import erase_user
from grantkeeper.services.manage_clients import switch_client

# action → what it is a state of; of several since then the last one counts
STATES: Mapping[str, str] = {
    "connection.frozen": "connection",
    "connection.thawed": "connection",
    "user.suspended": "status",
    "user.resumed": "status",
    "user.role_changed": "role",
    "user.erasure_started": "erasure",
    "client.disabled": "client",
    "client.enabled": "client",
}
NOT_FROZEN = "could not be frozen: again in six minutes, before anything is refreshed"
RANKS: tuple[Role, ...] = ("user", "auditor", "admin")


def last_words(events: Iterable[AuditEvent]) -> list[AuditEvent]:
    """The last event of each state, what moved away first: nothing may be disconnected before it is frozen."""
    last: dict[tuple[str, str], AuditEvent] = {}
    for event in events:
        key = (STATES[event.action], _whose(event))
        if key not in last or (event.time, event.id) > (last[key].time, last[key].id):
            last[key] = event
    return sorted(last.values(), key=lambda event: (event.action != "connection.frozen", event.time))


def said_again(stack: Stack, event: AuditEvent, *, apply: bool) -> str | None:
    """Bring one state about again; None when it is so, or takes nothing away."""
    match event.action:
        case "connection.frozen":
            return _frozen_again(stack, event, apply=apply)
        case "user.suspended":
            return _suspended_again(stack, event, apply=apply)
        case "user.role_changed":
            return _role_again(stack, event, apply=apply)
        case "user.erasure_started":
            return _erased_again(stack, event, apply=apply)
        case "client.disabled":
            return _disabled_again(stack, event, apply=apply)
    return None


def _frozen_again(stack: Stack, event: AuditEvent, *, apply: bool) -> str | None:
    """It lives on in another stack, which spends its refresh token."""
    connection = stack.wiring.connections.get(event.connection_id or "")
    if connection is None or connection.status != "active":
        return None
    if not apply:
        return "would be frozen"
    try:
        Freezer(Tables.of(stack.wiring), stack.wiring, event.details["archive"]).freeze(connection, again=True)
    except ProviderNotConfigured:
        return "its provider has no record here: nothing spends or revokes it"
    except (Busy, GrantkeeperError):
        return NOT_FROZEN
    return "frozen"


def _suspended_again(stack: Stack, event: AuditEvent, *, apply: bool) -> str | None:
    user = stack.wiring.users.get(event.sub or "")
    if user is None or user.status != "active":
        return None
    if apply:
        wiring = stack.wiring
        suspend(user.sub, by=_by(), users=wiring.users, changing=wiring.people, now=operator.now())
    return "suspended" if apply else "would be suspended"


def _role_again(stack: Stack, event: AuditEvent, *, apply: bool) -> str | None:
    user, role = stack.wiring.users.get(event.sub or ""), event.details.get("role", "").rpartition(" ")[2]
    known = next((each for each in RANKS if each == role), None)
    if user is None or known is None or user.status == "erased" or RANKS.index(user.role) <= RANKS.index(known):
        return None
    if apply:
        wiring = stack.wiring
        give_role(user.sub, known, by=_by(), users=wiring.users, changing=wiring.people, now=operator.now())
    return f"is {role} again" if apply else f"would be {role} again"


def _erased_again(stack: Stack, event: AuditEvent, *, apply: bool) -> str | None:
    """Begun: whoever was erased is refused everywhere from then on. `users erase --wait` brings it to its end."""
    sub = event.sub or ""
    user = stack.wiring.users.get(sub)
    if user is None or user.status == "erased":
        return None
    if apply:
        erase_user(sub, by=_by(), ports=stack.wiring, now=operator.now())
    return f"{'is' if apply else 'would be'} erased again: `grantkeeper users erase {sub} --wait`"


def _disabled_again(stack: Stack, event: AuditEvent, *, apply: bool) -> str | None:
    client = stack.wiring.clients.get(event.client_id or "")
    if client is None or client.status != "active":
        return None
    if apply:
        by = Acting(operator.actor(), operator.now())
        switch_client(client.client_id, active=False, clients=stack.wiring.client_versions, by=by)
    return "disabled" if apply else "would be disabled"


def _by() -> By:
    return By(operator.actor(), root=True)


def _whose(event: AuditEvent) -> str:
    return {"connection": event.connection_id, "client": event.client_id}.get(STATES[event.action], event.sub) or ""
