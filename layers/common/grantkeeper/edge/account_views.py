"""A user's own account as the JSON of the API. Times are epoch seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grantkeeper.model import AuditEvent, Identity
from grantkeeper.services.consents import ListedConsent
from grantkeeper.services.own_profile import OwnProfile
from grantkeeper.services.own_sessions import Ended, ListedSession
from grantkeeper.services.provider_facts import source, tells

if TYPE_CHECKING:
    from grantkeeper.edge import schemas


def audit_view(event: AuditEvent, *, sub: str) -> schemas.AuditEntry:
    """
    An entry of a user's own trail.

    Who acted is told by kind only: a refused confirmation has another user's hand in it, and must not say whose.
    """
    return {
        "id": event.id,
        "time": event.time,
        "action": event.action,
        "by": _by(event.actor, sub),
        "connection_id": event.connection_id,
        "client_id": event.client_id,
        "provider": event.provider,
        "service": event.service,
        "reason": event.reason,
        "changed": event.details.get("changed", "").split(),
    }


def profile_view(profile: OwnProfile) -> schemas.Profile:
    """What is shown and whose word it is, what the user set, what each provider says."""
    user, overrides = profile.user, profile.user.overrides
    mailed = source(user, profile.identities, "email")
    return {
        "sub": user.sub,
        "name": _shown(profile, "name"),
        "avatar_url": _shown(profile, "avatar_url"),
        "locale": _shown(profile, "locale"),
        "email": {
            "value": user.email,
            "verified": user.email_verified,
            "provider": None if mailed is None or user.email is None else mailed.provider,
        },
        "overrides": {
            "name": overrides.get("name"),
            "avatar_url": overrides.get("avatar_url"),
            "locale": overrides.get("locale"),
        },
        "identities": [_identity(identity) for identity in profile.identities if tells(identity)],
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }


def session_view(listed: ListedSession) -> schemas.OwnSession:
    """A session by the name tokens show; never the family of its refresh tokens."""
    session = listed.session
    return {
        "sid": session.sid,
        "client_id": session.client_id,
        "client_name": listed.client_name,
        "provider": session.provider,
        "created_at": session.created_at,
        "last_used_at": max(session.created_at, session.rotated_at),
        "expires_at": min(session.expires_at, session.idle_expires_at),
        "current": listed.current,
    }


def ended_view(ended: Ended) -> schemas.EndedSessions:
    """How many, and how many are left."""
    return {"revoked": ended.revoked, "left": ended.left}


def _shown(profile: OwnProfile, name: str) -> schemas.ShownFact:
    value = profile.user.shown(name)
    if name in profile.user.overrides:
        return {"value": value, "source": "override", "provider": None}
    told_by = source(profile.user, profile.identities, name)
    if value is None or told_by is None:
        return {"value": value, "source": None, "provider": None}
    return {"value": value, "source": "provider", "provider": told_by.provider}


def _identity(identity: Identity) -> schemas.ProfileIdentity:
    return {
        "provider": identity.provider,
        "email": identity.email,
        "email_verified": identity.email_verified,
        "name": identity.name,
        "avatar_url": identity.avatar_url,
        "locale": identity.locale,
        "linked_at": identity.linked_at,
        "synced_at": identity.synced_at or None,
        "changed": list(identity.changed),
        "changed_at": identity.changed_at or None,
    }


def _by(actor: str, sub: str) -> Literal["you", "your_key", "another_user", "client", "system"]:
    if actor == f"user:{sub}":
        return "you"
    match actor.partition(":")[0]:
        case "user_key":  # such a key reaches what is its user's, so it stands in his own trail only
            return "your_key"
        case "user":
            return "another_user"
        case "key":
            return "client"
        case _:
            return "system"


def identity_view(identity: Identity) -> schemas.Identity:
    """One of a user's identities: never its subject, which is the provider's name for him."""
    return {
        "id": identity.id,
        "provider": identity.provider,
        "issuer": identity.issuer,
        "email": identity.email,
        "linked_at": identity.linked_at,
    }


def consent_view(listed: ListedConsent) -> schemas.Consent:
    """What a user let a client use, as he saw it then."""
    consent = listed.consent
    return {
        "client_id": consent.client_id,
        "client_name": listed.client_name,
        "connection_id": consent.connection_id,
        "service": consent.service,
        "provider": consent.provider,
        "label": consent.label,
        "scopes": list(consent.scopes),
        "granted_at": consent.created_at,
        "withdrawn_at": consent.withdrawn_at,
    }
