"""The deployed stack and the peers around it, each started once per test run."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import botocore.config
import botocore.session

from tests.support.processes import free_port, listening, once_per_run, spawn, wait_for

ROOT = Path(__file__).parents[2]
NODE = ROOT / "tests" / "node"
ROTATING = "rotating"  # id of the provider (and of its service) that `oidc_provider` is in the stack


@dataclass(frozen=True, slots=True)
class Stack:
    """Where everything is; `facts` is what the run wrote to stack.json."""

    api_url: str
    demo_provider_url: str
    client_id: str
    redirect_uri: str
    connect_redirect_uri: str
    aws_endpoint_url: str
    functions: Mapping[str, str]  # logical id → name
    tables: Mapping[str, str]
    queues: Mapping[str, str]
    environment: Mapping[str, str]  # the functions' variables, merged
    facts: Mapping[str, Any] = field(repr=False)

    @property
    def client_api_key(self) -> str:
        """The demo client's key: connections:token and what belongs to it."""
        return str(self.facts["client_api_key"])

    @property
    def admin_api_key(self) -> str:
        """The operator's key."""
        return str(self.facts["admin_api_key"])

    def aws(self, service: str) -> Any:
        """A client of the emulator, e.g. `stack.aws("dynamodb")`."""
        return _client(service, str(self.facts["region"]), self.aws_endpoint_url)


@cache
def _client(service: str, region: str, endpoint_url: str) -> Any:
    """Made once per process: reading botocore's models takes longer than most calls."""
    return botocore.session.get_session().create_client(
        service,
        region_name=region,
        endpoint_url=endpoint_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=botocore.config.Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 1}),
    )


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """npm's oidc-provider: rotating refresh tokens, access tokens of 10 seconds, PKCE required."""

    issuer: str
    client_id: str = "grantkeeper"
    client_secret: str = field(default="rotating-secret", repr=False)

    @property
    def record(self) -> dict[str, Any]:
        """Its provider record, as a deployment's overlay writes it."""
        return {
            "display_name": "Rotating",
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/me",
            "jwks_uri": f"{self.issuer}/jwks",
            "revocation_endpoint": f"{self.issuer}/token/revocation",
            "end_session_endpoint": f"{self.issuer}/session/end",
            "authorization_response_iss": "required",
            "pkce": "required",
            "refresh": {"rotation": "always", "previous_refresh_token": "revoked"},
            "revocation": {"kind": "rfc7009", "auth": "client_secret_basic", "effect": "grant"},
            "profile": {"email_verified_policy": "claim"},
            "allow_private_addresses": True,
        }


def missing_node() -> str | None:
    """Why the Node peers cannot start here; None when they can."""
    if shutil.which("node") is None:
        return "Node.js is missing: the OpenID peers need it."
    if not (NODE / "node_modules" / "oidc-provider").exists():
        return "The Node packages are missing: run `npm ci --ignore-scripts` in tests/node."
    return None


def missing_example() -> str | None:
    """Why the example cannot be served here; None when it can."""
    if not (ROOT / "examples" / "spa" / "node_modules" / "oidc-client-ts").exists():
        return "oidc-client-ts is missing: run `npm ci --ignore-scripts` in examples/spa."
    return None


def missing_local_run() -> str | None:
    """Why the local run cannot start here; None when it can."""
    tool = next((tool for tool in ("make",) if shutil.which(tool) is None), None)
    return f"{tool} is missing: `sam build` needs it." if tool else None


def start_oidc_provider() -> OidcProvider:
    """Start it, once per run."""

    def start(log: Path) -> Mapping[str, Any]:
        port = free_port()
        pid = spawn(["node", str(NODE / "oidc-provider.mjs"), str(port)], log=log, cwd=NODE)
        wait_for(lambda: listening(port), pid=pid, log=log, seconds=60)
        return {"issuer": f"http://127.0.0.1:{port}"}

    return OidcProvider(issuer=once_per_run("oidc-provider", start)["issuer"])


def start_demo_provider(*, token_seconds: int = 5) -> str:
    """Start an `oidc-provider-mock` of the tests' own; returns its URL."""

    def start(log: Path) -> Mapping[str, Any]:
        port = free_port()
        command = [str(Path(sys.executable).with_name("oidc-provider-mock")), "--port", str(port)]
        pid = spawn([*command, "--token-max-age", str(token_seconds)], log=log)
        wait_for(lambda: listening(port), pid=pid, log=log, seconds=60)
        return {"url": f"http://127.0.0.1:{port}"}

    return str(once_per_run("demo-provider", start)["url"])


def start_stack(oidc_provider: OidcProvider | None) -> Stack:
    """Start the local run on ports of its own, once per run, with `oidc_provider` registered as `rotating`."""

    def start(log: Path) -> Mapping[str, Any]:
        state = log.parent / "local"
        ready = log.parent / "ready.json"
        command = [sys.executable, "-m", "local.run", "--port", "0", "--state-dir", str(state)]
        ports = {"--ministack-port": free_port(), "--demo-provider-port": free_port(), "--demo-app-port": free_port()}
        command += [text for option, port in ports.items() for text in (option, str(port))]
        if oidc_provider is not None:
            credentials = {"client_id": oidc_provider.client_id, "client_secret": oidc_provider.client_secret}
            overlay = log.parent / "providers.json"
            overlay.write_text(json.dumps({ROTATING: {**oidc_provider.record, "credentials": credentials}}))
            command += ["--providers", str(overlay)]
        pid = spawn([*command, "--ready-file", str(ready)], log=log, cwd=ROOT)
        wait_for(ready.exists, pid=pid, log=log, seconds=300)
        return json.loads(ready.read_text())

    facts = once_per_run("stack", start)
    names = [name for name in Stack.__slots__ if name != "facts"]
    return Stack(facts=facts, **{name: facts[name] for name in names})
