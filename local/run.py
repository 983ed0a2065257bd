"""
`make run`: the whole product on this machine, from the real template, without Docker or an AWS account.

    python -m local.run [--port 8080] [--ministack-port N] [--providers FILE] [--once]

Everything listens on 127.0.0.1 and ends with Ctrl-C.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import IO

from rich.console import Console

from local import aws, providers, report, seed
from local.children import Children, LocalRunError, free_port, require_free
from local.demo_app import DemoApp
from local.edge import Edge, deployed_routes

STATE = aws.ROOT / ".local"
console = Console(highlight=False)
HOSTS = ("localhost", "127.0.0.1")


class Stop(Exception):
    """SIGTERM or Ctrl-C."""


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped; returns the exit code: 0 after Ctrl-C, 1 when it could not start or a part died."""
    options = _options(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        with ExitStack() as stack:
            _run(options, stack)
    except Stop:
        console.print("Stopped. Nothing is left running.")
        return 0
    except LocalRunError as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it was, the reader gets a sentence and the log the rest
        trace = options.state_dir / "logs" / "run.log"
        trace.write_text(traceback.format_exc())
        console.print(f"The local run failed: {error}; {trace} has the details.", style="red", markup=False)
        return 1
    return 0


def _run(options: argparse.Namespace, stack: ExitStack) -> None:
    started = time.monotonic()
    state: Path = options.state_dir
    state.mkdir(parents=True, exist_ok=True)
    stack.enter_context(_only_one(state))
    (state / "stack.json").unlink(missing_ok=True)  # of a run that was killed
    for tool in ("sam", "uv", "make"):
        _require(tool)
    overlays = providers.overlays(options.providers)

    logs = _directory(state / "logs")
    errors = stack.enter_context((logs / "errors.log").open("w", buffering=1))
    edge = _listen(options.port, report=lambda function, error: print(f"{function}: {error}", file=errors))
    stack.callback(edge.server_close)
    _serve(edge, stack)
    scratch = _empty_directory(state / "emulator")
    stack.callback(shutil.rmtree, scratch, ignore_errors=True)
    children = Children(logs)
    stack.callback(_stop_children, children)
    public_url = f"http://{options.host}:{edge.port}"
    for sentence in providers.refusals(overlays, issuer=public_url):
        console.print(f"  {sentence}", soft_wrap=True, markup=False)

    with _step("Start the AWS emulator"):
        url = aws.start(children, port=options.ministack_port or free_port(4566), scratch=scratch)
    # The stores read these where botocore does; whatever account this shell belongs to is out of reach from here.
    os.environ.update({name: value for name, value in aws.environment(url).items() if name.startswith("AWS_")})
    with _step("Start the demo OpenID provider"):
        demo_url = providers.start_demo(
            children, port=free_port(options.demo_provider_port), token_seconds=options.token_seconds
        )
    with _step("Build the functions and their layer"):
        aws.build(children, url=url)
    with _step("Deploy template.yaml"):
        deployed = aws.deploy(children, url=url, public_url=public_url)
    with _step("Open the front door"):
        functions = deployed.of_type("AWS::Lambda::Function")
        lambda_client = aws.client("lambda", url, read_timeout=30)
        api_id = next(iter(deployed.of_type("AWS::ApiGatewayV2::Api").values()))
        routes = deployed_routes(aws.client("apigatewayv2", url), api_id)
        edge.open(api_id=api_id, routes=routes, lambda_client=lambda_client)
    with _step("Register the demo client and its providers"):
        app = DemoApp(free_port(options.demo_app_port), issuer=public_url)
        stack.callback(app.server_close)
        seeded = seed.seed(
            aws.environment(url) | dict(deployed.environment) | {"AWS_ENDPOINT_URL": url, "LOCAL_RUN": "1"},
            redirect_uris=(app.callback_uri, app.connected_uri),
            origin=app.url,
            providers=[providers.demo(demo_url), *overlays],
        )
        app.open(client_id=seeded.client_id, api_key=seeded.client_api_key)
        _serve(app, stack)
    with _step("Make signing and branch keys"):
        seed.make_keys(aws.client("lambda", url, read_timeout=90), functions[_sweeper(functions)])

    facts = report.facts(deployed, seeded, state=state, url=url, public_url=public_url, demo_url=demo_url, app=app)
    stack.callback((state / "stack.json").unlink, missing_ok=True)
    for file in filter(None, (state / "stack.json", options.ready_file)):
        report.write_private(file, json.dumps(facts, indent=2) + "\n")
    report.say_ready(console, facts, routes, app=app, seconds=time.monotonic() - started, state=state)
    if not options.once:
        _watch(children)


def _watch(children: Children) -> None:
    while (name := children.dead()) is None:
        time.sleep(0.5)
    raise LocalRunError(f"The {name} ended by itself:\n{children.tail(name)}")


def _serve(server: ThreadingHTTPServer, stack: ExitStack) -> None:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stack.callback(server.shutdown)


def _listen(port: int, *, report: Callable[[str, str], None]) -> Edge:
    if port:
        require_free(port, "the API", "--port (make run PORT=…)")
    try:
        return Edge(port or free_port(), report=report)
    except OSError as error:
        raise LocalRunError(f"Port {port} cannot be used: {error.strerror}.") from None


def _stop_children(children: Children) -> None:
    """No signal may interrupt the stopping itself."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    children.stop()


@contextmanager
def _only_one(state: Path) -> Iterator[None]:
    """
    Hold the state directory's lock for as long as we run; the system frees it when we die.

    Raises:
        LocalRunError: Another run holds it.
    """
    with (state / "run.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalRunError(f"A local run is up already ({_holder(file)}); stop it with Ctrl-C first.") from None
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read(40) or "just starting"


@contextmanager
def _step(title: str) -> Iterator[None]:
    """Show a step while it runs and how long it took; on a terminal with a spinner."""
    begun = time.monotonic()
    with console.status(f"{title} …"):
        yield
    console.print(f"  ✓ {title} ({time.monotonic() - begun:.1f} s)")


def _require(tool: str) -> None:
    search = aws.environment("")["PATH"]
    if shutil.which(tool, path=search) is None:
        raise LocalRunError(f"`{tool}` is missing: run `make run`, which installs what it can, or install {tool}.")


def _sweeper(functions: dict[str, str]) -> str:
    return next(name for name in functions if name.lower().startswith("sweeper"))


def _directory(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _empty_directory(path: Path) -> Path:
    """What a run that was killed has left there goes."""
    shutil.rmtree(path, ignore_errors=True)
    return _directory(path).resolve()


def _stop(*_: object) -> None:
    raise Stop


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.run", description="Run Grantkeeper on this machine.")
    add = parser.add_argument
    add("--port", type=int, default=8080, help="port of the API, the issuer's; 0 takes any (default: 8080)")
    add(
        "--host", choices=HOSTS, default=HOSTS[0], help="the issuer's host: some providers redirect to one of them only"
    )
    add("--ministack-port", type=int, default=0, help="port of the AWS emulator (default: 4566 or any free one)")
    add("--demo-provider-port", type=int, default=9400, help="preferred port of the demo provider")
    add("--demo-app-port", type=int, default=8090, help="preferred port of the demo application")
    add("--providers", type=Path, help="JSON or YAML file: provider id → record fields and credentials")
    add("--token-seconds", type=int, default=120, help="lifetime of the demo provider's access tokens")
    add("--state-dir", type=Path, default=STATE, help="where stack.json and the logs go (default: .local)")
    add("--ready-file", type=Path, help="a second place to write stack.json to, once everything is up")
    add("--once", action="store_true", help="stop as soon as everything is up: a smoke test")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
