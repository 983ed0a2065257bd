"""Our own metadata (OpenID Connect Discovery 1.0, RFC 8414): true to what is enforced, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from grantkeeper.model import ALL_SCOPES
from grantkeeper.ports import Providers
from grantkeeper.providers.catalog import Catalog
from grantkeeper.services.signin_request import PROMPTS

_CLIENT_AUTHENTICATION = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
_ASSERTION_ALGORITHMS = ["ES256", "RS256", "PS256"]  # of edge.client_assertions; a test compares the two


def authorization_server_metadata(issuer: str) -> Mapping[str, Any]:
    """RFC 8414 section 2."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth2/authorize",
        "token_endpoint": f"{issuer}/oauth2/token",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "scopes_supported": list(ALL_SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none", *_CLIENT_AUTHENTICATION],
        "revocation_endpoint": f"{issuer}/oauth2/revoke",
        "revocation_endpoint_auth_methods_supported": ["none", *_CLIENT_AUTHENTICATION],
        "introspection_endpoint": f"{issuer}/oauth2/introspect",
        "introspection_endpoint_auth_methods_supported": _CLIENT_AUTHENTICATION,
        "token_endpoint_auth_signing_alg_values_supported": _ASSERTION_ALGORITHMS,
        "revocation_endpoint_auth_signing_alg_values_supported": _ASSERTION_ALGORITHMS,
        "introspection_endpoint_auth_signing_alg_values_supported": _ASSERTION_ALGORITHMS,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "service_documentation": f"{issuer}/docs",
    }


def openid_configuration(issuer: str) -> Mapping[str, Any]:
    """OpenID Connect Discovery 1.0 section 3, and RP-Initiated Logout 1.0 section 2.1."""
    return {
        **authorization_server_metadata(issuer),
        "userinfo_endpoint": f"{issuer}/oauth2/userinfo",
        "end_session_endpoint": f"{issuer}/oauth2/end-session",
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "claim_types_supported": ["normal"],
        "claims_supported": [
            "iss", "sub", "aud", "azp", "exp", "iat", "auth_time", "nonce", "at_hash", "sid",
            "name", "picture", "locale", "updated_at", "email", "email_verified",
        ],
        "prompt_values_supported": list(PROMPTS),
        "claims_parameter_supported": False,
        "require_request_uri_registration": False,
    }  # fmt: skip


def provider_states(
    *,
    catalog: Catalog,
    provider_items: Providers,
    degraded: frozenset[str],
    retry_at: Mapping[str, int] = MappingProxyType({}),
) -> Sequence[Any]:
    """
    Every provider with its services and their state: all that an interface needs to draw its connect page.

    A service with `connect: redirect` is connected by a connect session, one with `api_key` by a form for the user's
    own key. `icon` is a key into the interface's own set; `access` is in the record's order, from less to more.

    Args:
        degraded: Providers that are not called at the moment, or that refuse our registration. They can be tried.
        retry_at: Of those that are not called, the epoch second of the next call.
    """
    disabled, registrations = provider_items.disabled(), provider_items.registrations()
    answer = []
    for provider in sorted(catalog.all(), key=lambda provider: provider.id):
        if provider.id in disabled:
            state = "disabled"
        elif provider.protocol != "api_key" and not registrations.get(provider.credentials_id):
            state = "not_configured"
        else:
            state = "degraded" if provider.id in degraded else "available"
        answer.append(
            {
                "id": provider.id,
                "display_name": provider.display_name,
                "icon": provider.icon or provider.id,
                "state": state,
                "retry_at": retry_at.get(provider.id),
                "max_live_grants_per_user": provider.refresh.max_live_grants_per_user,
                "sign_in": bool(provider.signin_scopes),
                "services": [
                    {
                        "id": service.id,
                        "display_name": service.display_name,
                        "icon": service.icon or service.id,
                        "connect": "api_key" if provider.protocol == "api_key" else "redirect",
                        "access": list(service.access),
                        "default_access": service.default_access,
                        "tokens": [path.name for path in provider.token_response.tokens],
                        "state": state,
                        "docs_url": service.docs_url,
                    }
                    for service in provider.services
                ],
            }
        )
    return answer
