"""
The product's functions in processes that can be killed, stopped and cut off.

    python -m tests.chaos.worker SOCKET CLOCK_FILE

It imports and wires everything once, listens on a Unix socket, and forks: every connection to the socket is a new
process, an execution environment as fresh as Lambda's. Such a process takes commands, one JSON line each, calls the
function's own handler as Lambda does, and answers with a line. It says where it is before it dies or stops.

`FAILPOINT` in the environment, or the command `arm`, says what happens where (see `failpoints`).
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from tests.chaos import desk
from tests.chaos.clock import ProcessClock, SharedClock
from tests.chaos.failpoints import Failpoints

ROOT = Path(__file__).parents[2]
TIMEOUT = 20.0  # seconds Lambda gives the refresh function
FUNCTIONS = ("refresh", "rescue", "sweeper", "connections", "projector")
PARTS = (
    *("api_keys", "audit", "breakers", "clients", "connections", "counters", "credentials", "grants", "provider_items"),
    *("rate_limits", "rescue_queue", "secrets", "users", "vault", "work_queue"),
)
CLIENTS = ("dynamodb", "kms", "sqs", "rescue_sqs", "ssm", "events")


class Worker:
    """One execution environment of every function at once."""

    def __init__(self, functions: Mapping[str, ModuleType], clock: ProcessClock, shared: SharedClock) -> None:
        self.functions = functions
        self.clock = clock
        self.shared = shared
        self.points = Failpoints(advance=shared.advance)
        self.points.install()

    def serve(self, wire: socket.socket) -> None:
        """Answer commands until the other side is gone."""
        lines = wire.makefile("rw", encoding="utf-8", newline="\n")

        def say(message: Mapping[str, Any]) -> None:
            lines.write(json.dumps(message) + "\n")
            lines.flush()

        self.points.announce = lambda point: say({"at": point})
        self.points.arm(os.environ.get("FAILPOINT", ""))
        say({"pid": os.getpid()})
        for line in lines:
            command = json.loads(line)
            try:
                say({"answer": self._do(command)})
            except Exception as error:  # noqa: BLE001 - Lambda reports it and goes on with the next event
                say({"failed": type(error).__name__, "trace": traceback.format_exc()})

    def _do(self, command: dict[str, Any]) -> Any:
        do = command.pop("do")
        at = command.pop("at", None)
        if at is not None:  # callers that begin together
            select.select([], [], [], max(0.0, at - time.time()))
        action: Callable[..., Any] = getattr(self, f"do_{do}")
        return action(**command)

    # --- what a test may ask ---

    def do_arm(self, text: str) -> None:
        self.points.arm(text)

    def do_skew(self, seconds: float) -> None:
        self.clock.skew = seconds

    def do_wait(self, really: bool) -> None:
        self.clock.waits = really

    def do_processor(self) -> float:
        return time.process_time()

    def do_visits(self) -> dict[str, int]:
        return dict(self.points.visits)

    def do_windows(self) -> list[tuple[float, float, float]]:
        return self.points.windows

    def do_seed(self, **facts: Any) -> str:
        return desk.seed(self.functions["connections"].app_wiring, now=int(time.time()), **facts)

    def do_connect(self, **facts: Any) -> str:
        return desk.connect(self.functions["connections"].app_wiring, now=int(time.time()), **facts)

    def do_register(self, provider: str, registered: bool) -> None:
        parts = self.functions["connections"].app_wiring
        desk.register(parts, provider, now=int(time.time()), registered=registered)

    def do_http(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        answer = self.functions[function].handler(event, self._context())
        return {"status": answer["statusCode"], "headers": answer["headers"], "body": json.loads(answer["body"])}

    def do_work(self, event: dict[str, Any]) -> Any:
        return self.functions["refresh"].batch_handler(event, self._context())

    def do_sweep(self, keys: bool = False) -> None:
        sweeper = self.functions["sweeper"]
        sweeper.handler({}, self._context()) if keys else sweeper._sweep(self._context())

    def do_rescue(self, event: dict[str, Any]) -> Any:
        return self.functions["rescue"].handler(event, self._context())

    def do_project(self, event: dict[str, Any]) -> Any:
        return self.functions["projector"].handler(event, self._context())

    def _context(self) -> Any:
        ends = time.monotonic() + TIMEOUT
        return SimpleNamespace(
            function_name="chaos",
            memory_limit_in_mb=512,
            invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:chaos",
            aws_request_id="00000000-0000-4000-8000-000000000000",
            get_remaining_time_in_millis=lambda: int((ends - time.monotonic()) * 1000),
        )


def main() -> None:
    """Wire, then fork for everybody who connects."""
    address, shared = sys.argv[1], SharedClock(Path(sys.argv[2]))
    clock = ProcessClock(shared)
    clock.install()
    functions = {name: _load(name) for name in FUNCTIONS}  # after the clock, which some take when they are imported
    for module in functions.values():
        for client in CLIENTS:
            getattr(module.app_wiring.aws, client)  # made, not connected: a fork may have them
    _make_the_late(functions)
    worker = Worker(functions, clock, shared)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the dead
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(128)
        while True:
            wire, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                worker.serve(wire)
                os._exit(0)
            wire.close()


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"functions_{name}", ROOT / "functions" / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _make_the_late(functions: Mapping[str, ModuleType]) -> None:
    """What functions import and make when they first need it: once here, not in every process."""
    import grantkeeper.oauth.token_request
    import grantkeeper.providers.load
    import grantkeeper.services.work  # noqa: F401

    functions["refresh"].app_wiring.provider_http._made_client()  # its authorities take longest; it has no connection
    for module in functions.values():
        for part in PARTS:
            getattr(module.app_wiring, part)
        client = module.app_wiring.aws.dynamodb
        nobody = {"pk": {"S": "NOBODY"}, "sk": {"S": "NOBODY"}}
        client.get_item(TableName=module.app_wiring.env["GRANTS_TABLE"], Key=nobody)  # botocore is late with much
        client._endpoint.http_session.close()  # no connection outlives a fork


if __name__ == "__main__":
    main()
