"""The end of a sign-in: the provider's word becomes a user of ours and a code for the client."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from grantkeeper import ids
from grantkeeper.errors import BadRequest, OAuthError, StoreUnavailable
from grantkeeper.model import AuditEvent, AuthorizationCode, User
from grantkeeper.services.admit_user import require_admitted
from grantkeeper.services.client_redirect import success_redirect
from grantkeeper.services.fetch_profile import fetch_profile
from grantkeeper.services.provider_facts import first_identity, sync_at_sign_in
from grantkeeper.services.redeem_provider_code import ProviderTokens
from grantkeeper.services.redirect_uris import require_registered
from grantkeeper.services.scopes import effective_scopes

if TYPE_CHECKING:
    from grantkeeper.model import AuthorizationRequest, Client, Profile
    from grantkeeper.ports import Avatars, Clients, Codes, ProviderHttp, Users
    from grantkeeper.providers.record import Provider

CODE_LIFETIME = 60  # seconds
CLOCK_LEEWAY = 10  # seconds between our clock and a provider's


def require_client(request: AuthorizationRequest, clients: Clients) -> tuple[Client, str]:
    """
    The client of a trip and its redirect_uri, as they are registered now.

    Raises:
        BadRequest: The client or its redirect_uri went away meanwhile: there is no trusted place to go back to.
    """
    client = clients.get(request.client_id or "")
    if client is None or client.status != "active":
        raise BadRequest("The client is not known here.", parameter="client_id")
    return client, require_registered(request.client_redirect_uri, client.redirect_uris)


def complete_signin(
    *,
    request: AuthorizationRequest,
    tokens: ProviderTokens,
    provider: Provider,
    clients: Clients,
    users: Users,
    codes: Codes,
    avatars: Callable[[], Avatars],
    provider_http: ProviderHttp,
    issuer: str,
    now: int,
    request_id: str,
    spare: Callable[[], float],
) -> str:
    """
    Sign the user in at the client that asked.

    What the client asked of the sign-in, and its policy, are judged before anything is written. The provider's tokens
    are used for the profile and then dropped: they are not stored, and not revoked, for that could take grants along.
    A picture that only they open is fetched last of all, within the time that is left over.

    Args:
        request: The redeemed trip.
        tokens: The provider's answer, judged.
        provider: The record, its variables filled.
        avatars: Makes the store of pictures, which few sign-ins need.
        issuer: Our own.
        now: Epoch seconds.
        spare: Seconds that may yet be taken for the picture.

    Returns:
        The client's redirect_uri with `code`, `state` and `iss`.

    Raises:
        OAuthError: What the client is to be told instead, such as `login_required` or `access_denied`.
        BadRequest: The client is gone.
        ProviderUnavailable, TokenResponseRejected: The profile cannot be read.
        StoreUnavailable: Nothing was issued.
    """
    client, redirect_uri = require_client(request, clients)
    auth_time = _auth_time(tokens.id_claims, now=now)
    _require_fresh(request, auth_time, now=now)
    profile = fetch_profile(provider=provider, tokens=tokens, provider_http=provider_http)
    identity_issuer, subject = identity_key(provider, profile, tokens.id_claims)

    known = users.find(identity_issuer, subject)
    user = None if known is None else users.get(known.sub)
    if known is not None and user is None:
        raise OAuthError("access_denied", "This account is gone.", reason="user_gone")
    require_admitted(client, user=user, provider=provider, profile=profile, id_claims=tokens.id_claims)

    event = _event(request, now=now, request_id=request_id)
    if user is None or known is None:
        user = _provision(profile, identity_issuer, subject, provider=provider, users=users, event=event, now=now)
        require_admitted(client, user=user, provider=provider, profile=profile, id_claims=tokens.id_claims)
    else:
        user = sync_at_sign_in(user, known, profile, users=users, event=event, now=now)
    code = _issue_code(request, client=client, user=user, auth_time=auth_time, codes=codes, now=now)
    if provider.profile.avatar.kind == "binary":
        _keep_picture(
            user, tokens, provider=provider, avatars=avatars, provider_http=provider_http, event=event, most=spare()
        )
    return success_redirect(redirect_uri, code=code, state=request.client_state, issuer=issuer)


def identity_key(provider: Provider, profile: Profile, id_claims: Mapping[str, Any] | None) -> tuple[str, str]:
    """
    What names a person at a provider: never an e-mail address (C-100).

    An issuer that writes itself in several ways is one issuer. Without an ID token the record's issuer or id stands for
    it, and the account's stable id for the subject.
    """
    if id_claims is None:
        return provider.issuer or f"provider:{provider.id}", profile.provider_user_id
    issuer = str(id_claims["iss"])
    if provider.issuer is not None and issuer in provider.issuer_aliases:
        issuer = provider.issuer
    return issuer, str(id_claims["sub"])


def _auth_time(id_claims: Mapping[str, Any] | None, *, now: int) -> int | None:
    """The provider's word on when the user signed in; nothing else takes its place."""
    value = None if id_claims is None else id_claims.get("auth_time")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= now + 6 * CLOCK_LEEWAY:
        return None
    return min(value, now)


