"""
The other side of a bench, in processes of its own: a provider with a fixed delay, and a fast stand-in for DynamoDB.

    with servers.running() as running:
        provider = running.provider(delay=0.05, answer=...)
        table_url = running.dynamodb_stand_in()     # or running.dynamodb_local()

The stand-in is the tests' in-memory table behind DynamoDB's wire format: what the client does with it (serialise,
sign, send, parse) is real.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tests.support import dynamodb
from tests.support.processes import free_port, listening

ROOT = Path(__file__).resolve().parent.parent
UP_WITHIN = 60.0  # seconds

Answer = tuple[int, bytes]
Answering = Callable[[Mapping[str, str], bytes], Answer]


class _Http(asyncio.Protocol):
    """HTTP/1.1 as far as a client of ours speaks it: kept connections, a content length, no pipelining."""

    def __init__(self, answering: Answering, *, delay: float, content_type: str) -> None:
        self._answering, self._delay, self._type = answering, delay, content_type
        self._held = b""
        self._wire: Any = None

    def connection_made(self, transport: Any) -> None:
        self._wire = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, found, rest = self._held.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.decode("latin-1").split("\r\n")[1:]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._held = rest[length:]
        status, body = self._answering(headers, rest[:length])
        answer = f"HTTP/1.1 {status} -\r\ncontent-type: {self._type}\r\ncontent-length: {len(body)}\r\n\r\n"
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._wire.write, answer.encode() + body)
        else:
            self._wire.write(answer.encode() + body)


def _token_endpoint(answer: str) -> Answering:
    """Grant whatever is asked for; the refresh token is a new one each time, as a strict provider's."""
    issued = 0

    def grant(_headers: Mapping[str, str], _body: bytes) -> Answer:
        nonlocal issued
        issued += 1
        return 200, answer.replace("{n}", f"{issued:08d}").encode()

    return grant


def _dynamodb() -> Answering:
    """The in-memory table of the tests, by DynamoDB's own JSON."""
    from tests.doubles.dynamodb import InMemoryDynamoDB

    tables = InMemoryDynamoDB()
    tables.faults.calls = _Forgetful()

    def answer(headers: Mapping[str, str], body: bytes) -> Answer:
        operation = headers["x-amz-target"].rpartition(".")[2]
        method = getattr(tables, "".join(f"_{c.lower()}" if c.isupper() else c for c in operation)[1:])
        try:
            return 200, _dumped(method(**json.loads(body, object_hook=_with_bytes)))
        except ClientError as error:
            told: Any = dict(error.response)
            code, told["message"] = told.pop("Error").values()
            told.pop("ResponseMetadata")
            return 400, _dumped({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", **told})

    return answer


class _Forgetful(list[Any]):
    """Keeps no record of the calls: a bench makes too many."""

    def append(self, _call: Any) -> None:
        """Forget it."""


def _with_bytes(value: dict[str, Any]) -> dict[str, Any]:
    return {"B": base64.b64decode(value["B"])} if len(value) == 1 and isinstance(value.get("B"), str) else value


def _dumped(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer, default=lambda raw: base64.b64encode(raw).decode()).encode()


@dataclass
class Running:
    """Starts servers on free ports of 127.0.0.1; `running` stops them."""

    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def provider(self, *, delay: float, answer: str) -> str:
        """
        Start a token endpoint.

        Args:
            delay: Seconds every answer takes, whatever the load.
            answer: JSON; `{n}` in it becomes a new number each time.

        Returns:
            Its base URL.
        """
        return self._own("provider", "--delay", str(delay), "--answer", answer)

    def dynamodb_stand_in(self) -> str:
        """Start the stand-in; returns its URL."""
        return self._own("dynamodb")

    def dynamodb_local(self, *, heap: str = "512m") -> str:
        """Start DynamoDB Local, in memory; returns its URL."""
        missing = dynamodb.missing()
        if missing is not None:
            raise RuntimeError(missing)
        port = free_port()
        emulator = dynamodb.EMULATOR
        options = [f"-Xmx{heap}", f"-Djava.library.path={emulator / 'DynamoDBLocal_lib'}"]
        jar = ["-jar", str(emulator / "DynamoDBLocal.jar"), "-port", str(port)]
        return self._start(["java", *options, *jar, "-inMemory", "-sharedDb", "-disableTelemetry"], port, cwd=emulator)

    def cpu_seconds(self) -> float:
        """What all servers together have used of the processors so far."""
        return sum(_cpu_seconds(process.pid) for process in self._processes)

    def stop(self) -> None:
        """End what was started here."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _own(self, kind: str, *arguments: str) -> str:
        port = free_port()
        command = [sys.executable, "-m", "bench.servers", kind, "--port", str(port), *arguments]
        return self._start(command, port, cwd=ROOT)

    def _start(self, command: list[str], port: int, *, cwd: Path) -> str:
        process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        self._processes.append(process)
        end = time.monotonic() + UP_WITHIN
        while not listening(port):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command[0]} did not come up")
            time.sleep(0.05)
        return f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def running() -> Iterator[Running]:
    """Servers that end with the block."""
    servers = Running()
    try:
        yield servers
    finally:
        servers.stop()


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _serve(arguments: argparse.Namespace) -> None:
    if arguments.kind == "provider":
        answering, content_type = _token_endpoint(arguments.answer), "application/json"
    else:
        answering, content_type = _dynamodb(), "application/x-amz-json-1.0"
    server = await asyncio.get_running_loop().create_server(
        lambda: _Http(answering, delay=arguments.delay, content_type=content_type), "127.0.0.1", arguments.port
    )
    async with server:
        await server.serve_forever()


def main() -> None:
    """Serve until the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("provider", "dynamodb"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--answer", default="")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
