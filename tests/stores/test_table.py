"""The table helper and its retries: bounded, complete, and deaf to whatever text passes through."""

from __future__ import annotations

import random
import string
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)

from grantkeeper import ids
from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent, Connection, Profile
from grantkeeper.stores import keys, retrying
from grantkeeper.stores.items import from_item, from_value, to_item, to_value
from grantkeeper.stores.table import Table, key_item
from tests.stores.records import NOON, authorization_request, client, connection, event, grant, identity, session, user


def table_of(world: Any) -> Table:
    return Table(world.aws.dynamodb, world.env["GRANTS_TABLE"])


def fill(table: Table, count: int) -> None:
    for number in range(count):
        table.put(key_item(("partition", f"row#{number:03d}")) | {"n": {"N": str(number)}})


# --- completeness ---


def test_d08_a_query_is_read_to_its_end_through_empty_pages(memory: Any) -> None:
    """A filtered page may be empty and still not be the last one."""
    table = table_of(memory)
    fill(table, 25)
    memory.aws.dynamodb.page_size = 2
    found = table.query("partition", where="#n >= :least", values={":least": 24})
    assert [from_value(item["n"]) for item in found] == [24]
    assert len(table.query("partition", prefix="row#")) == 25


def test_d08_a_query_without_an_end_is_an_error_and_not_a_part(memory: Any) -> None:
    """Half an answer would lose work; it is told instead."""
    table = table_of(memory)
    fill(table, 210)
    memory.aws.dynamodb.page_size = 1
    with pytest.raises(StoreUnavailable):
        table.query("partition")


def test_d07_unprocessed_keys_are_asked_for_again(memory: Any) -> None:
    """Until there are none, or it is an error."""
    table = table_of(memory)
    fill(table, 120)
    wanted = [("partition", f"row#{number:03d}") for number in range(120)]
    memory.aws.dynamodb.unprocessed = 130
    assert len(table.batch_get(wanted)) == 120
    memory.aws.dynamodb.unprocessed = 100_000
    with pytest.raises(StoreUnavailable):
        table.batch_get(wanted)


# --- retries ---


@pytest.mark.parametrize(
    "code",
    [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "InternalServerError",
        "TransactionConflictException",
    ],
)
def test_d06_what_passes_by_itself_is_tried_again(memory: Any, code: str) -> None:
    """Every call of every store goes this way."""
    table = table_of(memory)
    fill(table, 1)
    memory.aws.dynamodb.faults.throttle("get_item", times=3, code=code)
    assert table.get(("partition", "row#000")) is not None


def test_d06_a_network_fault_is_tried_again(memory: Any) -> None:
    """Refused, timed out, or closed: the caller hears of it only when it lasts."""
    table = table_of(memory)
    faults = memory.aws.dynamodb.faults
    faults.fail("get_item", ConnectTimeoutError(endpoint_url="https://dynamodb.invalid"))
    faults.fail("get_item", EndpointConnectionError(endpoint_url="https://dynamodb.invalid"))
    faults.unreachable("get_item")
    assert table.get(("partition", "row#000")) is None
    assert faults.count("get_item") == 4


@pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException", "ResourceNotFoundException"])
def test_what_repeating_cannot_mend_is_not_repeated(memory: Any, code: str) -> None:
    """One call, and the code for the log."""
    memory.aws.dynamodb.faults.throttle("get_item", times=9, code=code)
    with pytest.raises(StoreUnavailable) as caught:
        table_of(memory).get(("partition", "row#000"))
    assert caught.value.extensions["code"] == code
    assert memory.aws.dynamodb.faults.count("get_item") == 1


