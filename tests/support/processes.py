"""Start a server once per test run, share it between xdist workers, and stop it at the end."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

RUN_DIR_VARIABLE = "GRANTKEEPER_TEST_RUN"  # set by the controller, inherited by its xdist workers


def run_dir() -> Path:
    """The directory this test run shares between its processes."""
    return Path(os.environ[RUN_DIR_VARIABLE])


def free_port() -> int:
    """
    A TCP port on 127.0.0.1 that nobody uses now.

    Below the kernel's ephemeral range, so that no outgoing connection takes it before its server starts.
    """
    for _ in range(200):
        port = 20_000 + int.from_bytes(os.urandom(2)) % 10_000
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port between 20000 and 30000")


def spawn(command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> int:
    """Start a process group of its own, its output in `log`; returns its id. `stop_all` ends it."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )
    # Nobody waits for it here: its end is seen by `wait_for`, and the run's end kills the group.
    process.returncode = 0
    (run_dir() / f"{process.pid}.pgid").touch()
    return process.pid


def wait_for(ready: Callable[[], bool], *, pid: int, log: Path, seconds: float) -> None:
    """
    Wait until `ready()`.

    Raises:
        RuntimeError: The process ended, or the time is over; with the end of its log.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready():
            return
        if not _alive(pid):
            break
        time.sleep(0.05)
    tail = log.read_text(errors="replace")[-4000:]
    raise RuntimeError(f"{log.stem} did not come up in {seconds:.0f} s:\n{tail}")


def listening(port: int) -> bool:
    """True when something accepts connections on 127.0.0.1:port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def once_per_run(name: str, start: Callable[[Path], Mapping[str, Any]]) -> Mapping[str, Any]:
    """
    Call `start(log)` in the first worker that asks and hand its answer to every other one.

    A start that failed is not tried again: the others get the same error at once.
    """
    directory = run_dir()
    answer = directory / f"{name}.json"
    with _locked(directory / f"{name}.lock"):
        if not answer.exists():
            try:
                value: Mapping[str, Any] = dict(start(directory / f"{name}.log"))
            except Exception as error:
                answer.write_text(json.dumps({"error": f"{type(error).__name__}: {error}"}))
                raise
            answer.write_text(json.dumps({"value": value}))
    content = json.loads(answer.read_text())
    if "error" in content:
        raise RuntimeError(content["error"])
    return content["value"]


def stop_all(directory: Path, *, seconds: float = 15) -> None:
    """End every process group that this run started: SIGTERM, then SIGKILL for those that stay."""
    groups = [int(path.stem) for path in directory.glob("*.pgid")]
    for group in groups:
        _signal(group, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while any(_alive(group) for group in groups) and time.monotonic() < deadline:
        time.sleep(0.05)
    for group in groups:
        _signal(group, signal.SIGKILL)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _alive(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # reap it if it is ours; a zombie is not alive
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
