"""Who may come in: the clients, the admins and the API keys."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import date

from cli.doctor.findings import Family, Finding, failing, ok, skipped, warning
from cli.doctor.patient import Patient
from grantkeeper.errors import BadRequest
from grantkeeper.model import ApiKey, Client
from grantkeeper.services.client_registration import check_origin, check_redirect_uri
from grantkeeper.services.manage_api_keys import CLIENT_SCOPES, OPERATOR_SCOPES

DAY = 86_400
SOON = 14 * DAY
UNUSED = 30 * DAY
CONSOLE = "console"
MOST_PEOPLE = 2000
SUSPENDED = {"S": "suspended"}
NEVER_PUBLIC = "connections:token"
OF_OPERATORS = ("admin:read", "admin:write", "audit:read", "metrics:read")


def clients(patient: Patient) -> Iterator[Finding]:
    """Where each client's users are sent to, and what it may ask for."""
    all_of_them = [client for client in patient.wiring.clients.list() if client.status == "active"]
    for client in all_of_them:
        wrong = list(_wrong_with(client))
        for found in wrong:
            told = f"{found} Register it anew with what is right, and disable this one."
            yield failing("clients.sound", told, mend=_register(patient, client), about=client.client_id)
        if not wrong:
            yield ok("clients.sound", client.client_name, about=client.client_id)
        for told in _too_wide(client):
            yield warning("clients.scopes", told, mend=_register(patient, client), about=client.client_id)
    if not all_of_them:
        mend = patient.command("clients register --name <name> --redirect-uri https://…")
        yield warning("clients.sound", "There is no client: nobody can sign in.", mend=mend)


def _wrong_with(client: Client) -> Iterator[str]:
    for check, texts in ((check_redirect_uri, client.redirect_uris), (check_origin, client.origins)):
        for text in texts:
            try:
                check(text)
            except BadRequest as error:
                yield f"{text} {error.detail}."
    if client.token_endpoint_auth_method.startswith("client_secret") and not client.secret_hashes:
        yield "It is confidential and has no secret."
    if client.token_endpoint_auth_method == "private_key_jwt" and not client.jwks:
        yield "It signs with a key and has none."


def _too_wide(client: Client) -> Iterator[str]:
    """Scopes that a client of its kind should not ask for, whatever is granted in the end."""
    beyond = [scope for scope in OF_OPERATORS if scope in client.scopes]
    if beyond and client.client_id != CONSOLE:
        yield f"Its users may ask for {', '.join(beyond)}: leave that to the console."
    if not client.confidential and NEVER_PUBLIC in client.scopes:
        yield f"It is public and asks for {NEVER_PUBLIC}, which no public client is ever given."


def _register(patient: Patient, client: Client) -> str:
    uris = " ".join(f"--redirect-uri {shlex.quote(uri)}" for uri in client.redirect_uris if uri.startswith("https://"))
    name = shlex.quote(client.client_name)
    kind = " --confidential" if client.confidential else ""
    anew = patient.command(f"clients register --name {name} {uris or '--redirect-uri https://…'}{kind}")
    return f"{anew} && {patient.command(f'clients disable {client.client_id}')}"


def console(patient: Patient) -> Iterator[Finding]:
    """Whether the admin console can sign anybody in."""
    client, page = patient.wiring.clients.get(CONSOLE), f"{patient.outputs['PublicUrl'].rstrip('/')}/console"
    if client is None:
        yield warning("clients.console", "The console is no client yet.", mend=patient.command("init"))
    elif page not in client.redirect_uris:
        told = f"It is sent to {', '.join(client.redirect_uris)} and stands at {page}."
        yield failing("clients.console", told, mend=patient.command("init"))
    elif client.confidential or client.status != "active":
        yield failing("clients.console", "It must be an active public client.", mend=patient.command("init"))
    else:
        yield ok("clients.console", page)


def admins(patient: Patient) -> Iterator[Finding]:
    """Whether anybody has the role admin."""
    from grantkeeper.stores.listing import listed
    from grantkeeper.stores.table import Table

    table = Table(patient.wiring.aws.dynamodb, patient.env["GRANTS_TABLE"])
    people = listed(table, "USER", limit=MOST_PEOPLE)
    those = [each for each in people if each.get("role") == {"S": "admin"} and each.get("status") != SUSPENDED]
    if those:
        yield ok("people.admins", f"{len(those)} have the role admin.")
    elif len(people) == MOST_PEOPLE:
        yield skipped("people.admins", f"None of the first {MOST_PEOPLE} people is; the others were not looked at.")
    else:
        mend = patient.command("users role <sub> admin")
        yield warning("people.admins", "Nobody is an admin: the console lets nobody in.", mend=mend)


def api_keys(patient: Patient) -> Iterator[Finding]:
    """Keys that end soon, that nobody uses, and that may do more than one thing needs."""
    live = [key for key in patient.wiring.api_keys.list() if key.state(patient.now) in ("active", "rotating")]
    quiet = True
    for key in live:
        for finding in (_ending(key, patient), _unused(key, patient), _wide(key, patient)):
            if finding is not None:
                quiet = False
                yield finding
    if quiet:
        yield ok("api_keys.sound", f"{len(live)} live keys; none ends soon, lies unused or is too wide.")


def _ending(key: ApiKey, patient: Patient) -> Finding | None:
    left = key.expires_at - patient.now
    if left > SOON:
        return None
    mend = patient.command(f"api-keys rotate {key.key_id}")
    return warning("api_keys.expiry", f"It ends in {left // DAY} days.", mend=mend, about=key.key_id)


def _unused(key: ApiKey, patient: Patient) -> Finding | None:
    known_since = max(key.created_at, key.rotated_at)
    used = known_since if key.used_day is None else _epoch(key.used_day)
    if patient.now - max(used, known_since) < UNUSED:
        return None
    told = "It was never used." if key.used_day is None else f"It was last used on {key.used_day}."
    mend = patient.command(f"api-keys revoke {key.key_id}")
    return warning("api_keys.unused", told, mend=mend, about=key.key_id)


def _epoch(day: str) -> int:
    return (date.fromisoformat(day) - date(1970, 1, 1)).days * DAY


def _wide(key: ApiKey, patient: Patient) -> Finding | None:
    """A key with everything that its kind may have."""
    if key.sub is not None:
        return None
    of_kind = OPERATOR_SCOPES if key.client_id is None else CLIENT_SCOPES
    if not set(of_kind) <= set(key.scopes):
        return None
    owner = "" if key.client_id is None else f" --client {key.client_id}"
    mend = (
        patient.command(f"api-keys create{owner} --name {shlex.quote(key.name)} --scope {of_kind[0]}")
        + f" && {patient.command(f'api-keys revoke {key.key_id}')}"
    )
    return warning("api_keys.scopes", f"It may do everything a key may: {', '.join(of_kind)}.", mend=mend,
                   about=key.key_id)  # fmt: skip


FAMILY = Family("people", (clients, console, admins, api_keys))