@pytest.mark.parametrize(
    "error", [NoCredentialsError(), ParamValidationError(report="Invalid value: gkr_fam_secret-token")]
)
def test_errors_that_may_quote_the_request_are_not_carried_on(memory: Any, error: Exception) -> None:
    """No secret in an error: neither in its text nor in its cause."""
    memory.aws.dynamodb.faults.fail("get_item", error)
    with pytest.raises(StoreUnavailable) as caught:
        table_of(memory).get(("partition", "row#000"))
    assert "secret-token" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_retries_end_within_their_budget(memory: Any) -> None:
    """Attempts and seconds are both bounded."""
    memory.aws.dynamodb.faults.throttle("get_item", times=1000)
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable) as caught:
        retrying.call(memory.aws.dynamodb.get_item, budget=0.4, TableName="grants", Key=key_item(("p", "s")))
    assert time.monotonic() - begun < 2.5
    assert caught.value.retry_after is not None
    assert memory.aws.dynamodb.faults.count("get_item") <= retrying.MAX_ATTEMPTS


def test_a_failed_condition_is_an_answer_and_is_not_repeated(memory: Any) -> None:
    """With the item that stood in the way."""
    table = table_of(memory)
    fill(table, 1)
    with pytest.raises(retrying.ConditionFailed) as caught:
        table.put(key_item(("partition", "row#000")), condition="attribute_not_exists(#pk)")
    assert caught.value.item["n"] == {"N": "0"}
    assert memory.aws.dynamodb.faults.count("put_item") == 2


def test_d05_a_conflict_beside_a_failed_condition_is_the_condition(memory: Any) -> None:
    """Repeating cannot make the condition hold."""
    from tests.doubles.dynamodb_values import client_error

    reasons = [{"Code": "TransactionConflict"}, {"Code": "ConditionalCheckFailed"}]
    error = client_error("TransactWriteItems", "TransactionCanceledException", "", CancellationReasons=reasons)
    memory.aws.dynamodb.faults.fail("transact_write_items", error)
    table = table_of(memory)
    with pytest.raises(retrying.TransactionFailed) as caught:
        table.transact([table.to_put(key_item(("p", "s")))])
    assert (caught.value.failed(0), caught.value.failed(1)) == (False, True)


# --- records ---


@dataclass(frozen=True)
class Odd:
    """Every kind of field a record may have."""

    text: str
    number: int
    fraction: float
    flag: bool
    raw: bytes
    words: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    tree: dict[str, Any] = field(default_factory=dict)
    nothing: str | None = None
    late: int = 7


@pytest.mark.parametrize(
    "record",
    [
        Odd("", 0, 0.5, False, b"", (), (("a", ""), ("", "b"))),
        Odd("x", -5, 2.0, True, b"\x00\xff", ("a",), (), {"m": {"n": (1, None, "")}}, late=0),
        session(sealed_successor=b"\x00", scopes=()),
        user(email=None),
        identity(),
        client(secret_hashes=("a", "b")),
        authorization_request(),
        event(details={"a": "b"}),
    ],
    ids=lambda record: type(record).__name__,
)
def test_records_come_back_as_they_were_stored(world: Any, record: Any) -> None:
    """Through DynamoDB itself, empty values and order included."""
    table = table_of(world)
    table.put(key_item(("record", "one")) | to_item(record))
    assert from_item(type(record), table.get(("record", "one")) or {}) == record


def test_attributes_of_a_later_version_are_passed_over() -> None:
    """A roll-back reads what a newer version wrote."""
    stored = to_item(user()) | {"added_later": {"S": "x"}, "pk": {"S": "p"}}
    assert from_item(type(user()), stored) == user()


def test_what_has_no_place_in_an_item_is_refused() -> None:
    """Loudly, at the first test that runs it."""
    with pytest.raises(TypeError):
        to_value(object())
    with pytest.raises(TypeError):
        to_value({1, 2})


# --- D-01 ---


