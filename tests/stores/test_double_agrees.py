"""The double agrees with DynamoDB Local: the same requests, the same answers, the same errors."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.doubles.dynamodb import InMemoryDynamoDB

SCHEMA: dict[str, Any] = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
        {"AttributeName": "place", "AttributeType": "S"},
        {"AttributeName": "rank_no", "AttributeType": "N"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "ranked",
            "KeySchema": [
                {"AttributeName": "place", "KeyType": "HASH"},
                {"AttributeName": "rank_no", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["word"]},
        }
    ],
    "BillingMode": "PAY_PER_REQUEST",
}

ITEM: dict[str, Any] = {
    "pk": {"S": "p"},
    "sk": {"S": "s"},
    "word": {"S": "hello"},
    "amount": {"N": "12.50"},
    "flag": {"BOOL": True},
    "raw": {"B": b"\x00\xff"},
    "nothing": {"NULL": True},
    "letters": {"SS": ["a", "b"]},
    "steps": {"L": [{"S": "x"}, {"N": "2"}]},
    "tree": {"M": {"leaf": {"S": "green"}, "branch": {"M": {"n": {"N": "1"}}}}},
    "empty": {"S": ""},
}
V: dict[str, Any] = {
    ":n": {"N": "12.5"},
    ":one": {"N": "1"},
    ":two": {"N": "2"},
    ":s": {"S": "hello"},
    ":t": {"BOOL": True},
    ":h": {"S": "he"},
    ":a": {"S": "a"},
    ":set": {"SS": ["b", "c"]},
    ":list": {"L": [{"S": "y"}]},
    ":S": {"S": "S"},
    ":b": {"B": b"\x00"},
    ":other": {"S": "other"},
}

CONDITIONS = [
    "attribute_exists(word)",
    "attribute_not_exists(word)",
    "attribute_not_exists(missing)",
    "attribute_exists(tree.branch.n)",
    "attribute_exists(steps[1])",
    "attribute_exists(steps[7])",
    "attribute_type(word, :S)",
    "amount = :n",
    "amount <> :n",
    "amount < :n",
    "amount <= :n",
    "amount > :one",
    "amount BETWEEN :one AND :n",
    "word IN (:h, :s)",
    "word IN (:h, :a)",
    "missing = :s",
    "missing <> :s",
    "missing < :n",
    "NOT missing = :s",
    "word < :n",
    "word <> :n",
    "begins_with(word, :h)",
    "begins_with(raw, :b)",
    "contains(word, :h)",
    "contains(letters, :a)",
    "contains(steps, :two)",
    "size(word) > :one",
    "size(letters) = :two",
    "size(missing) > :one",
    "flag = :t",
    "empty <> :s",
    "word = :s AND amount = :one OR flag = :t",
    "word = :h AND (amount = :one OR flag = :t)",
    "NOT (word = :h) AND NOT attribute_exists(missing)",
    "#w = :s",
    "#tree.#leaf <> :s",
    "tree.leaf = word",
    "amount = missing",
    # refused
    "",
    "word = ",
    "word == :s",
    "status = :s",
    "word = :undefined",
    "#undefined = :s",
    "word = :s AND",
    "(word = :s",
    "unknown_function(word)",
    "attribute_exists(:s)",
    "word = 'hello'",
    "word = :s; DROP",
]

UPDATES = [
    "SET word = :other",
    "SET amount = amount + :one",
    "SET amount = amount - :two",
    "SET counter_no = if_not_exists(counter_no, :one) + :one",
    "SET word = if_not_exists(word, :other)",
    "SET steps = list_append(steps, :list)",
    "SET steps[0] = :other",
    "SET steps[9] = :other",
    "SET tree.leaf = :other",
    "SET tree.fresh = :one",
    "SET #w = :other REMOVE amount",
    "REMOVE steps[0], flag",
    "REMOVE missing",
    "ADD amount :one",
    "ADD fresh_no :one",
    "ADD letters :set",
    "DELETE letters :set",
    "SET word = amount, amount = :one",
    # refused
    "SET missing_tree.leaf = :one",
    "SET amount = missing + :one",
    "SET amount = word + :one",
    "SET word = :one, word = :two",
    "SET tree = :one, tree.leaf = :two",
    "SET pk = :other",
    "ADD word :one",
    "ADD letters :one",
    "SET status = :one",
    "SET word",
    "PUT word = :one",
    "SET word = :one SET flag = :one",
    "",
    "SET letters = missing",
]

KEY_CONDITIONS = [
    "pk = :p",
    "pk = :p AND sk = :m",
    "pk = :p AND begins_with(sk, :m)",
    "pk = :p AND sk > :m",
    "pk = :p AND sk BETWEEN :m AND :z",
    "sk > :m AND pk = :p",
    # refused
    "pk > :p",
    "sk = :m",
    "pk = :p OR sk = :m",
    "pk = :p AND sk <> :m",
    "pk = :p AND word = :m",
    "pk = :p AND contains(sk, :m)",
]


@pytest.fixture(scope="module")
def both(dynamodb_client: Any) -> Any:
    """The double and the real thing, each with a table of one name."""
    name = f"agree-{secrets.token_hex(4)}"
    double = InMemoryDynamoDB()
    for one in (double, dynamodb_client):
        one.create_table(TableName=name, **SCHEMA)
    yield name, (double, dynamodb_client)
    dynamodb_client.delete_table(TableName=name)


def used(expression: str, values: dict[str, Any]) -> dict[str, Any]:
    """Only the names and values an expression uses, as the service insists."""
    arguments: dict[str, Any] = {}
    names = {"#w": "word", "#tree": "tree", "#leaf": "leaf"}
    names = {name: attribute for name, attribute in names.items() if name in expression}
    values = {
        name: value for name, value in values.items() if name in expression.replace(",", " ").replace(")", " ").split()
    }
    if names:
        arguments["ExpressionAttributeNames"] = names
    if values:
        arguments["ExpressionAttributeValues"] = values
    return arguments


def outcome(call: Any, **request: Any) -> Any:
    """What a call answered: its data, or its error's code and what came with it."""
    try:
        answer = call(**request)
    except ClientError as error:
        kept = {name: error.response[name] for name in ("Item", "CancellationReasons") if name in error.response}
        for reason in kept.get("CancellationReasons", []):
            reason.pop("Message", None)
        return {"code": error.response["Error"]["Code"], **plain(kept)}
    return plain(
        {name: value for name, value in answer.items() if name not in {"ResponseMetadata", "ConsumedCapacity"}}
    )


