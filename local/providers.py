"""Providers of the local run: the demo OpenID provider, and what overlay files add."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from local.aws import environment
from local.children import Children, LocalRunError, is_free

OVERLAYS = Path(__file__).parent / "providers.d"
DEMO_USERS = (
    {
        "sub": "ada",
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "email_verified": True,
        "locale": "en",
    },
    {
        "sub": "grace",
        "name": "Grace Hopper",
        "email": "grace@example.com",
        "email_verified": True,
        "locale": "en-US",
    },
)


@dataclass(frozen=True, slots=True)
class Registration:
    """One provider to register: its record (fields added or overridden) and our credentials there."""

    provider_id: str
    record: Mapping[str, Any]
    client_id: str
    client_secret: str | None = field(default=None, repr=False)


def start_demo(children: Children, *, port: int, token_seconds: int) -> str:
    """Start `oidc-provider-mock` with two users; its access tokens live `token_seconds`. Returns its URL."""
    url = f"http://127.0.0.1:{port}"
    command = [str(Path(sys.executable).with_name("oidc-provider-mock")), "--port", str(port)]
    command += ["--token-max-age", str(token_seconds)]
    for user in DEMO_USERS:
        command += ["--user-claims", json.dumps(user)]
    children.start("demo provider", command, env=environment(""))
    children.wait("demo provider", lambda: not is_free(port), seconds=30)
    return url


def demo(url: str) -> Registration:
    """The built-in record `demo`, moved to where its provider runs."""
    endpoints = {
        "issuer": url,
        "authorization_endpoint": f"{url}/oauth2/authorize",
        "token_endpoint": f"{url}/oauth2/token",
        "userinfo_endpoint": f"{url}/userinfo",
        "end_session_endpoint": f"{url}/oauth2/end_session",
        "jwks_uri": f"{url}/jwks",
    }
    return Registration("demo", endpoints, client_id="grantkeeper-local", client_secret="local-demo-secret")


def overlays(file: Path | None) -> list[Registration]:
    """
    Read every file in `local/providers.d`, then `file`: JSON or YAML, provider id → record fields and `credentials`.

    Raises:
        LocalRunError: A file cannot be read or has another shape.
    """
    files = sorted(path for path in OVERLAYS.glob("*") if path.suffix in (".json", ".yaml", ".yml"))
    return [registration for path in [*files, *([file] if file else [])] for registration in _read(path)]


def _read(path: Path) -> list[Registration]:
    try:
        content = yaml.safe_load(path.read_text())  # JSON is YAML
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LocalRunError(f"The provider file {path} cannot be read: {error}") from None
    if not isinstance(content, dict) or not all(isinstance(entry, dict) for entry in content.values()):
        raise LocalRunError(f"The provider file {path} must map provider ids to record fields.")

    registrations = []
    for provider_id, entry in content.items():
        credentials = entry.get("credentials")
        if not isinstance(credentials, dict) or not isinstance(credentials.get("client_id"), str):
            raise LocalRunError(f"In {path}, {provider_id} needs `credentials: {{client_id: …, client_secret: …}}`.")
        record = {name: value for name, value in entry.items() if name != "credentials"}
        secret = credentials.get("client_secret")
        registrations.append(Registration(str(provider_id), record, credentials["client_id"], secret))
    return registrations
