"""
Roles and suspension: the changes of a user that only somebody else may make.

Nobody changes himself, and an admin who changes somebody is one still at that moment: so the last one can neither leave
nor be made to, however many act at once (T-10). The operator's command, which acts with AWS credentials, may do
everything: IAM is the root of trust.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, get_args

from grantkeeper import ids
from grantkeeper.errors import BadRequest, Conflict, Forbidden, NotFound, StoreUnavailable
from grantkeeper.model import AuditEvent, Principal, Role, User
from grantkeeper.ports import Users

SuspensionReason = Literal["abuse", "compromised", "left", "requested", "other"]

ROUNDS = 4  # of a read and a conditional write
_ROLES: tuple[Role, ...] = get_args(Role)
_REASONS: tuple[SuspensionReason, ...] = get_args(SuspensionReason)


class Changing(Protocol):
    """Replaces users' records."""

    def replace(self, user: User, *, expected_version: int, admin: str | None, audit: AuditEvent) -> bool:
        """
        Replace a record if its version is the expected one and `admin` is an admin still.

        Returns:
            False when its version is another.

        Raises:
            Forbidden: `admin` is none any more.
        """


@dataclass(frozen=True, slots=True)
class By:
    """
    On whose word a user is changed.

    Args:
        actor: His name in the trail.
        sub: An admin who is signed in; None for a key.
        root: The operator's command.
    """

    actor: str
    sub: str | None = None
    root: bool = False

    @classmethod
    def principal(cls, principal: Principal) -> By:
        """Who calls the API."""
        return cls(principal.actor, principal.sub)

    def require_may_change(self, user: User) -> None:
        """
        Let through who may change this user at all.

        Raises:
            Forbidden: It is himself, or an admin whom only an admin may change.
        """
        if self.root:
            return
        if self.sub == user.sub:
            raise Forbidden("Nobody changes his own role or status.")
        if user.role == "admin" and self.sub is None:
            raise Forbidden("An admin is changed by an admin who is signed in, not by a key.")


@dataclass(frozen=True, slots=True)
class Changed:
    """A user before and after; the same twice when there was nothing to change."""

    before: User
    after: User


def parse_role(body: Mapping[str, Any]) -> Role:
    """
    Read the body of a role change.

    Raises:
        BadRequest: Not one role.
    """
    if set(body) != {"role"} or body["role"] not in _ROLES:
        raise BadRequest(f"The body holds role: one of {', '.join(_ROLES)}.", parameter="role")
    return _ROLES[_ROLES.index(body["role"])]


def parse_suspension(body: Mapping[str, Any]) -> SuspensionReason | None:
    """
    Read the body of a suspension: a word of a few, because the trail keeps it longer than the user.

    Raises:
        BadRequest: Another member, or another word.
    """
    reason = body.get("reason")
    if set(body) - {"reason"} or (reason is not None and reason not in _REASONS):
        raise BadRequest(f"The body may hold reason: one of {', '.join(_REASONS)}.", parameter="reason")
    return None if reason is None else _REASONS[_REASONS.index(reason)]


def give_role(
    sub: str, role: Role, *, by: By, users: Users, changing: Changing, now: int, request_id: str = ""
) -> Changed:
    """
    Give a user a role: it counts within a minute, and in tokens he has already.

    Raises:
        NotFound: There is no such user.
        Conflict: He is erased.
        Forbidden: It is oneself; or the caller is no admin any more.
        StoreUnavailable: It is not known whether it was written; it may be asked again.
    """
    event = _event("user.role_changed", sub, by=by, now=now, request_id=request_id)
    return _change(sub, {"role": role}, by=by, users=users, changing=changing, event=event)


def suspend(
    sub: str,
    *,
    by: By,
    users: Users,
    changing: Changing,
    now: int,
    reason: SuspensionReason | None = None,
    request_id: str = "",
) -> Changed:
    """
    Refuse a user everywhere within a minute: his tokens, his keys, his sign-ins. His connections stay. As `give_role`.
    """
    event = _event("user.suspended", sub, by=by, now=now, request_id=request_id)
    event = replace(event, reason=reason)
    return _change(sub, {"status": "suspended"}, by=by, users=users, changing=changing, event=event)


def resume(sub: str, *, by: By, users: Users, changing: Changing, now: int, request_id: str = "") -> Changed:
    """Let a suspended user in again. As `give_role`."""
    event = _event("user.resumed", sub, by=by, now=now, request_id=request_id)
    return _change(sub, {"status": "active"}, by=by, users=users, changing=changing, event=event)


def known_user(sub: str, *, users: Users) -> User:
    """
    The user who is meant.

    Raises:
        NotFound: There is none.
    """
    user = users.get(sub) if ids.is_id(sub) else None
    if user is None:
        raise NotFound("No such user.")
    return user


def _change(
    sub: str, fields: dict[str, Any], *, by: By, users: Users, changing: Changing, event: AuditEvent
) -> Changed:
    """Change the user's record, audited with before and after (T-12)."""
    for _ in range(ROUNDS):
        before = known_user(sub, users=users)
        if before.status == "erased":
            raise Conflict("This user is erased.")
        by.require_may_change(before)
        if all(getattr(before, name) == value for name, value in fields.items()):
            return Changed(before, before)
        after = replace(before, updated_at=event.time, **fields)
        told = {name: f"{getattr(before, name)} to {value}" for name, value in fields.items()}
        audit = replace(event, details=told)
        if changing.replace(after, expected_version=before.version, admin=by.sub, audit=audit):
            return Changed(before, after)
    raise StoreUnavailable("The user's record keeps changing.", retry_after=1)


def _event(action: str, sub: str, *, by: By, now: int, request_id: str) -> AuditEvent:
    return AuditEvent(id=ids.new_id("evt"), time=now, action=action, actor=by.actor, sub=sub, request_id=request_id)
