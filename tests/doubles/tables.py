"""The three tables of `template.yaml`, created in a double."""

from __future__ import annotations

from typing import Any

from tests.support.tables import definitions


def create_tables(client: Any, *, prefix: str = "") -> dict[str, str]:
    """Create the three tables; returns their names under those of their environment variables."""
    for name, schema in definitions().items():
        client.create_table(TableName=f"{prefix}{name}", **schema)
    return {f"{name.upper()}_TABLE": f"{prefix}{name}" for name in definitions()}