def _require_fresh(request: AuthorizationRequest, auth_time: int | None, *, now: int) -> None:
    """`prompt=login` and `max_age` were promised to the client: prove them or say that they were not kept (C-80)."""
    oldest = None
    if "login" in (request.prompt or "").split():
        oldest = request.created_at - CLOCK_LEEWAY
    elif request.max_age is not None:
        oldest = now - request.max_age - CLOCK_LEEWAY
    if oldest is not None and (auth_time is None or auth_time < oldest):
        raise OAuthError("login_required", "The provider did not prove a fresh login.", reason="auth_time")


def _provision(
    profile: Profile,
    identity_issuer: str,
    subject: str,
    *,
    provider: Provider,
    users: Users,
    event: AuditEvent,
    now: int,
) -> User:
    """Make the user; of two first sign-ins that race both get the one that was made."""
    user = User(
        sub=ids.new_id("usr"),
        created_at=now,
        updated_at=now,
        email=profile.email,
        email_verified=profile.email_verified,
        name=profile.name,
        avatar_url=profile.avatar_url,
        locale=profile.locale,
    )
    identity = first_identity(
        profile, issuer=identity_issuer, subject=subject, sub=user.sub, provider=provider.id, now=now
    )
    audit = replace(event, action="user.provisioned", actor=f"user:{user.sub}", sub=user.sub)
    winner = users.provision(user, identity, audit=audit)
    if winner.sub == user.sub:
        return user
    existing = users.get(winner.sub)
    if existing is None:
        raise OAuthError("access_denied", "This account is gone.", reason="user_gone")
    return existing


def _keep_picture(
    user: User,
    tokens: ProviderTokens,
    *,
    provider: Provider,
    avatars: Callable[[], Avatars],
    provider_http: ProviderHttp,
    event: AuditEvent,
    most: float,
) -> None:
    """Best effort: everything the sign-in is about is done, and the next one comes."""
    from grantkeeper.services.fetch_avatar import fetch_avatar, same_picture  # noqa: PLC0415 - few providers need it

    avatar = fetch_avatar(provider=provider, tokens=tokens, provider_http=provider_http, most=most, now=event.time)
    if avatar is None:
        return
    audit = replace(event, id=ids.new_id("evt"), action="user.avatar_changed", actor=f"user:{user.sub}", sub=user.sub)
    store = avatars()
    with contextlib.suppress(StoreUnavailable):
        if not same_picture(avatar, store.of_user(user.sub)):
            store.put_for_user(user.sub, avatar, audit=audit)


def _issue_code(
    request: AuthorizationRequest, *, client: Client, user: User, auth_time: int | None, codes: Codes, now: int
) -> str:
    """A code that is good once, for a minute; only its hash is stored."""
    code = ids.new_secret()
    codes.put(
        AuthorizationCode(
            code_hash=ids.digest(code),
            client_id=client.client_id,
            redirect_uri=request.client_redirect_uri or "",
            code_challenge=request.code_challenge or "",
            sub=user.sub,
            scopes=effective_scopes(request.client_scopes, client=client, role=user.role),
            provider=request.provider,
            expires_at=now + CODE_LIFETIME,
            family=ids.new_id("fam"),
            nonce=request.client_nonce,
            auth_time=auth_time,
            resource=request.resource,
        )
    )
    return code


def _event(request: AuthorizationRequest, *, now: int, request_id: str) -> AuditEvent:
    return AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action="",
        actor="",
        client_id=request.client_id,
        provider=request.provider,
        request_id=request_id,
    )
