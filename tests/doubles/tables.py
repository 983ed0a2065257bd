"""The schema of the three tables, as `template.yaml` declares it (a test compares the two)."""

from __future__ import annotations

from typing import Any


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]


def _attributes(**types: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def _index(name: str, partition: str, sort: str, projection: str, *included: str) -> dict[str, Any]:
    described: dict[str, Any] = {"ProjectionType": projection}
    if included:
        described["NonKeyAttributes"] = list(included)
    return {"IndexName": name, "KeySchema": _keys(partition, sort), "Projection": described}


GRANTS: dict[str, Any] = {
    "KeySchema": _keys("pk", "sk"),
    "AttributeDefinitions": _attributes(pk="S", sk="S", shard="N", due_at="N", list="S", key="S"),
    "GlobalSecondaryIndexes": [
        _index("due", "shard", "due_at", "INCLUDE", "provider", "generation"),
        _index("list", "list", "key", "KEYS_ONLY"),
    ],
}
REQUESTS: dict[str, Any] = {"KeySchema": _keys("pk", "sk"), "AttributeDefinitions": _attributes(pk="S", sk="S")}
AUDIT: dict[str, Any] = {
    "KeySchema": _keys("pk", "sk"),
    "AttributeDefinitions": _attributes(pk="S", sk="S", day="S", key="S", actor="S"),
    "GlobalSecondaryIndexes": [
        _index("day", "day", "key", "ALL"),
        _index("actor", "actor", "key", "KEYS_ONLY"),
    ],
}


def create_tables(client: Any, *, prefix: str = "") -> dict[str, str]:
    """Create the three tables; returns them under the names of their environment variables."""
    names = {f"{part.upper()}_TABLE": f"{prefix}{part}" for part in ("grants", "requests", "audit")}
    for (_, name), schema in zip(names.items(), (GRANTS, REQUESTS, AUDIT), strict=True):
        client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **schema)
    return names