def plain(value: Any) -> Any:
    """Sets have no order."""
    if isinstance(value, dict):
        return {k: sorted(v) if k in {"SS", "NS", "BS"} else plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list) else value


def same(both: Any, operation: str, **request: Any) -> Any:
    """Do it on both and insist on one answer."""
    name, clients = both
    double, real = (outcome(getattr(c, operation), TableName=name, **request) for c in clients)
    assert double == real
    return double


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions_hold_alike(both: Any, condition: str) -> None:
    """A condition that holds in one holds in the other; one that is refused is refused by both."""
    same(both, "put_item", Item=ITEM)
    answer = same(
        both,
        "update_item",
        Key={"pk": {"S": "p"}, "sk": {"S": "s"}},
        UpdateExpression="SET touched = :touched",
        ConditionExpression=condition,
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
        ReturnValues="ALL_NEW",
        **_with_touched(used(condition, V)),
    )
    assert answer.get("code") in {None, "ConditionalCheckFailedException", "ValidationException"}


def _with_touched(arguments: dict[str, Any]) -> dict[str, Any]:
    values = {**arguments.get("ExpressionAttributeValues", {}), ":touched": {"N": "1"}}
    return {**arguments, "ExpressionAttributeValues": values}


@pytest.mark.parametrize(
    "condition", ["attribute_exists(word)", "attribute_not_exists(pk)", "word <> :s", "NOT word = :s"]
)
def test_conditions_on_nothing_hold_alike(both: Any, condition: str) -> None:
    """The same where there is no item yet."""
    same(both, "delete_item", Key={"pk": {"S": "p"}, "sk": {"S": "none"}})
    same(
        both,
        "put_item",
        Item={"pk": {"S": "p"}, "sk": {"S": "none"}, "word": {"S": "new"}},
        ConditionExpression=condition,
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
        **used(condition, V),
    )


