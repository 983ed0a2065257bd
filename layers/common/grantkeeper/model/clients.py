"""The applications of the team."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from grantkeeper.model.providers import AuthMethod


@dataclass(frozen=True, slots=True)
class Client:
    """An application of the team (RFC 6749 section 2, metadata names of RFC 7591)."""

    client_id: str
    client_name: str
    redirect_uris: tuple[str, ...]
    created_at: int
    token_endpoint_auth_method: AuthMethod = "none"
    secret_hashes: tuple[str, ...] = ()  # several while a secret rotates
    origins: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    providers: tuple[str, ...] = ("*",)  # who may sign users in
    services: tuple[str, ...] = ("*",)  # what may be connected
    scopes: tuple[str, ...] = ("openid", "profile", "email", "connections:read", "connections:write")
    sign_up: Literal["open", "invited", "domains"] = "open"
    sign_up_domains: tuple[str, ...] = ()
    id_token_signed_response_alg: Literal["RS256", "ES256"] = "RS256"
    jwks: tuple[Mapping[str, Any], ...] = ()  # public keys of a `private_key_jwt` client, several while one rotates
    resources: tuple[str, ...] = ()  # APIs of the team its users' access tokens may be for (RFC 8707)
    status: Literal["active", "disabled"] = "active"

    @property
    def confidential(self) -> bool:
        """True when the client can keep a secret (RFC 6749 section 2.1)."""
        return self.token_endpoint_auth_method != "none"
