"""Providers of the local run: the demo OpenID provider, and what overlay files add."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.overlays import Overlay, OverlayError, checked, read_overlays
from cli.provider_check import redirect_refusal
from grantkeeper.errors import GrantkeeperError
from grantkeeper.providers.catalog import Catalog
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
        LocalRunError: A file cannot be read or has another shape; or a record is not sound, as far as can be told
            without asking its issuer.
    """
    found: dict[str, Overlay] = {}
    try:
        for path in [OVERLAYS, *([file] if file else [])]:
            found |= {overlay.provider_id: overlay for overlay in read_overlays(path)}
        return [_registration(overlay) for overlay in found.values()]
    except OverlayError as error:
        raise LocalRunError(str(error)) from None


def _registration(overlay: Overlay) -> Registration:
    if overlay.client_id is None:
        raise overlay.error("credentials: {client_id: …, client_secret: …} is missing.")
    issuer, endpoint = overlay.record.get("issuer"), overlay.record.get("token_endpoint")
    if issuer is None or endpoint is not None:  # else its issuer is asked when everything runs
        checked(overlay, http=None, overrides={}, allow_private_addresses=True)
    return Registration(overlay.provider_id, overlay.record, overlay.client_id, overlay.client_secret)


def refusals(registrations: list[Registration], *, issuer: str) -> list[str]:
    """
    Say which providers will not redirect to us here, one sentence each: better now than on their error page.

    Args:
        registrations: Whose records are as they were read; one that its issuer has yet to complete says nothing.
        issuer: Our own, as browsers reach it.
    """
    found = []
    for each in registrations:
        try:
            records = {each.provider_id: each.record} if each.record else {}
            provider = Catalog(records, allow_private_addresses=True).get(each.provider_id)
        except GrantkeeperError:
            continue
        refused = redirect_refusal(provider, issuer)
        if refused is not None:
            found.append(
                f"{provider.display_name} will not redirect to {issuer}/oauth2/callback/{provider.id}: {refused}."
            )
    return found
