"""
DynamoDB in memory, behind the methods of a botocore client.

Conditions, updates, indexes, pages, transactions and their errors follow the
service; `tests/stores/test_double_agrees.py` holds the double to DynamoDB
Local. On top of that it can do what no emulator does: an index that lags, an
eventually consistent read that is old, small pages, and everything in
`Faults`.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from tests.doubles.dynamodb_expressions import Parser, Scope, Tree, apply_update, at, holds, project
from tests.doubles.dynamodb_table import Key, Rows, Table
from tests.doubles.dynamodb_values import Invalid, Item, client_error, copied, item_size, normal_item
from tests.doubles.faults import Faults

PAGE_BYTES = 1024 * 1024


class InMemoryDynamoDB:
    """A thread-safe DynamoDB; every public method takes and returns what botocore's does."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.page_size: int | None = None  # items a Query or Scan looks at before it stops
        self.unprocessed: int = 0  # keys or items the next batches leave undone
        self.on_change: list[Callable[[str, Item | None, Item | None], None]] = []  # (table, old, new), like a stream
        self._tables: dict[str, Table] = {}
        self._tokens: dict[str, str] = {}
        self._index_view: dict[str, dict[Key, Item]] = {}
        self._eventual_view: dict[str, dict[Key, Item]] = {}
        self._lock = threading.RLock()

    # --- control ---

    def create_table(self, **kwargs: Any) -> dict[str, Any]:
        """Take a schema as botocore does."""
        with self._lock:
            if kwargs["TableName"] in self._tables:
                raise client_error("CreateTable", "ResourceInUseException", "Table already exists")
            self._tables[kwargs["TableName"]] = Table.of(kwargs)
        return {"TableDescription": {"TableName": kwargs["TableName"], "TableStatus": "ACTIVE"}}

    def freeze_indexes(self) -> None:
        """From now on index reads see the tables as they are at this moment (GSI lag)."""
        with self._lock:
            self._index_view = {name: copied(table.items) for name, table in self._tables.items()}

    def thaw_indexes(self) -> None:
        """Index reads catch up."""
        self._index_view = {}

    def freeze_eventual_reads(self) -> None:
        """From now on reads without ConsistentRead see the tables as they are at this moment."""
        with self._lock:
            self._eventual_view = {name: copied(table.items) for name, table in self._tables.items()}

    def thaw_eventual_reads(self) -> None:
        """Eventually consistent reads catch up."""
        self._eventual_view = {}

    def dump(self, table: str) -> list[Item]:
        """All items, for assertions."""
        with self._lock:
            return copied(list(self._tables[table].items.values()))

    def peek(self, table: str, *key: str) -> Item | None:
        """One item as it stands, for a look and no more."""
        return self._tables[table].items.get(tuple(part.encode() for part in key))

    def restore(self, table: str, item: Item) -> None:
        """Put an item back behind everybody's back: a restored or tampered row."""
        with self._lock:
            target = self._tables[table]
            target.items[target.key_of(item)] = normal_item(item)

    def forget(self, table: str, key: Item) -> None:
        """Remove an item as TTL does: at no particular time, and unconditionally."""
        with self._lock:
            target = self._tables[table]
            target.items.pop(target.key_of(key), None)

    # --- items ---

    def get_item(self, **kwargs: Any) -> dict[str, Any]:
        """GetItem."""
        return self._call("get_item", self._get, kwargs)

    def put_item(self, **kwargs: Any) -> dict[str, Any]:
        """PutItem."""
        return self._call("put_item", self._put, kwargs)

    def update_item(self, **kwargs: Any) -> dict[str, Any]:
        """UpdateItem."""
        return self._call("update_item", self._update, kwargs)

    def delete_item(self, **kwargs: Any) -> dict[str, Any]:
        """DeleteItem."""
        return self._call("delete_item", self._delete, kwargs)

    def query(self, **kwargs: Any) -> dict[str, Any]:
        """Query, of the table or of an index."""
        return self._call("query", self._query, kwargs)

    def scan(self, **kwargs: Any) -> dict[str, Any]:
        """Scan."""
        return self._call("scan", self._scan, kwargs)

    def batch_get_item(self, **kwargs: Any) -> dict[str, Any]:
        """BatchGetItem."""
        return self._call("batch_get_item", self._batch_get, kwargs)

    def batch_write_item(self, **kwargs: Any) -> dict[str, Any]:
        """BatchWriteItem."""
        return self._call("batch_write_item", self._batch_write, kwargs)

    def transact_write_items(self, **kwargs: Any) -> dict[str, Any]:
        """TransactWriteItems."""
        return self._call("transact_write_items", self._transact_write, kwargs)

    def transact_get_items(self, **kwargs: Any) -> dict[str, Any]:
        """TransactGetItems."""
        return self._call("transact_get_items", self._transact_get, kwargs)

    def _call(self, operation: str, method: Callable[..., Any], kwargs: dict[str, Any]) -> Any:
        def locked(**arguments: Any) -> Any:
            with self._lock:
                try:
                    return method(copied(arguments))
                except Invalid as error:
                    raise client_error(operation, "ValidationException", str(error)) from None

        return self.faults.call(operation, locked, kwargs)

    # --- single items ---

    def _table(self, name: str) -> Table:
        if name not in self._tables:
            raise client_error("DynamoDB", "ResourceNotFoundException", f"Requested resource not found: {name}")
        return self._tables[name]

    def _view(self, name: str, *, consistent: bool, index: str | None = None) -> dict[Key, Item]:
        items = self._table(name).items
        if index is not None:
            return self._index_view.get(name, items)
        return items if consistent else self._eventual_view.get(name, items)

    def _get(self, request: dict[str, Any]) -> dict[str, Any]:
        table = self._table(request["TableName"])
        view = self._view(request["TableName"], consistent=request.get("ConsistentRead", False))
        scope = Scope(request.get("ExpressionAttributeNames"), None)
        paths = _projection(request, scope)
        scope.check_all_used()
        item = view.get(table.exact_key(request["Key"]))
        return {} if item is None else {"Item": copied(project(paths, item) if paths else item)}

    def _put(self, request: dict[str, Any]) -> dict[str, Any]:
        old, new = self._apply("Put", request)
        return _returned(request, old, new, ("NONE", "ALL_OLD"))

    def _delete(self, request: dict[str, Any]) -> dict[str, Any]:
        old, new = self._apply("Delete", request)
        return _returned(request, old, new, ("NONE", "ALL_OLD"))

    def _update(self, request: dict[str, Any]) -> dict[str, Any]:
        old, new = self._apply("Update", request)
        return _returned(request, old, new, ("NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"))

    def _apply(self, kind: str, request: dict[str, Any]) -> tuple[Item | None, Item | None]:
        key, old, new, condition = self._evaluate(kind, request)
        if not condition:
            members = {}
            if request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and old is not None:
                members = {"Item": copied(old)}
            raise client_error(
                f"{kind}Item", "ConditionalCheckFailedException", "The conditional request failed", **members
            )
        self._store(request["TableName"], key, old, new)
        return old, new

    def _evaluate(self, kind: str, request: dict[str, Any]) -> tuple[Key, Item | None, Item | None, bool]:
        """What a write would do: (key, old, new, whether its condition holds)."""
        table = self._table(request["TableName"])
        scope = Scope(request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues"))
        text = request.get("ConditionExpression")
        tree = None if text is None else Parser(text, scope).condition()
        actions = Parser(request["UpdateExpression"], scope).update() if "UpdateExpression" in request else []
        scope.check_all_used()
        key = table.key_of(request["Item"]) if kind == "Put" else table.exact_key(request["Key"])
        old = table.items.get(key)
        passed = tree is None or holds(tree, old or {})
        if not passed or kind in {"Delete", "ConditionCheck"}:
            return key, old, None if kind == "Delete" else old, passed
        if kind == "Put":
            new = normal_item(request["Item"])
        else:
            table.refuse_key_change(actions)
            new = normal_item(apply_update(actions, old or normal_item(request["Key"])))
        table.check_index_keys(new)
        return key, old, new, passed

    def _store(self, name: str, key: Key, old: Item | None, new: Item | None) -> None:
        items = self._table(name).items
        if new is None:
            items.pop(key, None)
        else:
            items[key] = new
        if old != new:
            for listener in self.on_change:
                listener(name, copied(old), copied(new))

    # --- many items ---

    def _query(self, request: dict[str, Any]) -> dict[str, Any]:
        table, index = self._table(request["TableName"]), request.get("IndexName")
        if index and request.get("ConsistentRead"):
            raise Invalid("Consistent reads are not supported on global secondary indexes")
        scope = Scope(request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues"))
        keys = table.keys_of(index)
        tree = Parser(request["KeyConditionExpression"], scope).condition()
        _check_key_condition(tree, keys)
        return self._read(request, table, index, scope, tree)

    def _scan(self, request: dict[str, Any]) -> dict[str, Any]:
        scope = Scope(request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues"))
        return self._read(request, self._table(request["TableName"]), request.get("IndexName"), scope, None)

    def _read(
        self, request: dict[str, Any], table: Table, index: str | None, scope: Scope, keys: Tree | None
    ) -> dict[str, Any]:
        text = request.get("FilterExpression")
        filter_tree = None if text is None else Parser(text, scope).condition()
        paths = _projection(request, scope)
        scope.check_all_used()
        if filter_tree is not None and keys is not None:
            _refuse_key_filter(filter_tree, table.keys_of(index))
        view = self._view(request["TableName"], consistent=request.get("ConsistentRead", False), index=index)
        forward = request.get("ScanIndexForward", True)
        if keys is None:
            rows = table.rows(view, index, forward=forward)
        else:
            partition = _partition_of(keys, table.keys_of(index)[0])
            rows = _run(keys, table.partition(view, index, partition, forward=forward))
        start = request.get("ExclusiveStartKey")
        if start is not None:
            rows = table.after(rows, start, index, forward=forward)
        limit = min(request.get("Limit", 1 << 30), self.page_size or 1 << 30)
        page, last = _page(rows, limit, size_of=lambda row: _weight(table, view, row, index))
        found = [row for row in page if filter_tree is None or holds(filter_tree, row)]
        answer: dict[str, Any] = {"Count": len(found), "ScannedCount": len(page)}
        if request.get("Select") != "COUNT":
            shown = [table.projected(row, index) for row in found]
            answer["Items"] = copied([project(paths, row) if paths else row for row in shown])
        if last is not None:
            answer["LastEvaluatedKey"] = copied(table.position(last, index))
        return answer

    def _leave_undone(self, done: int) -> int:
        kept = min(self.unprocessed, done)
        self.unprocessed -= kept
        return kept

    def _batch_get(self, request: dict[str, Any]) -> dict[str, Any]:
        if sum(len(asked["Keys"]) for asked in request["RequestItems"].values()) > 100:
            raise Invalid("Too many items requested for the BatchGetItem call")
        answer: dict[str, Any] = {"Responses": {}, "UnprocessedKeys": {}}
        for name, asked in request["RequestItems"].items():
            keys = asked["Keys"]
            exact = [self._table(name).exact_key(key) for key in keys]
            if len(set(exact)) != len(exact):
                raise Invalid("Provided list of item keys contains duplicates")
            cut = len(keys) - self._leave_undone(len(keys))
            shared = {k: v for k, v in asked.items() if k != "Keys"}
            got = [self._get({"TableName": name, "Key": key, **shared}) for key in keys[:cut]]
            answer["Responses"][name] = [g["Item"] for g in got if "Item" in g]
            if cut < len(keys):
                answer["UnprocessedKeys"][name] = {**asked, "Keys": keys[cut:]}
        return answer

    def _batch_write(self, request: dict[str, Any]) -> dict[str, Any]:
        if sum(len(writes) for writes in request["RequestItems"].values()) > 25:
            raise Invalid("Too many items requested for the BatchWriteItem call")
        left: dict[str, Any] = {}
        for name, writes in request["RequestItems"].items():
            cut = len(writes) - self._leave_undone(len(writes))
            for write in writes[:cut]:
                ((kind, body),) = write.items()
                self._apply(kind.removesuffix("Request"), {"TableName": name, **body})
            if cut < len(writes):
                left[name] = writes[cut:]
        return {"UnprocessedItems": left}

    # --- transactions ---

    def _transact_write(self, request: dict[str, Any]) -> dict[str, Any]:
        token, body = request.get("ClientRequestToken"), _fingerprint(request["TransactItems"])
        if token is not None and token in self._tokens:
            if self._tokens[token] != body:
                raise client_error("TransactWriteItems", "IdempotentParameterMismatchException", "other parameters")
            return {}
        writes = [next(iter(entry.items())) for entry in request["TransactItems"]]
        if not 1 <= len(writes) <= 100:
            raise Invalid("Member must have length less than or equal to 100 and at least 1")
        evaluated = [(write["TableName"], *self._evaluate(kind, write)) for kind, write in writes]
        targets = [(name, key) for name, key, *_ in evaluated]
        if len(set(targets)) != len(targets):
            raise Invalid("Transaction request cannot include multiple operations on one item")
        if not all(passed for *_, passed in evaluated):
            raise _cancelled(writes, [(old, passed) for _, _, old, _, passed in evaluated])
        for (kind, _), (name, key, old, new, _) in zip(writes, evaluated, strict=True):
            if kind != "ConditionCheck":
                self._store(name, key, old, new)
        if token is not None:
            self._tokens[token] = body
        return {}

    def _transact_get(self, request: dict[str, Any]) -> dict[str, Any]:
        gets = [entry["Get"] for entry in request["TransactItems"]]
        return {"Responses": [self._get({**get, "ConsistentRead": True}) for get in gets]}


def _cancelled(writes: list[Any], outcomes: list[tuple[Item | None, bool]]) -> Exception:
    reasons: list[dict[str, Any]] = []
    for (_, write), (old, passed) in zip(writes, outcomes, strict=True):
        if passed:
            reasons.append({"Code": "None"})
            continue
        reason: dict[str, Any] = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
        if write.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and old is not None:
            reason["Item"] = copied(old)
        reasons.append(reason)
    codes = ", ".join(reason["Code"] for reason in reasons)
    return client_error(
        "TransactWriteItems",
        "TransactionCanceledException",
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        CancellationReasons=reasons,
    )


def _fingerprint(writes: list[Any]) -> str:
    return json.dumps(writes, sort_keys=True, default=lambda value: value.hex())


def _projection(request: dict[str, Any], scope: Scope) -> list[tuple[Any, ...]] | None:
    text = request.get("ProjectionExpression")
    return None if text is None else Parser(text, scope).projection()


def _weight(table: Table, view: dict[Key, Item], row: Item, index: str | None) -> int:
    def measure() -> int:
        return item_size(table.projected(row, index))

    return view.size_of(row, index, measure) if isinstance(view, Rows) else measure()


def _page(rows: list[Item], limit: int, *, size_of: Callable[[Item], int]) -> tuple[list[Item], Item | None]:
    """The rows of one page, and the row it stopped at, if it stopped; an index's rows weigh what it holds of them."""
    size = 0
    for count, row in enumerate(rows, start=1):
        size += size_of(row)
        if count >= limit or (size > PAGE_BYTES and count < len(rows)):
            return rows[:count], row
    return rows, None


def _check_key_condition(tree: Tree, keys: tuple[str, ...]) -> None:
    parts = [tree[1], tree[2]] if tree[0] == "and" else [tree]
    named: list[str] = []
    for part in parts:
        operand = part[1] if part[0] in {"between", "begins_with"} else part[2] if part[0] == "compare" else None
        if operand is None or operand[0] != "path" or (part[0] == "compare" and part[1] == "<>"):
            raise Invalid("Invalid operator used in KeyConditionExpression")
        name = operand[1][0]
        if name not in keys or name in named:
            raise Invalid(f"Query key condition not supported: {name}")
        if name == keys[0] and part[:2] != ("compare", "="):
            raise Invalid("Query key condition not supported")
        named.append(name)
    if keys[0] not in named:
        raise Invalid(f"Query condition missed key schema element: {keys[0]}")


def _partition_of(tree: Tree, name: str) -> Item:
    """The value that a checked key condition wants of the partition key."""
    parts = [tree[1], tree[2]] if tree[0] == "and" else [tree]
    [value] = [part[3][1] for part in parts if part[0] == "compare" and part[2][1][0] == name]
    return dict(value)


def _run(keys: Tree, rows: list[Item]) -> list[Item]:
    """The rows of an ordered partition that a key condition means: they stand together, mostly at its beginning."""
    if not rows or not holds(keys, rows[0]):
        return [row for row in rows if holds(keys, row)]
    return rows[: bisect_left(rows, True, key=lambda row: not holds(keys, row))]


def _refuse_key_filter(tree: Any, keys: tuple[str, ...]) -> None:
    if isinstance(tree, tuple) and len(tree) == 2 and tree[0] == "path" and tree[1][0] in keys:
        raise Invalid(
            f"Filter Expression can only contain non-primary key attributes: Primary key attribute: {tree[1][0]}"
        )
    if isinstance(tree, tuple | list):
        for part in tree:
            _refuse_key_filter(part, keys)


def _returned(request: dict[str, Any], old: Item | None, new: Item | None, allowed: tuple[str, ...]) -> dict[str, Any]:
    wanted = request.get("ReturnValues", "NONE")
    if wanted not in allowed:
        raise Invalid("Return values set to invalid value")
    if wanted == "NONE":
        return {}
    source = old if wanted.endswith("OLD") else new
    if source is not None and wanted.startswith("UPDATED"):
        source = _changed(source, request, new or {})
    return {"Attributes": copied(source)} if source else {}


def _changed(source: Item, request: dict[str, Any], new: Item) -> Item:
    scope = Scope(request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues"))
    actions = Parser(request.get("UpdateExpression", ""), scope).update()
    return project([action[1][:1] for action in actions if at(source, action[1]) is not None], source)
