"""Clients and API keys as operators see them, as JSON. Times are epoch seconds; of secrets only that there are some."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper import ids
from grantkeeper.admin_ports import VersionedClient
from grantkeeper.edge.api_key_views import api_key_view
from grantkeeper.model import ApiKey, Client

if TYPE_CHECKING:
    from grantkeeper.edge import admin_schemas
    from grantkeeper.services.manage_api_keys import ShownClientKey
    from grantkeeper.services.manage_clients import ShownClient


def client_view(client: Client) -> admin_schemas.AdminClient:
    """A client; of its secrets their number (T-09)."""
    return {
        "client_id": client.client_id,
        "client_name": client.client_name,
        "status": client.status,
        "created_at": client.created_at,
        "token_endpoint_auth_method": client.token_endpoint_auth_method,
        "has_secret": bool(client.secret_hashes),
        "live_secrets": len(client.secret_hashes),
        "redirect_uris": list(client.redirect_uris),
        "origins": list(client.origins),
        "post_logout_redirect_uris": list(client.post_logout_redirect_uris),
        "providers": list(client.providers),
        "services": list(client.services),
        "scopes": list(client.scopes),
        "sign_up": client.sign_up,
        "sign_up_domains": list(client.sign_up_domains),
        "id_token_signed_response_alg": client.id_token_signed_response_alg,
        "jwks": [dict(key) for key in client.jwks],
        "resources": list(client.resources),
    }


def shown_client_view(shown: ShownClient) -> admin_schemas.ShownAdminClient:
    """The one answer that holds a client's secret."""
    return {**client_view(shown.found.client), "client_secret": shown.secret}


def client_etag(found: VersionedClient) -> str:
    """A strong tag of the version; a digest, since a version may hold any character."""
    return f'"{ids.digest(found.version)[:22]}"'


def admin_key_view(key: ApiKey, *, now: int) -> admin_schemas.AdminApiKey:
    """A key without its secret, and without a hash of it."""
    return {**api_key_view(key, now=now), "client_id": key.client_id, "user": key.sub}


def shown_admin_key_view(shown: ShownClientKey, *, now: int) -> admin_schemas.ShownAdminApiKey:
    """The one answer that holds a key's text."""
    return {**admin_key_view(shown.key, now=now), "api_key": shown.text}