def odd_texts(count: int, seed: int = 1) -> list[str]:
    """Texts that mean something to DynamoDB's expressions, to our keys, or to a careless reader."""
    rng = random.Random(seed)
    pieces = [
        "#",
        ":",
        ".",
        "[0]",
        "#pk",
        ":v",
        "SET",
        "REMOVE",
        "attribute_not_exists(pk)",
        "status",
        " ",
        "\x00",
        "'",
        '"',
    ]
    pieces += ["USER#", "CONNECTION#x", "META", "é", "日本", "\U0001f511", "%", "{}", "OR :a = :a", *string.punctuation]
    return ["".join(rng.choices(pieces, k=rng.randint(1, 12))) for _ in range(count)]


def test_d01_ten_thousand_odd_texts_change_nothing_but_their_own_values(memory: Any) -> None:
    """As ids, labels, accounts and reasons: what is stored is read back, and no other item has moved."""
    connections = memory.connections
    bystander = connection("con_bystander", kind="api_key", account_id="bystander")
    connections.add_api_key(bystander, grant("con_bystander", generation=1), consent_client_id="cli_1", audit=event())
    untouched = memory.aws.dynamodb.dump("grants")
    for text in odd_texts(10_000):
        wanted = keys.identity(text, text)
        assert wanted[0].startswith("IDENTITY#")
        assert ids.is_id(wanted[0].removeprefix("IDENTITY#"))
        assert connections.find_account("usr_1", "gmail", text) is None
        assert connections.update_profile("con_1", Profile(text, name=text), now=NOON, audit=event()) is False
        assert memory.grants.reject(grant(text, name=text, generation=1)) is False
        assert memory.users.find(text, text) is None
    assert memory.aws.dynamodb.dump("grants") == untouched


def test_d01_odd_texts_are_stored_as_they_are(world: Any) -> None:
    """In every field a stranger fills."""
    for number, text in enumerate(dict.fromkeys(odd_texts(40, seed=2))):
        made = connection(
            f"con_{number}",
            kind="api_key",
            account_id=text,
            label=text,
            scopes=(text,),
            profile=Profile(text, name=text, email=text),
        )
        world.connections.add_api_key(
            made, grant(made.id, generation=1, scopes=(text,)), consent_client_id="cli_1", audit=event(reason=text)
        )
        assert world.connections.get(made.id) == made
        assert world.connections.find_account("usr_1", "gmail", text) == made.id
        assert world.grants.get(made.id).scopes == (text,)


def test_d01_expressions_are_literals_of_the_stores() -> None:
    """Every expression in the package is written out, and none is put together from a value."""
    import ast
    from pathlib import Path

    import grantkeeper.stores

    # literals of the module, or numbers; and its constants, which are written in capitals
    allowed = {"name", "at", "seen", "partition", "order", "field"}
    for path in Path(grantkeeper.stores.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr) and any(
                isinstance(part, ast.Constant) and ("#" in part.value and (" = " in part.value or "(" in part.value))
                for part in node.values
            ):
                used = {n.id for part in node.values if isinstance(part, ast.FormattedValue) for n in ast.walk(part)
                        if isinstance(n, ast.Name) and not n.id.isupper()}  # fmt: skip
                assert used <= allowed, (path.name, used)


def test_no_record_of_ours_is_listed_under_a_key_of_another(memory: Any) -> None:
    """Every function of `keys` makes keys of its own prefix, so that two kinds can never meet."""
    made = [
        keys.user("x"),
        keys.identity("x", "x"),
        keys.user_identity("x", "x", "x"),
        keys.account_entry("x", "x", "x"),
        keys.consent("x", "x", "x"),
        keys.connection("x"),
        keys.grant("x", "x"),
        keys.lease("x", "x"),
        keys.pending("x", "x"),
        keys.shared_account("x", "x", "x"),
        keys.client("x"),
        keys.origin("x", "x"),
        keys.api_key("x"),
        keys.provider("x"),
        keys.breaker("x"),
        keys.counter("x", 1),
        keys.counted(1, "f"),
    ]
    assert len(set(made)) == len(made)
    assert isinstance(connection(), Connection)
    assert isinstance(event(), AuditEvent)
