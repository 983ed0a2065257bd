"""DynamoDB Local: the jar inside the npm package `amplify-dynamodb-simulator`, which runs offline on Java 17."""

from __future__ import annotations

import http.client
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore.config
import botocore.session

from tests.support.processes import free_port, once_per_run, spawn, wait_for

EMULATOR = Path(__file__).parents[1] / "node" / "node_modules" / "amplify-dynamodb-simulator" / "emulator"


def missing() -> str | None:
    """Why DynamoDB Local cannot start here, in one sentence; None when it can."""
    if shutil.which("java") is None:
        return "DynamoDB Local needs Java 17 on the PATH."
    if not (EMULATOR / "DynamoDBLocal.jar").exists():
        return "DynamoDB Local is not installed: run `npm ci --ignore-scripts` in tests/node."
    return None


def endpoint_url() -> str:
    """Start it once per run, in memory; returns its URL."""
    return once_per_run("dynamodb-local", _start)["endpoint_url"]


def client(url: str, **config: Any) -> Any:
    """A low-level client with short deadlines; `config` goes to botocore's Config."""
    options: dict[str, Any] = {"connect_timeout": 2, "read_timeout": 10, "max_pool_connections": 64, **config}
    session = botocore.session.get_session()
    return session.create_client(
        "dynamodb",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=botocore.config.Config(**options),
    )


def _start(log: Path) -> Mapping[str, Any]:
    port = free_port()
    pid = spawn(
        [
            "java",
            "-Xmx512m",
            f"-Djava.library.path={EMULATOR / 'DynamoDBLocal_lib'}",
            "-jar",
            str(EMULATOR / "DynamoDBLocal.jar"),
            "-port",
            str(port),
            "-inMemory",
            "-sharedDb",
            "-disableTelemetry",
        ],
        log=log,
        env={"DDB_LOCAL_TELEMETRY": "0"},
        cwd=EMULATOR,
    )
    wait_for(lambda: _answers(port), pid=pid, log=log, seconds=60)
    return {"endpoint_url": f"http://127.0.0.1:{port}"}


def _answers(port: int) -> bool:
    """Any HTTP answer will do: unsigned requests get 400 from a server that is up."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status > 0
    except OSError:
        return False
    finally:
        connection.close()
