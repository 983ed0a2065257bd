"""
The bodies of the administration's API as types, beside those of `edge.schemas`.

No function loads this module: it is imported for types only, and by `local.openapi`. Times are epoch seconds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from pydantic import Field

from grantkeeper.edge.schemas import Consent, Id, Identity, ListedConnection, OwnApiKey, Time
from grantkeeper.model import Role
from grantkeeper.services.change_user import SuspensionReason

UserStatus = Literal["active", "suspended", "erased"]


class AdminUser(TypedDict):
    """A user as operators see him."""

    sub: Id
    email: str | None
    email_verified: bool
    name: str | None
    role: Role
    status: UserStatus
    created_at: Time
    updated_at: Time


class AdminUserList(TypedDict):
    """One page, by e-mail address; it may be short, and `cursor` asks for the next, null on the last."""

    users: list[AdminUser]
    cursor: str | None


class AdminSession(TypedDict):
    """Where a user is signed in; the family of its refresh tokens is told to nobody."""

    sid: Id
    client_id: str
    provider: str
    created_at: Time
    last_used_at: Time
    expires_at: Time


class AdminUserDetail(AdminUser):
    """A user and what is his: of long lists the first 25, and how many there are in `counts`."""

    avatar_url: str | None
    locale: str | None
    overrides: Annotated[dict[str, str], Field(description="What he set himself")]
    identities: list[Identity]
    sessions: list[AdminSession]
    connections: list[ListedConnection]
    consents: list[Consent]
    api_keys: list[OwnApiKey]
    counts: Annotated[dict[str, int], Field(description="How many of each kind there are")]


class RoleChange(TypedDict):
    """The role a user shall have."""

    role: Role


class Suspension(TypedDict):
    """Why; a word of a few, because the trail keeps it longer than the user."""

    reason: NotRequired[SuspensionReason | None]


ADMIN_PARAMETERS: dict[str, tuple[Any, str]] = {
    "q": (Annotated[str, Field(max_length=254)], "How the e-mail address begins; or the whole id of a user"),
    "role": (Role, "Only with this role"),
    "status:user": (UserStatus, "Only with this status"),
}
