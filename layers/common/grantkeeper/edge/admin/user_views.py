"""Users as operators see them, as JSON. Times are epoch seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.edge.account_views import consent_view, identity_view
from grantkeeper.edge.api_key_views import api_key_view
from grantkeeper.edge.connection_views import listed_view
from grantkeeper.model import Session, User
from grantkeeper.services.admin_users import UserDetail
from grantkeeper.services.erasure_ports import Erasure

if TYPE_CHECKING:
    from grantkeeper.edge import admin_schemas


def user_view(user: User) -> admin_schemas.AdminUser:
    """A user in a list."""
    return {
        "sub": user.sub,
        "email": user.email,
        "email_verified": user.email_verified,
        "name": user.shown("name"),
        "role": user.role,
        "status": user.status,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }


def detail_view(detail: UserDetail, *, now: int) -> admin_schemas.AdminUserDetail:
    """A user with what is his."""
    return {
        **user_view(detail.user),
        "avatar_url": detail.user.shown("avatar_url"),
        "locale": detail.user.shown("locale"),
        "overrides": dict(detail.user.overrides),
        "identities": [identity_view(identity) for identity in detail.identities],
        "sessions": [_session(session) for session in detail.sessions],
        "connections": [listed_view(connection) for connection in detail.connections],
        "consents": [consent_view(consent) for consent in detail.consents],
        "api_keys": [api_key_view(key, now=now) for key in detail.api_keys],
        "counts": dict(detail.counts),
    }


def erasure_view(erasure: Erasure) -> admin_schemas.Erasure:
    """How far an erasure is."""
    return {
        "sub": erasure.sub,
        "state": erasure.state,
        "erased_at": erasure.erased_at,
        "removed": dict(erasure.removed),
        "left": dict(erasure.left),
        "again_at": erasure.again_at,
        "one_time_until": erasure.one_time_until,
    }


def _session(session: Session) -> admin_schemas.AdminSession:
    return {
        "sid": session.sid,
        "client_id": session.client_id,
        "provider": session.provider,
        "created_at": session.created_at,
        "last_used_at": max(session.created_at, session.rotated_at),
        "expires_at": min(session.expires_at, session.idle_expires_at),
    }
