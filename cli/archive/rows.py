"""A row from elsewhere as a connection of ours: whose it is, at which service, under which registration."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import b32encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cli import operator
from cli.archive.connections import Arrival, put_connection
from cli.archive.foreign import Row
from cli.archive.outcomes import Done, refused
from cli.archive.tables import Tables
from grantkeeper import ids
from grantkeeper.errors import BadRequest, GrantkeeperError, ProviderNotConfigured, StoreUnavailable, UnknownService
from grantkeeper.model import Connection, Grant, HttpResponse, Identity, Profile, User, consent_of
from grantkeeper.oauth.endpoints import resolve, resolve_variables
from grantkeeper.oauth.token_response import granted, normalise_scopes, sealable, token_set
from grantkeeper.providers.record import Pairs, Provider, Service, TokenPath
from grantkeeper.services.fetch_profile import fetch_profile
from grantkeeper.services.forecast import earliest, plan
from grantkeeper.services.lease_policy import is_strict
from grantkeeper.services.people import MAX_USER_ID, client_issuer
from grantkeeper.services.redeem_provider_code import ProviderTokens
from grantkeeper.services.schedule import refreshable
from grantkeeper.wiring import Wiring

MAX_TOKEN_SET = 16 * 1024
MAX_ACCOUNT = 512


class RowRefused(Exception):
    """Why a row cannot be imported; safe to show."""


@dataclass(frozen=True, slots=True)
class Rows:
    """
    Imports rows for one client.

    Args:
        client_id: Whose user ids they are; it gets the users' consent.
        services: Name there → service here; what is not in it is called the same.
        origin: Names this import: the same file has the same.
        probe: Ask the provider whose a token is, where the row does not say.
    """

    wiring: Wiring
    tables: Tables
    client_id: str
    services: Mapping[str, str]
    origin: str
    probe: bool = True
    dry_run: bool = False

    def take(self, row: Row) -> Done:
        """
        Import one row, or say why it cannot be.

        Raises:
            StoreUnavailable: DynamoDB or KMS does not answer; nothing of the row was written.
        """
        try:
            arrival = self._arrival(row)
        except RowRefused as reason:
            return refused(str(reason))
        except ProviderNotConfigured:
            return refused("this provider has no credentials here: configure those its tokens were made with")
        return put_connection(
            arrival, wiring=self.wiring, tables=self.tables, source_is_gone=True, dry_run=self.dry_run
        )

    def _arrival(self, row: Row) -> Arrival:
        now = operator.now()
        provider, service, variables = self._service(row)
        if row.repeated and is_strict(provider.refresh):
            raise RowRefused("its refresh token stands in a row before it, and one connection alone can spend it")
        body = _answer(row, provider)
        names = _names(body, provider)
        registration = "" if provider.protocol == "api_key" else self._registration(row, provider)
        profile = self._profile(row, provider, body, now=now)
        scopes = normalise_scopes(provider, row.scopes, ()) if row.scopes else ()
        plain = {name: sealable(body, provider=provider, name=name, previous=None, received_at=now) for name in names}
        if any(len(tokens) > MAX_TOKEN_SET for tokens in plain.values()):
            raise RowRefused("its token set is over 16 KiB")
        connection = Connection(
            id=_id(self.client_id, service.id, row.user_id, profile.provider_user_id),
            sub=self._user(row.user_id, now=now),
            client_id=self.client_id,
            provider=provider.id,
            service=service.id,
            account_id=profile.provider_user_id,
            credentials_id=registration,
            scopes=scopes,
            requested_scopes=scopes,
            status="active",
            created_at=now,
            updated_at=now,
            kind="api_key" if provider.protocol == "api_key" else "oauth2",
            label=row.label or profile.email or profile.name,
            profile=None if provider.protocol == "api_key" else profile,
            token_names=tuple(names),
        )
        grants = [
            replace(_grant(connection, name, plain[name], provider=provider, now=now), variables=variables)
            for name in names
        ]
        return Arrival(
            connection=replace(connection, reconnect_by=earliest(*(grant.reconnect_by for grant in grants))),
            grants=grants,
            tokens=plain,
            consents=[consent_of(connection, client_id=self.client_id, now=now)],
            avatar=None,
            frozen=True,
            origin=self.origin,
        )

    def _service(self, row: Row) -> tuple[Provider, Service, Pairs]:
        """The record of the service, its endpoint variables filled with their defaults."""
        if not (0 < len(row.user_id) <= MAX_USER_ID and row.user_id.isprintable()):
            raise RowRefused("the user's id is not 1 to 256 printable characters")
        try:
            provider, service = self.wiring.catalog.service(self.services.get(row.service, row.service))
            variables = resolve_variables(provider)
        except UnknownService:
            raise RowRefused("its service is not known here: name it in --mapping") from None
        except BadRequest:
            raise RowRefused("this provider's endpoints differ from user to user: the user connects again") from None
        if provider.protocol == "oauth1":
            raise RowRefused("connections by OAuth 1.0a cannot be imported: the user connects again")
        return resolve(provider, variables), service, variables

    def _registration(self, row: Row, provider: Provider) -> str:
        """Our client_id at the provider; raises ProviderNotConfigured."""
        credentials = self.wiring.public_credentials
        if row.oauth_client_id is not None:
            return credentials.by_client_id(provider.credentials_id, row.oauth_client_id).client_id
        return credentials.active(provider.credentials_id).client_id

    def _profile(self, row: Row, provider: Provider, body: bytes, *, now: int) -> Profile:
        """Whose account it is: as the row says, else as the provider says of the token now."""
        if provider.protocol == "api_key":
            label = row.label or row.account_id
            if not label:
                raise RowRefused("an API key needs a label")
            return Profile(f"label:{label}")
        if row.account_id is not None:
            if len(row.account_id) > MAX_ACCOUNT or not row.account_id.isprintable():
                raise RowRefused("account_id is not 1 to 512 printable characters")
            return Profile(row.account_id)
        if not self.probe:
            raise RowRefused("account_id is missing")
        name = _names(body, provider)[0]
        plain = sealable(body, provider=provider, name=name, previous=None, received_at=now)
        tokens = ProviderTokens(body, {name: token_set(plain, provider=provider, name=name)}, id_claims=None)
        try:
            return fetch_profile(provider=provider, tokens=tokens, provider_http=self.wiring.provider_http)
        except StoreUnavailable:
            raise
        except GrantkeeperError as error:
            why = f"the provider does not say whose its token is ({error.slug}): give account_id"
            raise RowRefused(why) from None

    def _user(self, user_id: str, *, now: int) -> str:
        """The user whom the client calls so; made when he was never seen."""
        issuer = client_issuer(self.client_id)
        known = self.wiring.users.find(issuer, user_id)
        if known is not None or self.dry_run:
            return ids.new_id("usr") if known is None else known.sub
        user = User(sub=ids.new_id("usr"), created_at=now, updated_at=now)
        identity = Identity(issuer=issuer, subject=user_id, sub=user.sub, provider=issuer, linked_at=now)
        audit = operator.event(
            "user.provisioned", sub=user.sub, client_id=self.client_id, details={"archive": self.origin}
        )
        return self.wiring.users.provision(user, identity, audit=audit).sub


def _grant(connection: Connection, name: str, plaintext: bytes, *, provider: Provider, now: int) -> Grant:
    tokens = token_set(plaintext, provider=provider, name=name)
    can = connection.kind == "oauth2" and refreshable(tokens, rule=provider.refresh)
    planned = plan(
        tokens,
        rule=provider.refresh,
        refreshable=can,
        consented_at=0,
        received_at=now,
        rng=secrets.SystemRandom(),
    )
    return Grant(
        connection_id=connection.id,
        name=name,
        sub=connection.sub,
        provider=connection.provider,
        service=connection.service,
        credentials_id=connection.credentials_id,
        grant_id="",
        n=1,
        generation=1,
        status="active",
        sealed=b"",
        scopes=connection.scopes,
        refreshed_at=now,
        write_id="",
        kind=connection.kind,
        expires_at=tokens.expires_at,
        refreshable=can,
        refresh_token_expires_at=planned.refresh_token_expires_at,
        reconnect_by=planned.reconnect_by,
        actor=operator.actor(),
    )


def _answer(row: Row, provider: Provider) -> bytes:
    """The row in the form of the provider's own answer."""
    if provider.token_response.tokens != (TokenPath(),):
        body = json.dumps(row.raw or {}).encode()
        if not _names(body, provider):
            raise RowRefused("its tokens do not stand where this provider has them: the user connects again")
        return body
    flat: dict[str, Any] = {"access_token": row.access_token, "refresh_token": row.refresh_token, "scope": row.scopes}
    if provider.protocol == "api_key":
        flat["token_type"] = "api_key"
    if row.expires_at is not None:
        flat["expires_in"] = max(row.expires_at - operator.now(), 0)
    return json.dumps({name: value for name, value in flat.items() if value is not None}).encode()


def _names(body: bytes, provider: Provider) -> list[str]:
    if provider.token_response.tokens == (TokenPath(),):
        return ["main"]
    return granted(HttpResponse(200, {}, body), provider=provider)


def _id(*parts: str) -> str:
    """The same row has the same id, so that a row that is imported again is found."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()[:16]
    return f"con_{b32encode(digest).decode().rstrip('=').lower()}"