@pytest.mark.parametrize("returned", ["ALL_NEW", "UPDATED_NEW", "UPDATED_OLD", "ALL_OLD", "NONE"])
@pytest.mark.parametrize("update", UPDATES)
def test_updates_change_alike(both: Any, update: str, returned: str) -> None:
    """An update gives the same item, and the same part of it, or is refused by both."""
    same(both, "put_item", Item=ITEM)
    key = {"pk": {"S": "p"}, "sk": {"S": "s"}}
    same(both, "update_item", Key=key, UpdateExpression=update, ReturnValues=returned, **used(update, V))
    same(both, "get_item", Key=key, ConsistentRead=True)


@pytest.mark.parametrize("update", ["SET word = :other", "ADD fresh_no :one", "REMOVE word", "SET word = word"])
def test_an_update_of_nothing_makes_an_item(both: Any, update: str) -> None:
    """An update is an upsert."""
    key = {"pk": {"S": "p"}, "sk": {"S": "upserted"}}
    same(both, "delete_item", Key=key)
    same(both, "update_item", Key=key, UpdateExpression=update, ReturnValues="ALL_NEW", **used(update, V))


@pytest.mark.parametrize("condition", KEY_CONDITIONS)
@pytest.mark.parametrize("forward", [True, False])
def test_queries_find_alike(both: Any, condition: str, forward: bool) -> None:
    """A query gives the same rows in the same order, or is refused by both."""
    for letter in "gmnz":
        same(both, "put_item", Item={"pk": {"S": "query"}, "sk": {"S": letter}, "word": {"S": letter * 3}})
    values = {":p": {"S": "query"}, ":m": {"S": "m"}, ":z": {"S": "z"}}
    arguments = used(condition, values)
    same(both, "query", KeyConditionExpression=condition, ScanIndexForward=forward, **arguments)


def test_pages_end_alike(both: Any) -> None:
    """Limit counts rows before the filter; the key to go on from is the same, to the end."""
    for letter in "abcde":
        same(both, "put_item", Item={"pk": {"S": "paged"}, "sk": {"S": letter}, "word": {"S": letter}})
    start: dict[str, Any] = {}
    for _ in range(4):
        answer = same(
            both,
            "query",
            KeyConditionExpression="pk = :p",
            FilterExpression="word <> :b",
            ExpressionAttributeValues={":p": {"S": "paged"}, ":b": {"S": "b"}},
            Limit=2,
            **start,
        )
        if "LastEvaluatedKey" not in answer:
            return
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
    pytest.fail("the pages have no end")


def test_the_index_is_sparse_ordered_and_projected(both: Any) -> None:
    """Only rows with both keys are in an index, in number order, with what it includes and no more."""
    for rank in ("9", "10", "-1"):
        same(
            both,
            "put_item",
            Item={
                "pk": {"S": "r" + rank},
                "sk": {"S": "s"},
                "place": {"S": "podium"},
                "rank_no": {"N": rank},
                "word": {"S": "w"},
                "amount": {"N": "1"},
            },
        )
    same(both, "put_item", Item={"pk": {"S": "half"}, "sk": {"S": "s"}, "place": {"S": "podium"}})
    request = {
        "IndexName": "ranked",
        "KeyConditionExpression": "place = :p AND rank_no <= :n",
        "ExpressionAttributeValues": {":p": {"S": "podium"}, ":n": {"N": "10"}},
    }
    first = same(both, "query", Limit=2, **request)
    assert [row["rank_no"]["N"] for row in first["Items"]] == ["-1", "9"]
    same(both, "query", Limit=2, ExclusiveStartKey=first["LastEvaluatedKey"], **request)
    assert same(both, "query", ConsistentRead=True, **request)["code"] == "ValidationException"


@pytest.mark.parametrize(
    "item",
    [
        {"pk": {"S": ""}, "sk": {"S": "s"}},
        {"pk": {"S": "p"}},
        {"pk": {"N": "1"}, "sk": {"S": "s"}},
        {"pk": {"S": "p"}, "sk": {"S": "s"}, "letters": {"SS": []}},
        {"pk": {"S": "p"}, "sk": {"S": "s"}, "letters": {"SS": ["a", "a"]}},
        {"pk": {"S": "p"}, "sk": {"S": "s"}, "amount": {"N": "1" * 39}},
        {"pk": {"S": "p"}, "sk": {"S": "s"}, "amount": {"N": "twelve"}},
        {"pk": {"S": "p"}, "sk": {"S": "s"}, "tree": {"M": {"": {"S": "x"}}}},
        {"pk": {"S": "p"}, "sk": {"S": "s"}, "place": {"N": "1"}, "rank_no": {"N": "1"}},
        {"pk": {"S": "p"}, "sk": {"S": "s"}, "place": {"S": ""}, "rank_no": {"N": "1"}},
        {"pk": {"S": "p"}, "sk": {"S": "s"}, "word": {"S": "x" * 409_600}},
    ],
)
def test_d12_unfit_items_are_refused_by_both(both: Any, item: dict[str, Any]) -> None:
    """Empty keys, wrong types, empty sets, too many digits, 400 KB."""
    assert same(both, "put_item", Item=item)["code"] == "ValidationException"


