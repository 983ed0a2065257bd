"""`grantkeeper providers apply`: a folder of records becomes the deployment's own, all of it or nothing."""

from __future__ import annotations

from pathlib import Path

import click

from cli import operator
from cli.output import json_option, show_list
from cli.overlays import Overlay, OverlayError, checked, read_overlays
from cli.provider_check import redirect_refusal
from cli.registrations import changed, moved_to, with_registration
from cli.stack import Stack
from grantkeeper.errors import InvalidProviderRecord
from grantkeeper.providers.record import Provider


@click.command("apply")
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option("--offline", is_flag=True, help="Complete no record from its issuer's discovery document.")
@click.option("--accept-moved-endpoints", is_flag=True, help="Take endpoints that moved to another host.")
@json_option
@click.pass_obj
def apply(stack: Stack, *, path: Path, offline: bool, accept_moved_endpoints: bool, as_json: bool) -> None:
    """
    Store the records of a file or folder, and the credentials it has beside them.

    Every record is checked before the first is stored. A record is replaced whole; credentials that are there already
    are left alone, others become the newest, and those before them stay live. A client_id without the secret it needs
    says nothing: `configure` asks for both.
    """
    http = None if offline else stack.wiring.provider_http
    before = dict(stack.wiring.provider_items.overrides())
    try:
        overlays = read_overlays(path)
        known = before | {overlay.provider_id: overlay.record for overlay in overlays if overlay.record}
        ready = [
            (overlay, *checked(overlay, http=http, overrides=known, allow_private_addresses=stack.wiring.local))
            for overlay in overlays
        ]
        if not accept_moved_endpoints:
            for overlay, _, provider in ready:
                _refuse_moved(stack, overlay, provider)
    except OverlayError as error:
        raise click.ClickException(str(error)) from None

    rows = []
    for overlay, fields, provider in ready:
        added = _store(stack, overlay, fields, provider)
        redirect_uri = f"{stack.wiring.issuer}/oauth2/callback/{provider.id}"
        refused = redirect_refusal(provider, stack.wiring.issuer)
        rows.append(
            {
                "provider": provider.id,
                "record": "stored" if fields else "built in",
                "credentials": "stored" if added else "as they were",
                "redirect_uri": redirect_uri if refused is None else f"{redirect_uri} ({refused})",
            }
        )
    show_list(rows, as_json=as_json, empty="No records.")


def _refuse_moved(stack: Stack, overlay: Overlay, provider: Provider) -> None:
    """C-86: whoever took a discovery document over must not get our users' codes by the next run of this command."""
    try:
        moved = moved_to(stack, provider)
    except InvalidProviderRecord:  # what stands there now is not sound: nobody is sent anywhere by it
        return
    if moved:
        name, (old, new) = next(iter(moved.items()))
        raise overlay.error(f"{name}: It moves from {old} to {new}. --accept-moved-endpoints takes it.")


def _store(stack: Stack, overlay: Overlay, fields: dict[str, object], provider: Provider) -> bool:
    """Write one record and its credentials; True when the credentials are new."""
    items = stack.wiring.provider_items
    live = items.registrations().get(provider.credentials_id, ())
    complete = overlay.client_secret is not None or provider.token_endpoint_auth_method == "none"
    known = any(entry["client_id"] == overlay.client_id for entry in live)
    new = overlay.client_id is not None and complete and not known
    if overlay.client_id is not None and new:
        registrations = with_registration(
            stack,
            credentials_id=provider.credentials_id,
            client_id=overlay.client_id,
            secret=overlay.client_secret or "",
        )
        event = operator.event("provider.configured", provider=provider.credentials_id)
        items.put(provider.credentials_id, record=None, registrations=registrations, disabled=None, audit=event)
    if fields:
        event = operator.event(
            "provider.configured", provider=provider.id, details={"fields": ",".join(sorted(fields))}
        )
        items.put(provider.id, record=fields, registrations=None, disabled=None, audit=event)
    changed(stack, provider)
    return new
