"""`grantkeeper clients`: the team's applications."""

from __future__ import annotations

from urllib.parse import urlsplit

import click

from cli import operator
from cli.output import show, show_list
from cli.stack import Stack
from grantkeeper import ids
from grantkeeper.model import ALL_SCOPES, AuthMethod, Client

PUBLIC_SCOPES = ("openid", "profile", "email", "offline_access", "connections:read", "connections:write")


@click.group()
def clients() -> None:
    """Register and list clients."""


@clients.command("register")
@click.option("--name", required=True)
@click.option("--redirect-uri", "redirect_uris", multiple=True, required=True, help="Exact; repeatable.")
@click.option("--origin", "origins", multiple=True, help="Browser origins that may call us (CORS); repeatable.")
@click.option("--post-logout-redirect-uri", "post_logout_redirect_uris", multiple=True, help="Exact; repeatable.")
@click.option(
    "--resource", "resources", multiple=True, help="APIs its users' tokens may be for (RFC 8707); repeatable."
)
@click.option("--confidential", is_flag=True, help="It keeps a secret; without it, a public client with PKCE alone.")
@click.option("--service", "services", multiple=True, help="Services it may connect; default all.")
@click.option("--provider", "providers", multiple=True, help="Providers that may sign its users in; default all.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(ALL_SCOPES))
@click.option("--sign-up", type=click.Choice(["open", "invited"]), default="open", show_default=True)
@click.option("--json", "as_json", is_flag=True)
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
    """Register a client; a confidential one is shown its secret, once."""
    for uri in (*redirect_uris, *post_logout_redirect_uris):
        check_redirect_uri(uri)
    for resource in resources:
        check_resource(resource)
    for origin in origins:
        check_origin(origin)
    if not confidential and "connections:token" in scopes:
        raise click.ClickException("connections:token is never issued to a public client.")
    catalog = stack.wiring.catalog
    for service in services:
        catalog.service(service)
    for provider in providers:
        catalog.get(provider)

    secret = ids.new_secret() if confidential else None
    method: AuthMethod = "client_secret_basic" if confidential else "none"
    client = Client(
        client_id=ids.new_id("cli"),
        client_name=name,
        redirect_uris=redirect_uris,
        created_at=operator.now(),
        token_endpoint_auth_method=method,
        secret_hashes=() if secret is None else (ids.digest(secret),),
        origins=origins,
        post_logout_redirect_uris=post_logout_redirect_uris,
        resources=resources,
        services=services or ("*",),
        providers=providers or ("*",),
        scopes=scopes or PUBLIC_SCOPES,
        sign_up="invited" if sign_up == "invited" else "open",
    )
    stack.wiring.clients.put(client, audit=operator.event("client.registered", client_id=client.client_id))
    shown = {"client_id": client.client_id, "redirect_uris": list(redirect_uris), "scopes": list(client.scopes)}
    if secret is not None:
        shown["client_secret"] = secret
        click.echo("Keep the secret now: it is not stored and cannot be shown again.", err=True)
    show(shown, as_json=as_json)


@clients.command("list")
@click.option("--json", "as_json", is_flag=True)
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


def check_redirect_uri(uri: str) -> None:
    """
    Accept https, http on loopback addresses, and private-use schemes in reverse-DNS form (RFC 8252 section 7).

    Raises:
        click.ClickException: Anything else; the message names what is wrong.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise click.ClickException(f"{uri} is not a URI.") from None
    if parts.fragment or "#" in uri:
        raise click.ClickException(f"{uri} has a fragment (RFC 6749 section 3.1.2 forbids it).")
    if parts.scheme == "https" and parts.hostname and "@" not in parts.netloc:
        return
    if parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost"):
        return
    if "." in parts.scheme:
        return
    raise click.ClickException(f"{uri} must be https, http on a loopback address, or a reverse-DNS scheme.")


def check_origin(origin: str) -> None:
    """
    An origin is scheme, host and port, and nothing after.

    Raises:
        click.ClickException: It is not.
    """
    parts = urlsplit(origin)
    exact = f"{parts.scheme}://{parts.netloc}" == origin and parts.hostname
    if not exact or (parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost")):
        raise click.ClickException(f"{origin} is not an https origin such as https://app.example.com.")


def check_resource(resource: str) -> None:
    """
    A resource is an absolute URI without fragment (RFC 8707 section 2); ours is an API's address.

    Raises:
        click.ClickException: It is not.
    """
    try:
        parts = urlsplit(resource)
    except ValueError:
        parts = urlsplit("")
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if "#" in resource or "@" in parts.netloc or not parts.hostname or not (parts.scheme == "https" or local):
        raise click.ClickException(f"{resource} is not the https address of an API, such as https://api.example.com.")
