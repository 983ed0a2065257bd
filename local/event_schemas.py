"""
A JSON Schema for the detail of every event on the bus, in docs/events: `python -m local.event_schemas [--check]`.

Which events there are is `services.project.ANNOUNCED`; what each holds besides the common members is told here, and the
tests hold the announcements of whole journeys against the files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "layers" / "common"))

from grantkeeper.model import Reason  # noqa: E402 - the package is made importable above
from grantkeeper.services.project import ANNOUNCED  # noqa: E402

FOLDER = ROOT / "docs" / "events"
BASE = "https://grantkeeper.dev/events/"
COMMON = ("id", "time", "action", "actor")

MEMBERS: Mapping[str, Mapping[str, Any]] = {
    "id": {
        "description": "The id of the audit entry. An event may come more than once; it keeps its id.",
        "type": "string",
        "pattern": "^evt_[A-Za-z0-9_.-]{1,200}$",
    },
    "time": {"description": "Epoch seconds.", "type": "integer", "minimum": 0},
    "actor": {
        "description": "Who: `user:<sub>`, `key:<key id>`, `operator:<name>`, `system:<function>`.",
        "type": "string",
        "maxLength": 200,
    },
    "sub": {"description": "The user.", "type": "string", "maxLength": 64},
    "connection_id": {"type": "string", "maxLength": 64},
    "client_id": {"type": "string", "maxLength": 64},
    "provider": {"type": "string", "maxLength": 64},
    "service": {"type": "string", "maxLength": 64},
    "reason": {"description": "One word that says why.", "type": "string", "maxLength": 64},
    "request_id": {"type": "string", "maxLength": 200},
    "reconnect_by": {
        "description": "When the user has to have connected again, epoch seconds.",
        "type": "integer",
        "minimum": 0,
    },
}


class Event(NamedTuple):
    """What one action's event says, and which members it has beside the common ones."""

    when: str
    has: Sequence[str]
    may: Sequence[str] = ()


_CONNECTION = ("sub", "connection_id", "provider", "service")
_BY_A_CLIENT = ("client_id", "request_id")
_OF_A_CONNECTION = (*_CONNECTION, *_BY_A_CLIENT)

EVENTS: Mapping[str, Event] = {
    "user.provisioned": Event("A person was seen for the first time.", ["sub"], ["provider", *_BY_A_CLIENT]),
    "user.signed_in": Event("A sign-in was completed.", ["sub", "client_id", "provider"], ["request_id"]),
    "user.erased": Event(
        "Nothing is left of a user here but his opaque id; delete what you keep under it.", ["sub"], ["request_id"]
    ),
    "identity.linked": Event(
        "A user proved another identity and can sign in by it from now on.", ["sub", "provider"], _BY_A_CLIENT
    ),
    "identity.unlinked": Event(
        "A user took an identity away; the sessions opened at its provider ended.", ["sub", "provider"], _BY_A_CLIENT
    ),
    "session.reuse_detected": Event(
        "A spent refresh token of ours came again; its family is revoked.",
        ["sub", "client_id", "provider"],
        ["reason", "request_id"],
    ),
    "connection.activated": Event(
        "A connection was confirmed, for the first time or again.", [*_CONNECTION, "client_id"], ["request_id"]
    ),
    "connection.needs_reauth": Event(
        "A grant is dead; `reason` says why, the user must connect again.", [*_CONNECTION, "reason"], _BY_A_CLIENT
    ),
    "connection.expiring": Event(
        "A connection will end at `reconnect_by` whatever we do; told once.", [*_CONNECTION, "reconnect_by"]
    ),
    "connection.revoked": Event("Somebody disconnected.", [*_CONNECTION, "client_id"], ["reason", "request_id"]),
    "consent.granted": Event(
        "A user let another client use a connection, on our page.",
        ["sub", "connection_id", "client_id"],
        ["provider", "service", "request_id"],
    ),
    "consent.withdrawn": Event(
        "A user ended what a client may use; its token calls are refused.",
        ["sub", "connection_id", "client_id"],
        ["provider", "service", "reason", "request_id"],
    ),
    "grant.erased": Event(
        "The sealed set of a revoked connection is gone.", [*_CONNECTION, "client_id"], ["reason", "request_id"]
    ),
    "grant.tampering_detected": Event(
        "A sealed set did not open for its own record.", [*_CONNECTION, "reason"], _BY_A_CLIENT
    ),
    "provider.degraded": Event(
        "A provider failed five times in a row or asked us to stay away; nobody calls it for a while.", ["provider"]
    ),
    "provider.misconfigured": Event(
        "A provider refused our registration; no connection was touched. `reason`: its registered error code.",
        ["provider"],
        ["reason"],
    ),
    "provider.recovered": Event("A provider answered again.", ["provider"]),
    "signing_key.published": Event("A new signing key is in the JWK Set.", [], ["reason", "request_id"]),
    "counters.drifted": Event("The nightly recount and the counters differ; the entry of the trail says where.", []),
}


def file_of(action: str) -> str:
    """The name of an event's schema."""
    return f"{action}.schema.json"


def schema(action: str) -> dict[str, Any]:
    """The schema of one event's detail."""
    event = EVENTS[action]
    has = [*COMMON, *event.has]
    members = {name: dict(MEMBERS[name]) for name in (*has, *event.may) if name != "action"}
    members["action"] = {"const": action}
    if action == "connection.needs_reauth":
        members["reason"] = {"description": "Why the user must connect again.", "enum": list(get_args(Reason))}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{BASE}{file_of(action)}",
        "title": ANNOUNCED[action],
        "description": f"{event.when} Ids and enums: no token, code or secret, ever.",
        "type": "object",
        "required": has,
        "additionalProperties": False,
        "properties": {name: members[name] for name in (*COMMON, *event.has, *event.may)},
    }


def any_event() -> dict[str, Any]:
    """The schema of whatever comes, chosen by its action."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{BASE}event.schema.json",
        "title": "Grantkeeper event",
        "description": "The detail of any event on the bus; more kinds may come with a later version.",
        "oneOf": [{"$ref": file_of(action)} for action in ANNOUNCED],
    }


def files() -> Mapping[str, str]:
    """Name → content, of all there should be."""
    made = {file_of(action): schema(action) for action in ANNOUNCED} | {"event.schema.json": any_event()}
    return {name: json.dumps(content, indent=2) + "\n" for name, content in made.items()}


def stale() -> list[str]:
    """The files that are not what they should be, those among them that should not be at all."""
    there = {path.name: path.read_text() for path in FOLDER.glob("*.schema.json")}
    wanted = files()
    return sorted(name for name in there.keys() | wanted.keys() if there.get(name) != wanted.get(name))


def main(arguments: Sequence[str] = ()) -> int:
    """Write the files, or with `--check` say which are stale."""
    if "--check" in arguments:
        for name in stale():
            print(f"docs/events/{name} is stale: python -m local.event_schemas", file=sys.stderr)
        return 1 if stale() else 0
    wanted = files()
    for path in FOLDER.glob("*.schema.json"):
        if path.name not in wanted:
            path.unlink()
    for name, content in wanted.items():
        (FOLDER / name).write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
