"""A bare MiniStack, nothing deployed: for tests of single services. Started once per run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore.config
import botocore.session

from tests.support.processes import free_port, listening, once_per_run, spawn, wait_for


def endpoint_url() -> str:
    """Start it once per run, in memory; returns its URL."""
    return once_per_run("ministack-bare", _start)["endpoint_url"]


def client(service: str, url: str) -> Any:
    """A low-level client with short deadlines and no retries of its own."""
    return botocore.session.get_session().create_client(
        service,
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=botocore.config.Config(
            connect_timeout=2, read_timeout=20, retries={"max_attempts": 0}, max_pool_connections=32
        ),
    )


def _start(log: Path) -> Mapping[str, Any]:
    port = free_port()
    pid = spawn(
        [str(Path(sys.executable).parent / "ministack")],
        log=log,
        env={
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PERSIST_STATE": "0",
            "TMPDIR": str(log.parent),
        },
        cwd=log.parent,
    )
    wait_for(lambda: listening(port), pid=pid, log=log, seconds=60)
    return {"endpoint_url": f"http://127.0.0.1:{port}"}
