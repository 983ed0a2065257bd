"""`grantkeeper api-keys`: the first admin key is made here, with AWS credentials."""

from __future__ import annotations

from dataclasses import replace

import click

from cli import operator
from cli.output import day, show, show_list
from cli.stack import Stack
from grantkeeper.api_key_format import new_api_key
from grantkeeper.model import ALL_SCOPES, ApiKey

OPERATOR_SCOPES = ("admin:read", "admin:write", "audit:read", "metrics:read")
CLIENT_SCOPES = ("connections:read", "connections:token", "connections:write", "users:read", "users:write")
MAX_DAYS = 365


@click.group("api-keys")
def api_keys() -> None:
    """Make, list and revoke API keys."""


@api_keys.command("create")
@click.option("--name", required=True, help="What the key is for.")
@click.option("--client", "client_id", default=None, help="The client it belongs to; without it, the operator's.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(ALL_SCOPES), help="Repeatable.")
@click.option("--days", default=90, show_default=True, type=click.IntRange(1, MAX_DAYS), help="Days until it expires.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def create(
    stack: Stack, *, name: str, client_id: str | None, scopes: tuple[str, ...], days: int, as_json: bool
) -> None:
    """Make a key and show it, once."""
    allowed = OPERATOR_SCOPES if client_id is None else CLIENT_SCOPES
    chosen = scopes or allowed
    foreign = [scope for scope in chosen if scope not in allowed]
    if foreign:
        owner = "the operator's key" if client_id is None else "a client's key"
        raise click.ClickException(f"{owner} may not carry {foreign[0]}; it may carry {', '.join(allowed)}.")
    if client_id is not None and stack.wiring.clients.get(client_id) is None:
        raise click.ClickException(f"There is no client {client_id}.")

    text = new_api_key()
    now = operator.now()
    key = ApiKey(
        key_id=text.key_id,
        secret_hash=text.secret_hash,
        scopes=tuple(chosen),
        created_at=now,
        expires_at=now + days * 86_400,
        client_id=client_id,
        name=name,
    )
    stack.wiring.api_keys.put(
        key, audit=operator.event("api_key.created", client_id=client_id, details={"key_id": key.key_id})
    )
    shown = {"api_key": text.text, "key_id": key.key_id, "scopes": list(chosen), "expires": day(key.expires_at)}
    show(shown, as_json=as_json)
    click.echo("Keep it now: it is not stored and cannot be shown again.", err=True)


@api_keys.command("list")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def list_keys(stack: Stack, *, as_json: bool) -> None:
    """List all keys, without their secrets."""
    rows = [
        {
            "key_id": key.key_id,
            "name": key.name,
            "client": key.client_id or "operator",
            "status": key.status,
            "expires": day(key.expires_at),
            "scopes": list(key.scopes),
        }
        for key in stack.wiring.api_keys.list()
    ]
    show_list(rows, as_json=as_json, empty="No API keys yet.")


@api_keys.command("revoke")
@click.argument("key_id")
@click.pass_obj
def revoke(stack: Stack, *, key_id: str) -> None:
    """Revoke a key: refused everywhere within 60 seconds."""
    key = stack.wiring.api_keys.get(key_id)
    if key is None:
        raise click.ClickException(f"There is no key {key_id}.")
    event = operator.event("api_key.revoked", client_id=key.client_id, details={"key_id": key_id})
    stack.wiring.api_keys.put(replace(key, status="revoked"), audit=event)
    click.echo(f"Revoked {key_id}.")
