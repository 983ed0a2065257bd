"""The function `admin`: the audit trail, searched and exported."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from grantkeeper.edge.admin.audit_views import as_csv
from grantkeeper.model import AuditEvent
from tests.doubles.api import api_of
from tests.doubles.provider import NOON
from tests.support.desk import person
from tests.support.functions import Function

EXPORT = "/v1/admin/audit/export"
YESTERDAY, TODAY = "2027-01-14", "2027-01-15"


@pytest.fixture
def api(monkeypatch: Any) -> Any:
    return api_of(monkeypatch, "admin")


def record(api: Any, number: int, **fields: Any) -> AuditEvent:
    event = AuditEvent(
        **{
            "id": f"evt_{number:04d}", "time": NOON - 10_000 - number, "action": "test.happened",
            "actor": "user:usr_carol", "sub": "usr_carol", **fields,
        }
    )  # fmt: skip
    api.world.wiring.audit.record(event)
    return event


def search(api: Any, as_: dict[str, str] | None = None, **query: str) -> Any:
    return api.call("GET", "/v1/admin/audit", as_=as_ or api.key(None, "audit:read"), query=query)


def test_an_auditor_finds_what_a_user_did(api: Any) -> None:
    """Whole entries, newest first, page by page."""
    for number in range(5):
        record(api, number, details={"n": str(number)}, client_id="app", reason="why", request_id="req")
    key, found, cursor = person(api, "auditor"), [], None
    for _ in range(9):
        page = search(api, key, user="usr_carol", limit="2", **({"cursor": cursor} if cursor else {})).body
        found += page["events"]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert [entry["details"] for entry in found] == [{"n": str(number)} for number in range(5)]
    assert found[0] == {
        "id": "evt_0000", "time": NOON - 10_000, "action": "test.happened", "actor": "user:usr_carol",
        "sub": "usr_carol", "connection_id": None, "client_id": "app", "provider": None, "service": None,
        "reason": "why", "request_id": "req", "details": {"n": "0"},
    }  # fmt: skip


def test_every_filter_is_one_the_service_knows(api: Any) -> None:
    """By actor, connection, action and time, alone and together."""
    record(api, 1)
    record(api, 2, actor="key:ops", connection_id="con_1", action="connection.revoked")
    when = str(NOON - 10_002)
    for query in (
        {"actor": "key:ops"}, {"connection": "con_1"}, {"action": "connection."}, {"from": when, "to": when},
        {"user": "usr_carol", "action": "connection.revoked"}, {"actor": "key:ops", "from": when},
    ):  # fmt: skip
        assert [entry["id"] for entry in search(api, **query).body["events"]] == ["evt_0002"], query


@pytest.mark.parametrize("query", [{"user": "a b"}, {"from": "x"}, {"from": "2", "to": "1"}, {"limit": "101"}])
def test_a_question_that_is_none_is_refused(api: Any, query: dict[str, str]) -> None:
    """400, by name."""
    assert search(api, **query).status == 400


def test_t04_a_cursor_is_good_for_its_question_and_its_caller(api: Any) -> None:
    """With another filter, or somebody else's credential, it is refused."""
    for number in range(3):
        record(api, number)
    key = api.key(None, "audit:read")
    cursor = search(api, key, limit="1").body["cursor"]
    assert search(api, key, cursor=cursor).status == 200
    assert search(api, key, cursor=cursor, action="test.happened").status == 400
    assert search(api, cursor=cursor).status == 400
    exported = api.call("GET", EXPORT, as_=key, query={"day": TODAY, "cursor": cursor})
    assert exported.status == 400


def test_the_trail_is_for_those_with_its_scope(api: Any) -> None:
    """A key that may administer and not audit is refused, and so is a user."""
    for credential in (api.key(None, "admin:read"), api.user(scope="openid audit:read")):
        assert search(api, credential).status == 403


def raw(api: Any, credential: dict[str, str], **query: str) -> Any:
    """An export, whose body is no JSON."""
    function = Function("admin", api.world.wiring)
    function.module._now = lambda: NOON
    return function(f"GET {EXPORT}", query=query, headers=credential)


def test_a_day_is_exported_as_lines_of_json(api: Any) -> None:
    """Every entry of that day a line; the answer is a file."""
    key = api.key(None, "audit:read")
    made = [record(api, number).id for number in range(4)]
    record(api, 9, time=NOON - 2 * 86_400)
    answer = raw(api, key, day=TODAY)
    ids = [json.loads(line)["id"] for line in answer.body.splitlines()]
    assert [each for each in ids if each in made] == made
    assert "evt_0009" not in ids
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"] == 'attachment; filename="audit-2027-01-15.ndjson"'
    assert "x-next-cursor" not in answer.headers


def test_an_export_goes_on_in_pages_that_can_be_joined(api: Any, monkeypatch: Any) -> None:
    """The head of the CSV stands on the first page alone, and every entry on one of them."""
    monkeypatch.setattr("grantkeeper.services.search_audit.MAX_EXPORTED", 3)
    key = api.key(None, "audit:read")
    made = [record(api, number, time=NOON - 86_400 - number).id for number in range(8)]
    text, cursor = "", ""
    for _ in range(9):
        answer = raw(api, key, day=YESTERDAY, format="csv", **({"cursor": cursor} if cursor else {}))
        text += answer.body
        cursor = answer.headers.get("x-next-cursor", "")
        if not cursor:
            break
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["id"] for row in rows] == made
    assert rows[0]["time"] == f"{YESTERDAY}T08:00:00Z"


@pytest.mark.parametrize("query", [{}, {"day": "yesterday"}, {"day": TODAY, "format": "xml"}])
def test_an_export_of_nothing_is_refused(api: Any, query: dict[str, str]) -> None:
    """400, by name."""
    assert api.call("GET", EXPORT, as_=api.key(None, "audit:read"), query=query).status == 400


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", '=HYPERLINK("x","y")'])
def test_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    """What a spreadsheet would execute begins with an apostrophe, and quotes and line breaks stay in their cell."""
    event = AuditEvent("evt_1", NOON, "a", text, sub=text, reason=text, details={"x": text})
    (row,) = csv.DictReader(io.StringIO(as_csv([event], head=True), newline=""))
    assert (row["actor"], row["sub"], row["reason"]) == (f"'{text}",) * 3
    assert json.loads(row["details"]) == {"x": text}
    assert row["provider"] == ""
