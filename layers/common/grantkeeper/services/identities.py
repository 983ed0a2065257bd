"""
A user's identities: which he has, which can sign him in, and taking one away.

An identity is (issuer, subject) and nothing else; the e-mail address beside it is for reading. One that can sign in
belongs to a provider that signs users in here now; a client's own user id names a user and signs nobody in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from grantkeeper import ids
from grantkeeper.errors import Conflict, NotFound, StoreUnavailable
from grantkeeper.model import AuditEvent, Identity, Principal, User
from grantkeeper.ports import Providers, Sessions, Users
from grantkeeper.providers.catalog import Catalog
from grantkeeper.services.provider_facts import following
from grantkeeper.services.revoke_session import end_session_of
from grantkeeper.services.signin_providers import signin_providers

ROUNDS = 4


def able_to_sign_in(
    identities: Sequence[Identity], *, catalog: Catalog, provider_items: Providers
) -> tuple[Identity, ...]:
    """Those whose provider signs users in here now, in their order."""
    able = {provider.id for provider in signin_providers(None, catalog=catalog, provider_items=provider_items)}
    return tuple(identity for identity in identities if identity.provider in able)


def unlink_identity(
    identity_id: str,
    *,
    principal: Principal,
    users: Users,
    sessions: Sessions,
    catalog: Catalog,
    provider_items: Providers,
    now: int,
    request_id: str,
) -> None:
    """
    Take an identity away from the caller's account, and end every session that was opened at its provider.

    A session knows the provider it was opened at, not the identity: who has two accounts there signs in again with the
    one he kept. The caller's own session ends too if it is one of these. What the profile had from the identity alone
    goes with it.

    Args:
        identity_id: `Identity.id`.
        principal: A user.

    Raises:
        NotFound: None of his.
        Conflict: Without it he could not sign in any more.
        StoreUnavailable: It is not known whether it was done; again is safe until it answers NotFound.
    """
    sub = principal.sub or ""
    for _ in range(ROUNDS):
        linked = users.identities(sub)
        identity = next((i for i in linked if ids.same(i.id, identity_id)), None) if ids.is_id(identity_id) else None
        if identity is None:
            raise NotFound("No such identity.")
        rest = tuple(i for i in linked if i is not identity)
        able = able_to_sign_in(rest, catalog=catalog, provider_items=provider_items)
        if not able:
            raise Conflict("This is the last identity that can sign in.", reason="last_identity")
        _end_sessions(identity, principal=principal, sessions=sessions, now=now, request_id=request_id)
        user = users.get(sub)
        event = _event(identity, principal=principal, now=now, request_id=request_id)
        if users.unlink(identity, kept=able[0], user=_without(user, rest, now=now), audit=event):
            _end_sessions(identity, principal=principal, sessions=sessions, now=now, request_id=request_id)
            return
    raise StoreUnavailable("The account keeps changing.", retry_after=1)


def _without(user: User | None, rest: Sequence[Identity], *, now: int) -> User | None:
    """The profile as the others tell it; None if that is what it is."""
    follows = None if user is None else following(user, rest)
    return None if follows is None or follows == user else replace(follows, updated_at=now)


def _end_sessions(identity: Identity, *, principal: Principal, sessions: Sessions, now: int, request_id: str) -> None:
    """Before and after: nobody is left who came in by it in between."""
    for session in sessions.list(identity.sub):
        if session.provider == identity.provider and session.status == "active" and session.expires_at > now:
            end_session_of(
                session,
                actor=principal.actor,
                reason="identity_unlinked",
                sessions=sessions,
                now=now,
                request_id=request_id,
            )


def _event(identity: Identity, *, principal: Principal, now: int, request_id: str) -> AuditEvent:
    return AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action="identity.unlinked",
        actor=principal.actor,
        sub=identity.sub,
        client_id=principal.client_id,
        provider=identity.provider,
        request_id=request_id,
        details={"identity": identity.id},
    )
