"""
Functions in a bare interpreter: the standard library, the built layer, and nothing else to import from.

The emulator puts its own site-packages behind the layer, so there a dependency
that the layer lacks is found all the same. Here it is an ImportError, as it
would be in Lambda.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Runs with -I (no environment, no user site) and -S (no site-packages at all).
HOST = """
import importlib.util, json, os, sys
layer, functions = sys.argv[1:]
sys.path.insert(0, layer)
answers, sys.stdout = sys.stdout, sys.stderr  # what functions print is their log
apps = {}

class Context:
    function_name, memory_limit_in_mb = "bare", 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:bare"
    aws_request_id = "00000000-0000-4000-8000-000000000000"
    def get_remaining_time_in_millis(self):
        return 20_000

def app(name):
    if name not in apps:
        spec = importlib.util.spec_from_file_location(f"function_{name}", os.path.join(functions, name, "app.py"))
        apps[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(apps[name])
    return apps[name]

for line in sys.stdin:
    call = json.loads(line)
    try:
        if "statement" in call:
            exec(call["statement"], {})
            answer = {"value": None}
        elif "function" in call:
            answer = {"value": getattr(app(call["function"]), call["entry"])(call["event"], Context())}
        else:
            answer = {"value": {n: f for n, m in list(sys.modules.items()) if (f := getattr(m, "__file__", None))}}
    except BaseException as error:
        answer = {"raised": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), file=answers, flush=True)
"""


class BareFunctions:
    """Has the interface of a Lambda client as far as the front door of the local run needs it."""

    def __init__(self, *, layer: Path, functions: Path, environment: Mapping[str, str], log: Path) -> None:
        """
        Start the interpreter; functions are loaded when they are first called.

        Args:
            layer: What Lambda mounts at /opt/python.
            functions: The folder of the functions' folders.
            environment: All that the functions see of the environment.
            log: Where their output goes.
        """
        self._lock = threading.Lock()
        self._log = log.open("wb")
        self.entries: dict[str, tuple[str, str]] = {}  # function's name → folder, entry point
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", HOST, str(layer), str(functions)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=dict(environment),
            cwd=layer,
            text=True,
        )

    def invoke(self, *, FunctionName: str, Payload: str) -> dict[str, Any]:  # noqa: N803 - the Lambda API's own names
        """Like the Lambda API's Invoke."""
        folder, entry = self.entries[FunctionName]
        answer = self.ask({"function": folder, "entry": entry, "event": json.loads(Payload)})
        failed = {"FunctionError": "Unhandled"} if "raised" in answer else {}
        return {"Payload": io.BytesIO(json.dumps(answer.get("value", answer)).encode()), **failed}

    def ask(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """One line to the interpreter, one back: `value`, or the text of what was `raised`."""
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(call) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        assert line, "the interpreter ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the interpreter."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=20)
        self._process.stdout.close()
        self._log.close()
