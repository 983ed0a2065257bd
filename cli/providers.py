"""`grantkeeper providers`: which providers this deployment speaks to, and with which registration."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cli import operator
from cli.output import show, show_list
from cli.stack import Stack


@click.group()
def providers() -> None:
    """Configure and list providers."""


@providers.command("list")
@click.option("--json", "as_json", is_flag=True)
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
@click.option("--disable/--enable", "disabled", default=None)
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def configure(
    stack: Stack,
    *,
    provider_id: str,
    client_id: str | None,
    client_secret_stdin: bool,
    record: Path | None,
    issuer: str | None,
    disabled: bool | None,
    as_json: bool,
) -> None:
    """Add credentials or change the record of a provider; a new credential leaves the old one live."""
    from grantkeeper.providers.catalog import Catalog

    items = stack.wiring.provider_items
    fields = _record_fields(stack, record=record, issuer=issuer)
    overrides = dict(items.overrides())
    if fields:
        overrides[provider_id] = {**overrides.get(provider_id, {}), **fields}
    provider = Catalog(overrides=overrides, allow_private_addresses=stack.wiring.local).get(provider_id)

    registrations: list[dict[str, Any]] | None = None
    if client_id is not None:
        registrations = _with_registration(
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
        disabled=disabled,
        audit=operator.event("provider.configured", provider=provider_id, details={"fields": ",".join(sorted(fields))}),
    )
    for name in _sharing(items, provider.credentials_id, provider_id, local=stack.wiring.local):
        stack.wiring.breakers.forget(name)  # what was refused, and what failed, belongs to the registration before
    shown = {
        "provider": provider_id,
        "redirect_uri": f"{stack.wiring.issuer}/oauth2/callback/{provider_id}",
        "services": [service.id for service in provider.services],
    }
    show(shown, as_json=as_json)


@providers.command("check")
@click.argument("provider_id", required=False)
@click.option("--offline", is_flag=True, help="Ask no provider for its discovery document.")
@click.option("--built-in", is_flag=True, help="The records as shipped, without a stack.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def check_providers(stack: Stack, *, provider_id: str | None, offline: bool, built_in: bool, as_json: bool) -> None:
    """Verify records: sound, in agreement with the provider's discovery document, and able to redirect to us."""
    from cli.provider_check import check
    from grantkeeper.providers.catalog import Catalog
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


def _sharing(items: Any, credentials_id: str, provider_id: str, *, local: bool) -> set[str]:
    """The providers that a change of these credentials concerns: a registration may serve several."""
    from grantkeeper.providers.catalog import Catalog

    catalog = Catalog(overrides=items.overrides(), allow_private_addresses=local)
    return {provider_id, *(each.id for each in catalog.all() if each.credentials_id == credentials_id)}


def _record_fields(stack: Stack, *, record: Path | None, issuer: str | None) -> dict[str, Any]:
    """Fields from a file and from discovery; the file wins, so that one fact of discovery can be corrected."""
    fields: dict[str, Any] = {}
    if issuer is not None:
        from grantkeeper.services.complete_record import discover

        fields |= discover(issuer, stack.wiring.provider_http)
    if record is not None:
        try:
            fields |= json.loads(record.read_text())
        except ValueError:
            raise click.ClickException(f"{record} is not JSON.") from None
    return fields


def _with_registration(stack: Stack, *, credentials_id: str, client_id: str, secret: str) -> list[dict[str, Any]]:
    """The newest registration first; those before it stay live, so that a secret rotates without an outage."""
    prefix = stack.environment()["PARAMETER_PREFIX"].rstrip("/")
    parameter = f"{prefix}/providers/{credentials_id}/{operator.now()}"
    if secret:
        stack.wiring.secrets.put(parameter, secret)
    entry = {"client_id": client_id, "secret_parameter": parameter if secret else None, "state": "active"}
    before = [
        dict(old) | {"state": "retiring"} for old in stack.wiring.provider_items.registrations().get(credentials_id, ())
    ]
    return [entry, *before]


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
