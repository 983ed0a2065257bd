"""Confirm a link: whoever is signed in where the browser came back must be the one it was opened for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from grantkeeper import ids
from grantkeeper.errors import ConfirmationRefused, Conflict, ErrandExpired, StoreUnavailable
from grantkeeper.model import AuditEvent, Errand, Identity, Principal, User
from grantkeeper.ports import AuditTrail, Errands, Users
from grantkeeper.services.errands import errand_event, errand_of, read_members, required
from grantkeeper.services.people import client_of
from grantkeeper.services.provider_facts import following, tells

MEMBERS = ("confirmation",)
ROUNDS = 4
MOST = 20  # identities of one user: all of them fit on one page

Mismatch = Literal["other_client", "other_user", "wrong_confirmation", "suspended_user"]


@dataclass(frozen=True, slots=True)
class LinkConfirmation:
    """What a client presents: the value from the redirect. Its user's token says who is signed in there."""

    value: str = field(repr=False)

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> LinkConfirmation:
        """
        Read the JSON body.

        Raises:
            BadRequest: `confirmation` is missing or no string, or there is more. Nothing is consumed.
        """
        return cls(required(read_members(body, MEMBERS), "confirmation"))


def confirm_link(
    errand_id: str,
    confirmation: LinkConfirmation,
    *,
    principal: Principal,
    users: Users,
    errands: Errands,
    audit: AuditTrail,
    now: int,
    request_id: str,
) -> Identity:
    """
    Link what was proven, if the one who came back is the one it was opened for (C-102).

    A mismatch ends the errand for good, and the answer is the same whatever was wrong. An identity that is somebody's
    stays his: nothing is merged, and nothing says whose it is.

    Args:
        errand_id: Of the link.
        confirmation: What the redirect brought.
        principal: A user who signed in a short while ago.

    Returns:
        The linked identity; the same again for the same values.

    Raises:
        ConfirmationRefused: Not the link's user, client or confirmation. The link is over.
        ErrandExpired: Unknown, expired, over already, or nothing was proven.
        Conflict: The identity cannot be linked here, or the user has as many as he may.
    """
    client_of(principal)
    errand = errand_of(errand_id, errands=errands, now=now)
    if errand.kind != "link":
        raise ErrandExpired("This link is unknown, was used already or has expired.")
    mismatch = _mismatch(errand, confirmation, principal=principal, users=users)
    if mismatch is not None:
        refused = _refused(errand, mismatch, principal=principal, now=now, request_id=request_id)
        if not errands.end(errand.id, audit=refused):
            audit.record(refused)
        raise ConfirmationRefused("The identity was not linked. The link is over.")
    identity = errand.identity
    if errand.status not in ("proven", "done") or identity is None:
        raise ErrandExpired("This link is over.")
    return _link(errand, identity, principal=principal, users=users, errands=errands, now=now, request_id=request_id)


def _mismatch(errand: Errand, confirmation: LinkConfirmation, *, principal: Principal, users: Users) -> Mismatch | None:
    """Name what is wrong, for the audit trail only."""
    if errand.client_id != principal.client_id:
        return "other_client"
    if principal.sub != errand.sub:
        return "other_user"
    expected = errand.confirmation_hash
    if expected is None or not ids.same(ids.digest(confirmation.value), expected):
        return "wrong_confirmation"
    user = users.get(errand.sub)
    return None if user is not None and user.status == "active" else "suspended_user"


def _link(
    errand: Errand,
    identity: Identity,
    *,
    principal: Principal,
    users: Users,
    errands: Errands,
    now: int,
    request_id: str,
) -> Identity:
    """One transaction, judged anew when the profile moved under it."""
    identity = replace(identity, sub=errand.sub, linked_at=now)
    linked = errand_event(errand, "identity.linked", actor=principal.actor, now=now, request_id=request_id)
    linked = replace(linked, details={**linked.details, "identity": identity.id})
    for _ in range(ROUNDS):
        own = users.identities(errand.sub)
        mine = next((i for i in own if i.id == identity.id), None)
        if errand.status == "done":
            if mine is None:
                raise ErrandExpired("This link is over.")
            return mine
        if mine is None and len(own) >= MOST:
            raise Conflict("Unlink an identity first: there are 20 already.", reason="too_many")
        follows = _with(users.get(errand.sub), (*own, identity), now=now)
        try:
            winner = errands.link(errand, identity, user=follows, now=now, audit=linked)
        except ErrandExpired:  # a racing confirmation of the same link was first, or it is over
            errand = errand_of(errand.id, errands=errands, now=now)
            if errand.status != "done":
                raise
            continue
        if winner is None:
            continue
        if winner.sub != errand.sub:
            _over(errand, "belongs_to_another", principal=principal, errands=errands, now=now, request_id=request_id)
            raise Conflict("This identity cannot be linked here.", reason="identity_taken")
        if winner is not identity:
            _over(errand, "linked_already", principal=principal, errands=errands, now=now, request_id=request_id)
        return winner if winner is identity or mine is None else mine
    raise StoreUnavailable("The account keeps changing.", retry_after=1)


def _over(errand: Errand, reason: str, *, principal: Principal, errands: Errands, now: int, request_id: str) -> None:
    refused = _refused(errand, reason, principal=principal, now=now, request_id=request_id)
    errands.end(errand.id, audit=refused)


def _refused(errand: Errand, reason: str, *, principal: Principal, now: int, request_id: str) -> AuditEvent:
    return errand_event(
        errand, "identity.link_refused", actor=principal.actor, now=now, request_id=request_id, reason=reason
    )


def _with(user: User | None, identities: tuple[Identity, ...], *, now: int) -> User | None:
    """The profile as all of them tell it; None if that is what it is, or if one of them tells what the profile says."""
    if any(tells(identity) and identity.synced_at == 0 for identity in identities):
        return None
    follows = None if user is None else following(user, identities)
    return None if follows is None or follows == user else replace(follows, updated_at=now)
