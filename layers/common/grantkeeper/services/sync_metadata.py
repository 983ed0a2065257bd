"""Asking a connection's provider again what the connection is good for: sites come and go."""

from __future__ import annotations

import json
from dataclasses import replace

from grantkeeper import ids
from grantkeeper.errors import ConnectionRevoked
from grantkeeper.model import AuditEvent, Connection, Principal
from grantkeeper.oauth.endpoints import resolve
from grantkeeper.services.dead_answer import usable
from grantkeeper.services.open_grant import open_grant
from grantkeeper.services.post_connect import ask_after_connect
from grantkeeper.services.redeem_provider_code import ProviderTokens
from grantkeeper.services.refresh_run import RefreshPorts, Run, provider_of
from grantkeeper.services.successor import read_tokens

WRITE_RESERVE = 3.0  # seconds of the invocation that are left to write down what was found


def sync_metadata(
    connection: Connection, *, principal: Principal, ports: RefreshPorts, run: Run, request_id: str
) -> Connection:
    """
    Take the record's steps after a connect once more. Where it has none, nothing happens.

    Args:
        connection: As `sync_profile` returned it: the token is good and its account is the connection's.

    Returns:
        The connection with what is known of it now; what was not answered stays as it was.

    Raises:
        ConnectionRevoked, ReauthorizationRequired: There is no token any more.
        ProviderUnavailable, TokenResponseRejected: A required step got no answer; nothing was changed.
        StoreUnavailable: Later.
    """
    if not ports.catalog.get(connection.provider).post_connect:
        return connection
    name = connection.token_names[0]
    grant = usable(ports.grants.get(connection.id, name))
    provider = resolve(provider_of(grant, ports=ports), grant.variables)
    tokens = read_tokens(open_grant(grant, ports=ports, run=run), grant=grant, provider=provider)
    found = ask_after_connect(
        provider=provider,
        tokens=ProviderTokens(b"{}", {name: tokens}, id_claims=None),
        provider_http=ports.provider_http,
        most=run.remaining - WRITE_RESERVE,
    )
    metadata = {**connection.metadata, **found}
    if json.dumps(metadata, sort_keys=True) == json.dumps(dict(connection.metadata), sort_keys=True):
        return connection
    now = run.clock()
    audit = AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action="connection.metadata_synced",
        actor=principal.actor,
        sub=connection.sub,
        connection_id=connection.id,
        client_id=principal.client_id,
        provider=connection.provider,
        service=connection.service,
        request_id=request_id,
        details={"found": " ".join(sorted(found))},
    )
    if not ports.connections.update_metadata(connection.id, metadata, now=now, audit=audit):
        raise ConnectionRevoked("The connection was disconnected.")
    return replace(connection, metadata=metadata, updated_at=now)
