"""Events on the bus are what docs/events says."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from grantkeeper.model import AuditEvent
from grantkeeper.services.project import ANNOUNCED, announcement

DOCS = Path(__file__).parents[3] / "docs" / "events"
SCHEMA = json.loads((DOCS / "event.schema.json").read_text())


@pytest.mark.parametrize("action", ANNOUNCED)
def test_every_announced_event_fits_its_schema_and_is_documented(action):
    """Details of an entry stay in the trail."""
    entry = AuditEvent(
        id="evt_1", time=1, action=action, actor="user:usr_1", sub="usr_1", connection_id="con_1", client_id="cli_1",
        provider="google", service="gmail", reason="revoked_by_user", request_id="req", details={"secret": "canary"},
    )  # fmt: skip

    detail_type, detail = announcement(entry)

    jsonschema.validate(detail, SCHEMA)
    assert "canary" not in json.dumps(detail)
    assert f"| {detail_type} | `{action}` |" in (DOCS / "README.md").read_text()


def test_the_schema_names_what_is_announced_and_nothing_else():
    """One list, in code and in the docs."""
    assert set(SCHEMA["properties"]["action"]["enum"]) == set(ANNOUNCED)
