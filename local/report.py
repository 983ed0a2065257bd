"""What the local run tells: `.local/stack.json` for programs, a few lines for people."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local import aws
from local.demo_app import DemoApp
from local.seed import Seeded

if TYPE_CHECKING:
    from rich.console import Console


def facts(
    deployed: aws.Deployed, seeded: Seeded, *, state: Path, url: str, public_url: str, demo_url: str, app: DemoApp
) -> dict[str, Any]:
    """What `.local/stack.json` says of the running stack: keys included, so the file is the owner's alone."""
    return {
        "pid": os.getpid(),
        "state_dir": str(state.resolve()),
        "api_url": public_url,
        "console_url": f"{public_url}/console",
        "demo_app_url": app.url,
        "demo_provider_url": demo_url,
        "client_id": seeded.client_id,
        "redirect_uri": app.callback_uri,
        "connect_redirect_uri": app.connected_uri,
        "client_api_key": seeded.client_api_key,
        "admin_api_key": seeded.admin_api_key,
        "aws_endpoint_url": url,
        "region": aws.REGION,
        "stack_name": aws.STACK,
        "tables": deployed.of_type("AWS::DynamoDB::Table"),
        "queues": deployed.of_type("AWS::SQS::Queue"),
        "functions": deployed.of_type("AWS::Lambda::Function"),
        "bus": next(iter(deployed.of_type("AWS::Events::EventBus").values()), None),
        "outputs": dict(deployed.outputs),
        "environment": dict(deployed.environment),
    }


def say_ready(
    console: Console, facts: dict[str, Any], routes: Mapping[str, str], *, app: DemoApp, seconds: float, state: Path
) -> None:
    """What to open and what to try next."""
    api = facts["api_url"]
    console.print(
        f"\n[bold]Grantkeeper is up[/bold] ({seconds:.0f} s). Open [bold]{app.url}[/bold] and sign in as ada.\n"
    )
    rows = {
        "API": api,
        "API description": f"{api}/docs" if "GET /docs" in routes else "",
        "Admin console": f"{facts['console_url']}  (as ada, who is admin, or grace, an auditor)",
        "Demo application": f"{app.url}  (client {facts['client_id']})",
        "Demo provider": facts["demo_provider_url"],
        "Operator's API key": facts["admin_api_key"],
        "Client's API key": facts["client_api_key"],
        "All of this": str(_relative(state / "stack.json")),
    }
    for name, value in ((name, value) for name, value in rows.items() if value):
        console.print(f"  {name:<20}{value}", soft_wrap=True, markup=False)
    console.print("\nNext:")
    key = f"-H 'X-API-Key: {facts['client_api_key']}'"
    wish = json.dumps({"service": "demo", "user_id": "42", "redirect_uri": app.connected_uri})
    for command in (
        f"curl -s {api}/v1/providers",
        f"curl -s {api}/v1/connect-sessions {key} -H 'Content-Type: application/json' -d '{wish}'",
        f"curl -s '{api}/v1/connections?user_id=42' {key}",
    ):
        console.print(f"  {command}", soft_wrap=True, markup=False)
    console.print("\nA single-page application with a backend (examples/README.md), beside this:")
    console.print(f"  {_example(state)}", soft_wrap=True, markup=False)
    console.print("\nCtrl-C stops everything.")


def _example(state: Path) -> str:
    """The example's command; it has to be told of a stack in another place."""
    command = ".venv/bin/python -m examples.serve"
    usual = state.resolve() == (aws.ROOT / ".local").resolve()
    return command if usual else f"GRANTKEEPER_LOCAL_STACK={state / 'stack.json'} {command}"


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone can read."""
    path.unlink(missing_ok=True)
    with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
