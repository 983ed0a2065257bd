"""`grantkeeper providers`: which providers this deployment speaks to, and with which registration."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cli import operator
from cli.output import json_option, show, show_list
from cli.provider_apply import apply
from cli.provider_check import check, redirect_refusal
from cli.registrations import changed, moved_to, with_registration
from cli.stack import Stack
from grantkeeper.errors import InvalidProviderRecord
from grantkeeper.providers.catalog import Catalog
from grantkeeper.providers.record import Provider
from grantkeeper.services.acting import Acting
from grantkeeper.services.admin_providers import switch_provider


@click.group()
def providers() -> None:
    """Configure and list providers."""


providers.add_command(apply)


@providers.command("list")
@json_option
@click.pass_obj
def list_providers(stack: Stack, *, as_json: bool) -> None:
    """List every provider, its services and its state here."""
    registered = stack.wiring.provider_items.registrations()
    disabled = stack.wiring.provider_items.disabled()
    rows = [
        {
            "provider": provider.id,
            "name": provider.display_name,
            "state": _state(provider.id, provider.credentials_id, registered, disabled),
            "services": [service.id for service in provider.services],
            "redirect_uri": f"{stack.wiring.issuer}/oauth2/callback/{provider.id}",
        }
        for provider in stack.wiring.catalog.all()
    ]
    show_list(rows, as_json=as_json, empty="No providers.")


@providers.command("configure")
@click.argument("provider_id")
@click.option("--client-id", default=None, help="Our registration at the provider.")
@click.option("--client-secret-stdin", is_flag=True, help="Read the secret from standard input instead of asking.")
@click.option("--record", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="JSON: record fields.")
@click.option("--issuer", default=None, help="Complete the record from this issuer's discovery document.")
@click.option("--accept-moved-endpoints", is_flag=True, help="Take endpoints that moved to another host.")
@click.option("--disable/--enable", "disabled", default=None, help="Switch it off for everybody, or on again.")
@json_option
@click.pass_obj
def configure(
    stack: Stack,
    *,
    provider_id: str,
    client_id: str | None,
    client_secret_stdin: bool,
    record: Path | None,
    issuer: str | None,
    accept_moved_endpoints: bool,
    disabled: bool | None,
    as_json: bool,
) -> None:
    r"""
    Add credentials or change the record of a provider; a new credential leaves the old one live.

    \b
    Examples:
      grantkeeper providers configure google --client-id 1234.apps.googleusercontent.com
      pass show github | grantkeeper providers configure github --client-id Iv1.abc --client-secret-stdin
      grantkeeper providers configure acme --issuer https://id.acme.example --client-id grantkeeper
    """
    items = stack.wiring.provider_items
    fields = _record_fields(stack, record=record, issuer=issuer)
    overrides = dict(items.overrides())
    if fields:
        overrides[provider_id] = {**overrides.get(provider_id, {}), **fields}
    provider = _sound(stack, provider_id, overrides, record)
    if not accept_moved_endpoints:
        _refuse_moved(stack, provider)

    registrations: list[dict[str, Any]] | None = None
    if client_id is not None:
        registrations = with_registration(
            stack,
            credentials_id=provider.credentials_id,
            client_id=client_id,
            secret=_secret(from_stdin=client_secret_stdin),
        )
        if provider.credentials_id != provider_id:
            event = operator.event("provider.configured", provider=provider.credentials_id)
            items.put(provider.credentials_id, record=None, registrations=registrations, disabled=None, audit=event)
            registrations = None
    items.put(
        provider_id,
        record=overrides.get(provider_id) if fields else None,
        registrations=registrations,
        disabled=None,
        audit=operator.event("provider.configured", provider=provider_id, details={"fields": ",".join(sorted(fields))}),
    )
    if disabled is not None:
        catalog = stack.wiring.catalog
        by = Acting(operator.actor(), operator.now())
        switch_provider(provider_id, disabled=disabled, reason=None, catalog=catalog, provider_items=items, by=by)
    changed(stack, provider)
    shown = {
        "provider": provider_id,
        "redirect_uri": f"{stack.wiring.issuer}/oauth2/callback/{provider_id}",
        "services": [service.id for service in provider.services],
    }
    refused = redirect_refusal(provider, stack.wiring.issuer)
    show(
        shown if refused is None else shown | {"warning": f"The provider will not redirect here: {refused}"},
        as_json=as_json,
    )


@providers.command("retire")
@click.argument("provider_id")
@click.option("--client-id", default=None, help="A whole registration: what was connected with it cannot be refreshed.")
@json_option
@click.pass_obj
def retire(stack: Stack, *, provider_id: str, client_id: str | None, as_json: bool) -> None:
    """End a rotation: forget the older secrets of every registration, or a registration that nothing uses any more."""
    items = stack.wiring.provider_items
    credentials_id = stack.wiring.catalog.get(provider_id).credentials_id
    live = [dict(entry) for entry in items.registrations().get(credentials_id, ())]
    if client_id is not None and live and live[0]["client_id"] == client_id:
        raise click.ClickException("This is the newest registration; add another before it goes.")
    if client_id is not None and all(entry["client_id"] != client_id for entry in live):
        raise click.ClickException(f"{credentials_id} has no registration {client_id}.")
    newest: dict[str, dict[str, Any]] = {}
    for entry in live:
        newest.setdefault(entry["client_id"], entry)
    kept = [entry for entry in newest.values() if entry["client_id"] != client_id]
    event = operator.event("provider.configured", provider=credentials_id, details={"retired": client_id or "secrets"})
    items.put(credentials_id, record=None, registrations=kept, disabled=None, audit=event)
    gone = sorted({str(entry["secret_parameter"]) for entry in live if entry not in kept and entry["secret_parameter"]})
    shown = {"provider": credentials_id, "live": [entry["client_id"] for entry in kept], "parameters_to_delete": gone}
    show(shown, as_json=as_json)


@providers.command("check")
@click.argument("provider_id", required=False)
@click.option("--offline", is_flag=True, help="Ask no provider for its discovery document.")
@click.option("--built-in", is_flag=True, help="The records as shipped, without a stack.")
@json_option
@click.pass_obj
def check_providers(stack: Stack, *, provider_id: str | None, offline: bool, built_in: bool, as_json: bool) -> None:
    r"""
    Verify records: sound, in agreement with the provider's discovery document, and able to redirect to us.

    Exit code 1 when something is wrong.

    \b
    Examples:
      grantkeeper providers check
      grantkeeper providers check google --json
      grantkeeper providers check --built-in --offline
    """
    from grantkeeper.wiring import from_environment

    wiring = from_environment({}) if built_in else stack.wiring
    catalog = Catalog() if built_in else wiring.catalog
    hidden = set() if wiring.local else {"demo"}  # for the local run only
    wanted = [provider_id] if provider_id else [each for each in catalog.ids() if each not in hidden]
    findings = [
        check(
            each,
            catalog=catalog,
            http=None if offline else wiring.provider_http,
            our_issuer=None if built_in else wiring.issuer,
        )
        for each in wanted
    ]
    rows = [asdict(finding) | {"wrong": "wrong" if finding.wrong else ""} for finding in findings]
    show_list(rows, as_json=as_json, empty="No providers.")
    if any(finding.wrong for finding in findings):
        raise click.exceptions.Exit(1)


def _sound(stack: Stack, provider_id: str, overrides: dict[str, Any], file: Path | None) -> Provider:
    """The record as it would be; what is wrong with it is told with the file it comes from."""
    try:
        return Catalog(overrides=overrides, allow_private_addresses=stack.wiring.local).get(provider_id)
    except InvalidProviderRecord as error:
        where = f"{file}: " if file is not None else ""
        raise click.ClickException(f"{where}{provider_id}: {error.detail}") from None


def _refuse_moved(stack: Stack, provider: Provider) -> None:
    """C-86: endpoints are pinned; whoever took a discovery document over does not move them by our next look."""
    try:
        moved = moved_to(stack, provider)
    except InvalidProviderRecord:
        return
    for name, (old, new) in moved.items():
        raise click.ClickException(f"{name} moves from {old} to {new}. --accept-moved-endpoints takes it.")


def _record_fields(stack: Stack, *, record: Path | None, issuer: str | None) -> dict[str, Any]:
    """Fields from a file and from discovery; the file wins, so that one fact of discovery can be corrected."""
    fields: dict[str, Any] = {}
    if issuer is not None:
        from grantkeeper.services.complete_record import discover

        fields |= discover(issuer, stack.wiring.provider_http)
    if record is not None:
        try:
            content = json.loads(record.read_text())
        except ValueError:
            raise click.ClickException(f"{record} is not JSON.") from None
        if not isinstance(content, dict):
            raise click.ClickException(f"{record}: The fields of a record are expected.")
        fields |= content
    return fields


def _secret(*, from_stdin: bool) -> str:
    """Never an argument: arguments are seen in process lists and shell histories."""
    if from_stdin:
        return click.get_text_stream("stdin").read().strip()
    secret: str = click.prompt("Client secret (empty for none)", hide_input=True, default="", show_default=False)
    return secret


def _state(provider_id: str, credentials_id: str, registered: Any, disabled: frozenset[str]) -> str:
    if provider_id in disabled:
        return "disabled"
    return "available" if registered.get(credentials_id) else "not configured"
