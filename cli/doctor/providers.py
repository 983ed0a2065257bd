"""Providers: are their records sound, their secrets there and ours alone to read, and do they do?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cli.doctor.findings import Family, Finding, failing, ok, skipped, warning
from cli.doctor.patient import Patient
from cli.provider_check import redirect_refusal
from grantkeeper.errors import GrantkeeperError
from grantkeeper.oauth.endpoints import callback_uri
from grantkeeper.providers.record import Provider
from grantkeeper.providers.validate import check_record


def records(patient: Patient) -> Iterator[Finding]:
    """The deployment's own records: whether each is sound, by the rules that `configure` goes by."""
    catalog = patient.wiring.catalog
    overrides = patient.wiring.provider_items.overrides()
    for provider_id in sorted(overrides):
        try:
            provider = catalog.get(provider_id)
            check_record(provider, allow_private_addresses=provider.allow_private_addresses)
        except GrantkeeperError as error:
            field = error.extensions.get("field")
            told = f"{field}: {error.detail}" if field else error.detail or error.title
            mend = patient.command(f"providers configure {provider_id} --record <file>.json")
            yield failing("providers.record", told, mend=mend, about=provider_id)
        else:
            yield ok("providers.record", "Its record is sound.", about=provider_id)
    if not overrides:
        yield ok("providers.record", "Built-in records alone.")


def registrations(patient: Patient) -> Iterator[Finding]:
    """Every registration, its secret, and where the provider must send browsers back to."""
    stored, seen = _parameters(patient), set()
    registered = patient.wiring.provider_items.registrations()
    for provider in patient.wiring.catalog.all():
        entries = registered.get(provider.credentials_id, ())
        if not entries:
            continue
        yield _redirect(provider, patient)
        if provider.credentials_id in seen:
            continue
        seen.add(provider.credentials_id)
        for entry in entries:
            yield _secret(provider, entry, stored, patient=patient)
    yield from _without_credentials(patient, registered)
    for credentials_id in sorted(set(registered) - seen):
        if registered[credentials_id]:
            mend = patient.command(f"providers configure {credentials_id} --issuer https://…")
            told = "It has credentials, but there is no record of it."
            yield warning("providers.credentials", told, mend=mend, about=credentials_id)
    if not seen:
        mend = patient.command("providers configure <provider> --client-id <our client_id there>")
        yield warning("providers.credentials", "No provider has credentials: nobody can sign in.", mend=mend)
    yield from _orphans(stored, registered)


def _without_credentials(patient: Patient, registered: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Finding]:
    """Records that somebody added here, and then gave no credentials."""
    own, disabled = patient.wiring.provider_items.overrides(), patient.wiring.provider_items.disabled()
    for provider in patient.wiring.catalog.all():
        if provider.id not in own or provider.id in disabled or provider.protocol == "api_key":
            continue
        if not registered.get(provider.credentials_id):
            mend = patient.command(f"providers configure {provider.id} --client-id <our client_id there>")
            told = "It has a record of its own here and no credentials: nobody can use it."
            yield warning("providers.credentials", told, mend=mend, about=provider.id)


def _redirect(provider: Provider, patient: Patient) -> Finding:
    issuer = patient.outputs["PublicUrl"].rstrip("/")
    refused = redirect_refusal(provider, issuer)
    if refused is None or provider.protocol == "api_key":
        told = f"Registered there must be {callback_uri(issuer, provider.id)}."
        return ok("providers.redirect_uri", told, about=provider.id)
    mend = patient.deploy("CustomDomainName=…", "CertificateArn=…")
    return failing("providers.redirect_uri", f"It does not redirect to us: {refused}.", mend=mend, about=provider.id)


def _secret(
    provider: Provider, entry: Mapping[str, Any], stored: Mapping[str, Mapping[str, Any]], *, patient: Patient
) -> Finding:
    """One registration's secret: there, a SecureString, and under the key that the functions may use."""
    about, parameter = f"{provider.credentials_id} {entry['client_id']}", entry.get("secret_parameter")
    again = patient.command(f"providers configure {provider.id} --client-id {entry['client_id']}")
    if parameter is None:
        if provider.token_endpoint_auth_method in ("none", "private_key_jwt"):
            return ok("providers.credentials", "It needs no secret.", about=about)
        return failing("providers.credentials", "It needs a secret and has none.", mend=again, about=about)
    wrong = _wrong_with(parameter, stored, patient=patient)
    if wrong is not None:
        return failing("providers.credentials", wrong, mend=again, about=about)
    if patient.local:
        return skipped("providers.credentials", "The emulator does not say under which key.", about=about)
    return ok("providers.credentials", "Its secret is a SecureString under the stack's TableKey.", about=about)


def _wrong_with(parameter: str, stored: Mapping[str, Mapping[str, Any]], *, patient: Patient) -> str | None:
    found = stored.get(parameter)
    if found is None:
        return f"Its secret {parameter} is not there."
    if found["Type"] != "SecureString":
        return f"Its secret {parameter} is a {found['Type']}: whoever may list parameters reads it. Make a new one."
    key = patient.outputs["TableKeyArn"].rpartition("/")[2]
    if not found.get("KeyId", "").endswith(key) and not patient.local:
        return f"Its secret is under {found.get('KeyId', 'another key')}: our functions cannot decrypt it."
    return None


def _parameters(patient: Patient) -> Mapping[str, Mapping[str, Any]]:
    """Parameters below the stack's prefix, by name; what they are, never what they hold."""
    path = f"{patient.outputs['ParameterPrefix'].rstrip('/')}/providers"
    named = [{"Key": "Path", "Option": "Recursive", "Values": [path]}]
    found = patient.pages("ssm", "describe_parameters", "Parameters", ParameterFilters=named)
    return {each["Name"]: each for each in found}


def _orphans(stored: Mapping[str, Any], registered: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Finding]:
    """Secrets that no registration names any more: they can only leak."""
    named = {entry.get("secret_parameter") for entries in registered.values() for entry in entries}
    for name in sorted(set(stored) - named):
        mend = f"aws ssm delete-parameter --name {name}"
        yield warning("providers.orphans", "No registration names this secret.", mend=mend, about=name)


def health(patient: Patient) -> Iterator[Finding]:
    """Providers that are switched off, that refuse our registration, or that do not answer."""
    disabled, breakers = patient.wiring.provider_items.disabled(), patient.wiring.breakers
    registered = patient.wiring.provider_items.registrations()
    quiet = True
    for provider in patient.wiring.catalog.all():
        if not registered.get(provider.credentials_id):
            continue
        for finding in _state(provider.id, provider.id in disabled, breakers, patient=patient):
            quiet = False
            yield finding
    if quiet:
        yield ok("providers.health", "No provider is disabled, refuses us or is left alone.")


def _state(provider_id: str, disabled: bool, breakers: Any, *, patient: Patient) -> Iterator[Finding]:
    if disabled:
        mend = patient.command(f"providers configure {provider_id} --enable")
        yield warning("providers.health", "Somebody switched it off.", mend=mend, about=provider_id)
    if breakers.misconfigured(provider_id):
        mend = patient.command(f"providers configure {provider_id} --client-id <our client_id there>")
        yield failing("providers.health", "It refuses our registration.", mend=mend, about=provider_id)
    until = breakers.open_until(provider_id)
    if until > patient.now:
        told = f"It failed too often: it is left alone for {until - patient.now} s more."
        mend = patient.command(f"providers check {provider_id}")
        yield warning("providers.health", told, mend=mend, about=provider_id)


FAMILY = Family("providers", (records, registrations, health))
