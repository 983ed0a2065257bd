"""
What the providers say of a person: kept per identity, as it was last told, and never mixed with what he set himself.

    identity    what its provider told at the last sign-in through it, and when
    user        of each fact the word of the identity linked first that has one; his own overrides stand apart

A provider that leaves something out at one sign-in (Apple names a person once) has not taken it back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from grantkeeper import ids
from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent, Identity

if TYPE_CHECKING:
    from grantkeeper.model import Profile, User
    from grantkeeper.ports import Users

NAMES = ("name", "avatar_url", "locale")
_TOLD = ("email", "email_verified", *NAMES)
_CLIENTS_OWN = "client:"  # the issuer of a client's own user ids, which tell nothing of a person


def first_identity(
    profile: Profile, *, issuer: str, subject: str, sub: str, provider: str, now: int, linked_at: int | None = None
) -> Identity:
    """An identity as its provider tells it at the moment it is linked."""
    return Identity(
        issuer=issuer,
        subject=subject,
        sub=sub,
        provider=provider,
        linked_at=now if linked_at is None else linked_at,
        email=profile.email,
        email_verified=profile.email_verified,
        name=profile.name,
        avatar_url=profile.avatar_url,
        locale=profile.locale,
        synced_at=now,
    )


def told_again(identity: Identity, profile: Profile, *, now: int) -> Identity:
    """The identity after another sign-in: `changed` names what is new now, or what was when something last was."""
    new = {name: getattr(profile, name) for name in NAMES if getattr(profile, name) is not None}
    if profile.email is not None:
        new |= {"email": profile.email, "email_verified": profile.email_verified}
    changed = tuple(name for name in _TOLD if name in new and new[name] != getattr(identity, name))
    fresh = replace(identity, **new, synced_at=now)
    return replace(fresh, changed=changed, changed_at=now) if changed else fresh


def tells(identity: Identity) -> bool:
    """False for a client's own user id: it names a person and says nothing of him."""
    return not identity.issuer.startswith(_CLIENTS_OWN)


def source(user: User, identities: Sequence[Identity], name: str) -> Identity | None:
    """
    The identity whose word a fact is.

    Args:
        user: An identity from before this was kept has told what his record says.
        identities: His, oldest first.
        name: `email`, `name`, `avatar_url` or `locale`.
    """
    return next((i for i in identities if tells(i) and _of(user, i, name) is not None), None)


def following(user: User, identities: Sequence[Identity]) -> User:
    """The user as his identities tell him, whoever else told it before. `updated_at` is the caller's."""
    mailed = source(user, identities, "email")
    return replace(
        user,
        email=_of(user, mailed, "email"),
        email_verified=mailed is not None and (user if mailed.synced_at == 0 else mailed).email_verified,
        name=_of(user, source(user, identities, "name"), "name"),
        avatar_url=_of(user, source(user, identities, "avatar_url"), "avatar_url"),
        locale=_of(user, source(user, identities, "locale"), "locale"),
    )


def sync_at_sign_in(
    user: User, identity: Identity, profile: Profile, *, users: Users, event: AuditEvent, now: int
) -> User:
    """
    Take over what the provider said just now, audited by field and never by value.

    Losing a race against another change loses nothing: the next sign-in comes.

    Args:
        user: As read.
        identity: The one he signs in with.
        profile: What its provider says.
        event: Of this sign-in; who and where from.
        now: Epoch seconds.

    Returns:
        The user as he is now.

    Raises:
        StoreUnavailable: It is not known whether it was stored.
    """
    linked = users.identities(user.sub)
    kept = next((i for i in linked if (i.issuer, i.subject) == (identity.issuer, identity.subject)), identity)
    fresh = told_again(kept, profile, now=now)
    told = tuple(fresh if i is kept else i for i in linked)
    follows = following(user, told)
    if follows == user and fresh.changed_at != now:
        with contextlib.suppress(StoreUnavailable):  # the time alone is worth no failed sign-in
            users.sync(fresh, user=None, audit=None)
        return user
    changed = " ".join(fresh.changed) if fresh.changed_at == now else ""
    audit = replace(
        event,
        id=ids.new_id("evt"),
        action="user.updated",
        actor=f"user:{user.sub}",
        sub=user.sub,
        details={"changed": changed} if changed else {},
    )
    if follows == user:
        users.sync(fresh, user=None, audit=audit)
        return user
    follows = replace(follows, updated_at=now)
    return replace(follows, version=user.version + 1) if users.sync(fresh, user=follows, audit=audit) else user


def _of(user: User, identity: Identity | None, name: str) -> str | None:
    if identity is None:
        return None
    value: str | None = getattr(user if identity.synced_at == 0 else identity, name)
    return value
