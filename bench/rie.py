"""
Run a handler under the real Lambda runtime interface emulator, without Docker.

The emulator's binary ships inside the SAM CLI package; the runtime client,
`awslambdaric`, is on PyPI. One emulator at a time: its runtime API sits on a
fixed port. What counts is `INIT REPORT(durationMs)`, the time from starting
Python to the handler being ready.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

INIT_REPORT = re.compile(rb'INIT REPORT\(durationMs: ([\d.]+)|INIT REPORT.*?"?durationMs"?[:=] ?([\d.]+)')
DEADLINE = 40.0


class RieFailed(RuntimeError):
    """The emulator did not report an init; its output is the message."""


def rie_binary() -> Path:
    """The emulator of this machine's architecture, as shipped with the SAM CLI."""
    import samcli

    arch = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
    return Path(samcli.__file__).parent / "local" / "rapid" / f"aws-lambda-rie-{arch}"


def measure_init(*, folder: Path, handler: str, python: Path, path: list[Path], env: dict[str, str]) -> float:
    """
    Start a handler once in a clean environment and return its init in milliseconds.

    Args:
        folder: Working directory that holds the handler's module.
        handler: `module.function`.
        python: A bare interpreter, without site packages of ours.
        path: Import path besides the folder: the layer, and the runtime client.
        env: The function's own variables.

    Raises:
        RieFailed: No INIT REPORT within 40 s, or the init raised.
    """
    port = _free_port()
    clean = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "PYTHONPATH": os.pathsep.join(str(p) for p in path),
        "LAMBDA_TASK_ROOT": str(folder),
        "_HANDLER": handler,
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        **env,
    }
    command = [
        str(rie_binary()),
        "--runtime-interface-emulator-address",
        f"127.0.0.1:{port}",
        str(python),
        "-m",
        "awslambdaric",
        handler,
    ]
    process = subprocess.Popen(
        command, cwd=folder, env=clean, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        _invoke_once(port, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            output, _ = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()

    found = INIT_REPORT.search(output)
    if found is None or b"Runtime.ImportModuleError" in output or b"Traceback" in output.split(b"INIT REPORT")[0]:
        raise RieFailed(output.decode(errors="replace")[-3000:])
    return float(found.group(1) or found.group(2))


def _invoke_once(port: int, process: subprocess.Popen[bytes]) -> None:
    """The first invocation triggers the init; its own answer does not matter here."""
    url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if process.poll() is not None:
            return
        try:
            request = urllib.request.Request(url, data=b'{"bench": true}', method="POST")
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                answer.read()
            return
        except (ConnectionResetError, ConnectionRefusedError):
            time.sleep(0.05)
        except urllib.error.HTTPError:
            return
        except urllib.error.URLError:
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bare_python() -> Path:
    """The interpreter behind the virtual environment, so that nothing of the environment is importable."""
    return Path(sys.base_prefix) / "bin" / "python3"
