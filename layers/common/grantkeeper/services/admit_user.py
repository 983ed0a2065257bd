"""Who may sign in at a client: its sign-up policy, judged before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from grantkeeper.errors import OAuthError

if TYPE_CHECKING:
    from grantkeeper.model import Client, Profile, User
    from grantkeeper.providers.record import Provider


def require_admitted(
    client: Client, *, user: User | None, provider: Provider, profile: Profile, id_claims: Mapping[str, Any] | None
) -> None:
    """
    Apply the client's policy to somebody the provider has vouched for.

    `open` admits everybody, `invited` who has an account here already, `domains` whose verified e-mail domain or
    organisation is listed, at every sign-in and not only at the first. An organisation is what the claim says that the
    provider's record names for it, `hd` of Google and `tid` of Microsoft: elsewhere such a claim may be anything the
    user wrote himself. An e-mail address admits only by its domain and only when verified; it is never a key.

    Args:
        user: Who owns the identity; None at a first sign-in.
        provider: Who vouches.
        profile: As the provider's record reads it.
        id_claims: The validated ID token, where there is one.

    Raises:
        OAuthError: `access_denied`.
    """
    if user is not None and user.status != "active":
        raise OAuthError("access_denied", "This account is suspended.", reason="user_suspended")
    if client.sign_up == "invited" and user is None:
        raise OAuthError("access_denied", "This application is by invitation only.", reason="not_invited")
    if client.sign_up == "domains" and not _belongs(client.sign_up_domains, provider, profile, id_claims or {}):
        raise OAuthError("access_denied", "This application is for members only.", reason="domain_not_listed")


def _belongs(listed: tuple[str, ...], provider: Provider, profile: Profile, claims: Mapping[str, Any]) -> bool:
    organization = claims.get(provider.organization_claim or "")
    if isinstance(organization, str) and organization in listed:
        return True
    if not profile.email_verified or profile.email is None:
        return False
    _, _, domain = profile.email.rpartition("@")
    return domain.lower() in listed
