"""
The example, beside `make run`: registers its client and its key, then serves its pages and its backend.

    .venv/bin/python -m examples.serve [--spa-port 8091] [--backend-port 8092]

Registration goes by the operator's own command, as a team would do it once.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from cli.stack import LOCAL_STACK, LOCAL_STACK_VARIABLE
from examples.backend.app import Backend, Settings
from examples.backend.grantkeeper_api import GrantkeeperApi
from examples.pages import LIBRARY, SPA, Pages

ROOT = Path(__file__).resolve().parents[1]
KEY_SCOPES = ("connections:read", "connections:token", "connections:write")


def main(arguments: list[str] | None = None) -> int:
    """Serve until stopped; returns 0 after Ctrl-C, 1 after one sentence about what is missing."""
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    stack_file = Path(os.environ.get(LOCAL_STACK_VARIABLE, LOCAL_STACK))
    if not stack_file.exists():
        print("No local stack is running: start one with `make run`, and leave it running.", file=sys.stderr)
        return 1
    if not LIBRARY.exists() and not _install_library():
        print("oidc-client-ts is missing: run `npm ci --ignore-scripts` in examples/spa.", file=sys.stderr)
        return 1
    stack = json.loads(stack_file.read_text())
    pages, backend = Pages(options.spa_port), Backend(options.backend_port)
    client_id, api_key = _register(pages, backend)

    config = {"issuer": stack["api_url"], "client_id": client_id, "backend": backend.url}
    pages.open(json.dumps(config).encode(), talks_to=(stack["api_url"], backend.url))
    settings = Settings(
        spa_origin=pages.origin,
        connected_uri=f"{pages.origin}/connected",
        accounts={"demo": f"{stack['demo_provider_url']}/userinfo"},
    )
    backend.open(settings, grantkeeper=GrantkeeperApi(stack["api_url"], api_key))
    for server in (pages, backend):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    if options.ready_file is not None:
        facts = {"spa_url": pages.origin, "backend_url": backend.url, "client_id": client_id}
        options.ready_file.write_text(json.dumps(facts))
    print(
        f"The example is up. Open {pages.origin} and sign in as ada.\nIts backend is {backend.url}. Ctrl-C stops both."
    )
    return _wait()


def _register(pages: Pages, backend: Backend) -> tuple[str, str]:
    """A public client for the browser, and for its backend a key of that client; returns (client_id, key)."""
    client = _operator(
        *("clients", "register", "--name", "Example", "--origin", pages.origin, "--resource", backend.url),
        *("--redirect-uri", f"{pages.origin}/callback", "--redirect-uri", f"{pages.origin}/connected"),
        *("--post-logout-redirect-uri", f"{pages.origin}/"),
    )
    scopes = [text for scope in KEY_SCOPES for text in ("--scope", scope)]
    key = _operator("api-keys", "create", "--name", "example backend", "--client", client["client_id"], *scopes)
    return client["client_id"], key["api_key"]


def _operator(*arguments: str) -> dict[str, Any]:
    """`grantkeeper --local …`, which reads where the local stack is from the file that `make run` writes."""
    command = [sys.executable, "-m", "cli", "--local", *arguments, "--json"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    place = {LOCAL_STACK_VARIABLE: str(Path(os.environ.get(LOCAL_STACK_VARIABLE, LOCAL_STACK)).resolve())}
    done = subprocess.run(command, cwd=ROOT, env=clean | place, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _install_library() -> bool:
    """Fetch what package-lock.json pins; its scripts are not run."""
    if shutil.which("npm") is None:
        return False
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=SPA, check=False)
    return done.returncode == 0 and LIBRARY.exists()


def _wait() -> int:
    """Until Ctrl-C or SIGTERM."""
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    done.wait()
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.serve", description="Serve the example application.")
    parser.add_argument("--spa-port", type=int, default=8091, help="port of the pages; 0 takes any (default: 8091)")
    parser.add_argument("--backend-port", type=int, default=8092, help="port of the backend (default: 8092)")
    parser.add_argument("--ready-file", type=Path, help="where to write the addresses once everything is up")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
