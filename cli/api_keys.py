"""`grantkeeper api-keys`: the first admin key is made here, with AWS credentials."""

from __future__ import annotations

import click

from cli import operator
from cli.output import day, json_option, say, show, show_list
from cli.stack import Stack
from grantkeeper.errors import GrantkeeperError
from grantkeeper.model import ALL_SCOPES, ApiKey
from grantkeeper.services.manage_api_keys import CLIENT_SCOPES, OPERATOR_SCOPES, ROTATES_ITSELF, new_key
from grantkeeper.services.rotate_api_key import DEFAULT_DAYS, MAX_DAYS, OVERLAP_DAYS, rotated

MAX_PAGES = 10_000  # of a client's keys: a million at least


@click.group("api-keys")
def api_keys() -> None:
    """Make, list, rotate and revoke API keys."""


@api_keys.command("create")
@click.option("--name", required=True, help="What the key is for.")
@click.option("--client", "client_id", default=None, help="The client it belongs to; without it, the operator's.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(ALL_SCOPES), help="Repeatable.")
@click.option(
    "--days", default=DEFAULT_DAYS, show_default=True, type=click.IntRange(1, MAX_DAYS), help="Days until it expires."
)
@json_option
@click.pass_obj
def create(
    stack: Stack, *, name: str, client_id: str | None, scopes: tuple[str, ...], days: int, as_json: bool
) -> None:
    r"""
    Make a key and show it, once.

    \b
    Examples:
      grantkeeper api-keys create --name dashboards --scope metrics:read
      grantkeeper api-keys create --name backend --client cli_… --scope connections:read --scope connections:token
    """
    allowed = OPERATOR_SCOPES if client_id is None else CLIENT_SCOPES
    chosen = scopes or allowed
    possible = allowed if client_id is None else (*allowed, ROTATES_ITSELF)
    foreign = [scope for scope in chosen if scope not in possible]
    if foreign:
        owner = "the operator's key" if client_id is None else "a client's key"
        raise click.ClickException(f"{owner} may not carry {foreign[0]}; it may carry {', '.join(possible)}.")
    if client_id is not None and stack.wiring.clients.get(client_id) is None:
        raise click.ClickException(f"There is no client {client_id}.")

    made = new_key(client_id=client_id, name=name, scopes=tuple(chosen), days=days, now=operator.now())
    key = made.key
    stack.wiring.api_keys.put(
        key, audit=operator.event("api_key.created", client_id=client_id, details={"key_id": key.key_id})
    )
    shown = {"api_key": made.text, "key_id": key.key_id, "scopes": list(chosen), "expires": day(key.expires_at)}
    show(shown, as_json=as_json)
    click.echo("Keep it now: it is not stored and cannot be shown again.", err=True)


@api_keys.command("list")
@json_option
@click.pass_obj
def list_keys(stack: Stack, *, as_json: bool) -> None:
    """List all keys, users' own among them, without their secrets."""
    now = operator.now()
    rows = [
        {
            "key_id": key.key_id,
            "name": key.name,
            "client": key.client_id or "operator",
            "user": key.sub or "",
            "status": key.state(now),
            "expires": day(key.expires_at),
            "last used": key.used_day or "",
            "scopes": list(key.scopes),
        }
        for key in stack.wiring.api_keys.list()
    ]
    show_list(rows, as_json=as_json, empty="No API keys yet.")


@api_keys.command("rotate")
@click.argument("key_id")
@click.option("--days", default=DEFAULT_DAYS, show_default=True, type=click.IntRange(1, MAX_DAYS),
              help="Days until the key expires.")  # fmt: skip
@click.option("--overlap", default=OVERLAP_DAYS, show_default=True, type=click.IntRange(0, OVERLAP_DAYS),
              help="Days for which the old secret stays good; 0 ends it within a minute.")  # fmt: skip
@json_option
@click.pass_obj
def rotate(stack: Stack, *, key_id: str, days: int, overlap: int, as_json: bool) -> None:
    """Give a key its next secret and show it, once; the old one stays good meanwhile."""
    key = _key(stack, key_id)
    try:
        text, following = rotated(key, days=days, now=operator.now(), overlap_days=overlap)
    except GrantkeeperError as refused:
        raise click.ClickException(refused.detail) from None
    event = operator.event("api_key.rotated", sub=key.sub, client_id=key.client_id, details={"key_id": key_id})
    if not stack.wiring.api_keys.rotate(following, replaces=key, audit=event):
        raise click.ClickException("The key was changed meanwhile. Look at it and try again.")
    until = day(following.old_secret_ends_at) if following.old_secret_ends_at else "now"
    shown = {"api_key": text.text, "key_id": key_id, "expires": day(following.expires_at), "old secret ends": until}
    show(shown, as_json=as_json)
    click.echo("Keep it now: it is not stored and cannot be shown again.", err=True)


@api_keys.command("revoke")
@click.argument("key_id", required=False)
@click.option("--client", "client_id", default=None, help="Revoke every key of this client instead, users' among them.")
@json_option
@click.pass_obj
def revoke(stack: Stack, *, key_id: str | None, client_id: str | None, as_json: bool) -> None:
    """Revoke a key, or all of a client's: refused everywhere within 60 seconds."""
    if (key_id is None) == (client_id is None):
        raise click.ClickException("Name a key, or a client by --client.")
    found = [_key(stack, key_id)] if key_id is not None else _live_of(stack, client_id)
    for key in found:
        event = operator.event("api_key.revoked", sub=key.sub, client_id=key.client_id, details={"key_id": key.key_id})
        stack.wiring.api_keys.revoke(key, audit=event)
    ids = [key.key_id for key in found]
    say(
        "\n".join(f"Revoked {each}." for each in ids) or "There is nothing to revoke.",
        {"revoked": ids},
        as_json=as_json,
    )


def _live_of(stack: Stack, client_id: str | None) -> list[ApiKey]:
    """Page by page to the end: a list of all keys is cut off where a deployment has very many."""
    found: list[ApiKey] = []
    after: str | None = None
    for _ in range(MAX_PAGES):
        page, after = stack.wiring.api_key_pages.page(
            client_id=client_id, where={"status": "active"}, after=after, limit=100
        )
        found += page
        if after is None:
            return found
    raise click.ClickException("The client has too many keys. Disable it: that refuses them all.")


def _key(stack: Stack, key_id: str) -> ApiKey:
    key = stack.wiring.api_keys.get(key_id)
    if key is None:
        raise click.ClickException(f"There is no key {key_id}.")
    return key
