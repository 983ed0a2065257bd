"""Events on the bus are what docs/events says."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from referencing import Registry, Resource

from grantkeeper.model import AuditEvent
from grantkeeper.services.project import ANNOUNCED, announcement
from grantkeeper.stores.audit_item import event_of
from local import event_schemas
from tests.infrastructure import test_least_privilege as journeys

DOCS = Path(__file__).parents[3] / "docs" / "events"
SCHEMAS = {path.name: json.loads(path.read_text()) for path in DOCS.glob("*.schema.json")}
REGISTRY = Registry().with_resources(
    [(content["$id"], Resource.from_contents(content)) for content in SCHEMAS.values()]
)
EVERYTHING = {
    "sub": "usr_1", "connection_id": "con_1", "client_id": "cli_1", "provider": "google", "service": "gmail",
    "reason": "revoked_by_user", "request_id": "req",
}  # fmt: skip


def problems(detail, schema):
    return [error.message for error in jsonschema.Draft202012Validator(schema, registry=REGISTRY).iter_errors(detail)]


def told(action, *members):
    """What the bus hears of an entry that has these members, and details that are the trail's alone."""
    fields = {name: EVERYTHING[name] for name in members if name in EVERYTHING}
    details = {"secret": "canary", "reconnect_by": "1795262400"}
    return announcement(AuditEvent(id="evt_1", time=1, action=action, actor="user:usr_1", details=details, **fields))


def test_the_files_are_what_the_code_says():
    """`python -m local.event_schemas` writes them."""
    assert event_schemas.stale() == []
    assert event_schemas.EVENTS.keys() == ANNOUNCED.keys()
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("action", ANNOUNCED)
def test_every_announced_event_fits_its_own_schema_and_is_documented(action):
    """With all it may have and with the least it has; and no other event's schema takes it."""
    kind = event_schemas.EVENTS[action]
    for members in ((*kind.has, *kind.may), kind.has):
        detail_type, detail = told(action, *members)
        assert problems(detail, SCHEMAS[event_schemas.file_of(action)]) == []
        assert problems(detail, SCHEMAS["event.schema.json"]) == []
        assert "canary" not in json.dumps(detail)
        fits = {name for name, schema in SCHEMAS.items() if not problems(detail, schema)}
        assert fits == {event_schemas.file_of(action), "event.schema.json"}
    assert f"| [{detail_type}]({event_schemas.file_of(action)}) | `{action}` |" in (DOCS / "README.md").read_text()


@pytest.mark.parametrize("action", [action for action, event in event_schemas.EVENTS.items() if event.has])
def test_an_event_without_what_it_promises_does_not_fit(action):
    """A consumer may rely on what is required."""
    _, detail = told(action, *event_schemas.EVENTS[action].has)
    for name in event_schemas.EVENTS[action].has:
        lacking = {member: value for member, value in detail.items() if member != name}
        assert problems(lacking, SCHEMAS[event_schemas.file_of(action)])


def test_what_whole_journeys_announce_fits_its_schemas():
    """Sign-ins, connects, consents, refreshes, outages and disconnects, by the functions themselves."""
    heard = set()
    for journey in journeys.JOURNEYS:
        with pytest.MonkeyPatch.context() as patch:
            stack = journeys.Stack(patch)
            journey(stack)
        wiring = stack.world.wiring
        rows = [row for row in wiring.aws.dynamodb.dump(wiring.env["AUDIT_TABLE"]) if "day_pk" in row]
        for entry in map(event_of, rows):
            if entry.action in ANNOUNCED and entry.actor != "test":  # what a journey itself has put there
                _, detail = announcement(entry)
                assert problems(detail, SCHEMAS[event_schemas.file_of(entry.action)]) == [], (journey.__name__, entry)
                heard.add(entry.action)
    rare = {"connection.expiring", "grant.tampering_detected", "provider.degraded", "provider.recovered"}
    assert heard >= ANNOUNCED.keys() - rare
