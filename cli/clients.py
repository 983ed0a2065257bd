"""`grantkeeper clients`: the team's applications."""

from __future__ import annotations

import click

from cli import operator
from cli.output import json_option, say, show, show_list
from cli.stack import Stack
from grantkeeper.errors import BadRequest
from grantkeeper.model import ALL_SCOPES
from grantkeeper.services.acting import Acting
from grantkeeper.services.client_registration import PUBLIC_SCOPES, ClientMetadata
from grantkeeper.services.manage_clients import new_client, switch_client


@click.group()
def clients() -> None:
    """Register and list clients, switch them off and on."""


@clients.command("register")
@click.option("--name", required=True, help="What users see.")
@click.option("--redirect-uri", "redirect_uris", multiple=True, required=True, help="Exact; repeatable.")
@click.option("--origin", "origins", multiple=True, help="Browser origins that may call us (CORS); repeatable.")
@click.option("--post-logout-redirect-uri", "post_logout_redirect_uris", multiple=True, help="Exact; repeatable.")
@click.option(
    "--resource", "resources", multiple=True, help="APIs its users' tokens may be for (RFC 8707); repeatable."
)
@click.option("--confidential", is_flag=True, help="It keeps a secret; without it, a public client with PKCE alone.")
@click.option("--service", "services", multiple=True, help="Services it may connect; default all.")
@click.option("--provider", "providers", multiple=True, help="Providers that may sign its users in; default all.")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(ALL_SCOPES), help="What it may ask for; repeatable."
)
@click.option("--sign-up", type=click.Choice(["open", "invited"]), default="open", show_default=True,
              help="Whom it lets in who has no account here yet: anybody, or nobody.")  # fmt: skip
@json_option
@click.pass_obj
def register(
    stack: Stack,
    *,
    name: str,
    redirect_uris: tuple[str, ...],
    origins: tuple[str, ...],
    post_logout_redirect_uris: tuple[str, ...],
    resources: tuple[str, ...],
    confidential: bool,
    services: tuple[str, ...],
    providers: tuple[str, ...],
    scopes: tuple[str, ...],
    sign_up: str,
    as_json: bool,
) -> None:
    r"""
    Register a client; a confidential one is shown its secret, once.

    \b
    Examples:
      grantkeeper clients register --name Web --redirect-uri https://app.example.com/cb --origin https://app.example.com
      grantkeeper clients register --name Backend --redirect-uri https://app.example.com/cb --confidential --json
    """
    said = {
        "client_name": name,
        "redirect_uris": list(redirect_uris),
        "token_endpoint_auth_method": "client_secret_basic" if confidential else "none",
        "origins": list(origins),
        "post_logout_redirect_uris": list(post_logout_redirect_uris),
        "resources": list(resources),
        "services": list(services),
        "providers": list(providers),
        "scopes": list(scopes or PUBLIC_SCOPES),
        "sign_up": sign_up,
    }
    try:
        wanted = ClientMetadata.parse(said, catalog=stack.wiring.catalog)
    except BadRequest as refused:
        raise click.ClickException(refused.detail) from None
    client, secret = new_client(wanted, now=operator.now())
    stack.wiring.clients.put(client, audit=operator.event("client.registered", client_id=client.client_id))
    shown = {"client_id": client.client_id, "redirect_uris": list(redirect_uris), "scopes": list(client.scopes)}
    if secret is not None:
        shown["client_secret"] = secret
        click.echo("Keep the secret now: it is not stored and cannot be shown again.", err=True)
    show(shown, as_json=as_json)


@clients.command("list")
@json_option
@click.pass_obj
def list_clients(stack: Stack, *, as_json: bool) -> None:
    """List all clients."""
    rows = [
        {
            "client_id": client.client_id,
            "name": client.client_name,
            "type": "confidential" if client.confidential else "public",
            "status": client.status,
            "redirect_uris": list(client.redirect_uris),
        }
        for client in stack.wiring.clients.list()
    ]
    show_list(rows, as_json=as_json, empty="No clients yet.")


@clients.command("disable")
@click.argument("client_id")
@json_option
@click.pass_obj
def disable(stack: Stack, *, client_id: str, as_json: bool) -> None:
    """Refuse a client everywhere within a minute: its secrets, sessions, tokens and keys. Nothing is deleted."""
    _switch(stack, client_id, active=False, as_json=as_json)


@clients.command("enable")
@click.argument("client_id")
@json_option
@click.pass_obj
def enable(stack: Stack, *, client_id: str, as_json: bool) -> None:
    """Let a disabled client in again, with all it had."""
    _switch(stack, client_id, active=True, as_json=as_json)


def _switch(stack: Stack, client_id: str, *, active: bool, as_json: bool) -> None:
    by = Acting(operator.actor(), operator.now())
    switched = switch_client(client_id, active=active, clients=stack.wiring.client_versions, by=by).client
    told = {"client_id": client_id, "status": switched.status}
    say(f"{client_id} is {switched.status}.", told, as_json=as_json)
