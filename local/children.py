"""Processes of the local run: each in a group of its own, so that stopping one stops whatever it started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class LocalRunError(Exception):
    """The local run cannot go on; the message is one sentence that says why and what to do."""


class Children:
    """The processes we started, newest last."""

    def __init__(self, logs: Path) -> None:
        """Args: logs: a directory for one file of output per process."""
        self._logs = logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None) -> None:
        """
        Start a server; its output goes to `<logs>/<name>.log`.

        On Linux it also ends by itself when we are killed without a chance to stop it.
        """
        guard = ("setpriv", "--pdeathsig", "TERM", "--") if shutil.which("setpriv") else ()
        with (self._logs / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [*guard, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )

    def run(self, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, seconds: float) -> None:
        """
        Run a command to its end.

        Raises:
            LocalRunError: It failed or took longer than `seconds`; with the end of its output.
        """
        self.start(name, command, env=env, cwd=cwd)
        try:
            code = self._processes[name].wait(seconds)
        except subprocess.TimeoutExpired:
            self._stop([name], grace=2)
            raise LocalRunError(f"{name} took longer than {seconds:.0f} seconds; see {self._log(name)}.") from None
        del self._processes[name]
        if code != 0:
            raise LocalRunError(f"{name} failed:\n{self.tail(name)}\n(all of it: {self._log(name)})")

    def wait(self, name: str, ready: Callable[[], bool], *, seconds: float) -> None:
        """
        Wait until a server is ready.

        Raises:
            LocalRunError: It ended, or was not ready in time.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._processes[name].poll() is not None:
                raise LocalRunError(f"{name} ended at once:\n{self.tail(name)}")
            if ready():
                return
            time.sleep(0.05)
        raise LocalRunError(f"{name} was not ready after {seconds:.0f} seconds; see {self._log(name)}.")

    def dead(self) -> str | None:
        """The name of a server that has ended by itself, if any."""
        return next((name for name, process in self._processes.items() if process.poll() is not None), None)

    def stop(self) -> None:
        """End every group, newest first: SIGTERM, and SIGKILL after ten seconds."""
        self._stop(list(reversed(self._processes)), grace=10)

    def tail(self, name: str, *, lines: int = 25) -> str:
        """The last lines of a process's output."""
        text = self._log(name).read_text(errors="replace") if self._log(name).exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _stop(self, names: Sequence[str], *, grace: float) -> None:
        for name in names:
            _signal(self._processes[name], signal.SIGTERM)
        deadline = time.monotonic() + grace
        for name in names:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._processes[name].wait(max(0.1, deadline - time.monotonic()))
        for name in names:
            _signal(self._processes[name], signal.SIGKILL)  # the group may outlive its first process
            self._processes.pop(name).wait()


def require_free(port: int, purpose: str, option: str) -> None:
    """
    Make sure that nobody listens on 127.0.0.1:port.

    Raises:
        LocalRunError: Somebody does.
    """
    if not is_free(port):
        raise LocalRunError(f"Port {port} for {purpose} is in use: stop what uses it or choose another with {option}.")


def is_free(port: int) -> bool:
    """True when 127.0.0.1:port can be bound now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(preferred: int = 0) -> int:
    """`preferred` when it is free, else a port below the ephemeral range that is."""
    if preferred and is_free(preferred):
        return preferred
    for _ in range(200):
        port = 20_000 + int.from_bytes(os.urandom(2)) % 10_000
        if is_free(port):
            return port
    raise LocalRunError("There is no free port between 20000 and 30000.")


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