def test_transactions_are_all_or_nothing_alike(both: Any) -> None:
    """Reasons stand in the order of the writes, with the item that was in the way."""
    name, clients = both
    same(both, "put_item", Item={"pk": {"S": "tx"}, "sk": {"S": "there"}, "word": {"S": "old"}})
    same(both, "delete_item", Key={"pk": {"S": "tx"}, "sk": {"S": "new"}})

    def write(condition: str) -> list[dict[str, Any]]:
        return [
            {"Put": {"TableName": name, "Item": {"pk": {"S": "tx"}, "sk": {"S": "new"}}}},
            {
                "Update": {
                    "TableName": name,
                    "Key": {"pk": {"S": "tx"}, "sk": {"S": "there"}},
                    "UpdateExpression": "SET word = :w",
                    "ConditionExpression": condition,
                    "ExpressionAttributeValues": {":w": {"S": "fresh"}},
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            },
        ]

    answers = [outcome(c.transact_write_items, TransactItems=write("attribute_not_exists(pk)")) for c in clients]
    assert answers[0] == answers[1]
    assert [reason["Code"] for reason in answers[0]["CancellationReasons"]] == ["None", "ConditionalCheckFailed"]
    assert same(both, "get_item", Key={"pk": {"S": "tx"}, "sk": {"S": "new"}}) == {}

    twice = [{"Put": {"TableName": name, "Item": {"pk": {"S": "tx"}, "sk": {"S": "one"}}}}] * 2
    answers = [outcome(c.transact_write_items, TransactItems=twice) for c in clients]
    assert answers[0] == answers[1] == {"code": "ValidationException"}


def test_d04_request_tokens_are_idempotent_alike(both: Any) -> None:
    """One effect for one token; another body under it is a mismatch."""
    name, clients = both

    def add(by: str) -> dict[str, Any]:
        return {
            "TransactItems": [
                {
                    "Update": {
                        "TableName": name,
                        "Key": {"pk": {"S": "tx"}, "sk": {"S": "sum"}},
                        "UpdateExpression": "ADD amount :n",
                        "ExpressionAttributeValues": {":n": {"N": by}},
                    }
                }
            ],
            "ClientRequestToken": "token-1",
        }

    for request, expected in (
        (add("1"), {}),
        (add("1"), {}),
        (add("2"), {"code": "IdempotentParameterMismatchException"}),
    ):
        answers = [outcome(c.transact_write_items, **request) for c in clients]
        assert answers == [expected, expected]
    assert same(both, "get_item", Key={"pk": {"S": "tx"}, "sk": {"S": "sum"}})["Item"]["amount"] == {"N": "1"}


def test_unused_names_and_values_are_refused_by_both(both: Any) -> None:
    """A placeholder that no expression uses is a mistake."""
    for extra in ({"ExpressionAttributeNames": {"#x": "x"}}, {"ExpressionAttributeValues": {":x": {"S": "x"}}}):
        answer = same(
            both,
            "put_item",
            Item={"pk": {"S": "p"}, "sk": {"S": "s"}},
            ConditionExpression="attribute_not_exists(word)",
            **extra,
        )
        assert answer["code"] == "ValidationException"


def test_projections_show_alike(both: Any) -> None:
    """Only the paths asked for, in their places."""
    same(both, "put_item", Item=ITEM)
    key = {"pk": {"S": "p"}, "sk": {"S": "s"}}
    for paths in ("word", "pk, tree.branch.n", "steps[1], steps[0]", "missing", "tree.leaf, tree.branch"):
        same(both, "get_item", Key=key, ProjectionExpression=paths)
