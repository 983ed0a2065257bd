"""Trips to a consent page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Purpose = Literal["signin", "connect", "prove", "link"]  # prove: who is it? link: which identity?


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """
    One trip to a consent page, stored under the hash of `state`.

    `sealed` holds the PKCE verifier and the nonce under HKDF(state): the table alone opens nothing.
    """

    state_hash: str
    purpose: Purpose
    provider: str
    credentials_id: str  # client_id of the provider credentials used
    redirect_uri: str  # ours, at the provider
    browser_hash: str  # hash of the binding cookie
    sealed: bytes
    scopes: tuple[str, ...]  # asked of the provider
    created_at: int
    expires_at: int
    variables: tuple[tuple[str, str], ...] = ()
    # purpose == "signin": the client's own request
    client_id: str | None = None
    client_redirect_uri: str | None = None
    client_state: str | None = None
    client_nonce: str | None = None
    client_scopes: tuple[str, ...] = ()
    code_challenge: str | None = None
    resource: str | None = None
    max_age: int | None = None
    prompt: str | None = None
    # purpose == "connect"
    connect_session_id: str | None = None
    # purpose == "prove" (who is it?) or "link" (which identity?)
    errand_id: str | None = None
