"""Users and the identities that name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent, Identity, User
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.identity_item import link_writes, replacing_user, user_item
from grantkeeper.stores.items import from_item, to_item
from grantkeeper.stores.one_time import NEW
from grantkeeper.stores.retrying import ConditionFailed, TransactionFailed
from grantkeeper.stores.table import Table, is_own, key_item, new_write_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from types_boto3_dynamodb import DynamoDBClient


class DynamoUsers:
    """`ports.Users` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str, audit_table: str) -> None:
        self._table = Table(client, grants_table)
        self._audit = Table(client, audit_table)

    def get(self, sub: str) -> User | None:
        """Consistent."""
        item = self._table.get(keys.user(sub))
        return None if item is None else from_item(User, item)

    def find(self, issuer: str, subject: str) -> Identity | None:
        """Look an identity up by (issuer, subject); consistent."""
        item = self._table.get(keys.identity(issuer, subject))
        return None if item is None else from_item(Identity, item)

    def provision(self, user: User, identity: Identity, *, audit: AuditEvent) -> Identity:
        """
        Create a user with a first identity, in one transaction.

        The identity's item is the uniqueness: of two first sign-ins that race one creates the user, and the other is
        handed the identity that won.
        """
        own = self._table.to_put(user_item(user, new_write_id()), condition=NEW)
        try:
            self._table.transact([*link_writes(self._table, identity), own, *audit_writes(self._audit, audit)])
        except TransactionFailed as failure:
            winner = failure.item(0)
            if winner is None:
                raise StoreUnavailable("The user exists already.") from None
            return from_item(Identity, winner)
        return identity

    def unlink(self, identity: Identity, *, kept: Identity, user: User | None, audit: AuditEvent) -> bool:
        """
        Remove an identity, while another one that its user can sign in with is still linked.

        Of two that race for the last two one is refused: each stands on the other's.
        """
        by_issuer = keys.identity(identity.issuer, identity.subject)
        entry = keys.user_identity(identity.sub, identity.issuer, identity.subject)
        other = keys.user_identity(kept.sub, kept.issuer, kept.subject)
        linked = self._table.request(condition="attribute_exists(#pk)", values=None)
        writes = [
            self._table.to_delete(by_issuer, condition="#sub = :sub", values={":sub": identity.sub}),
            self._table.to_delete(entry, condition="attribute_exists(#pk)"),
            {"ConditionCheck": {"Key": key_item(other), **linked}},
        ]
        if user is not None:
            writes.append(replacing_user(self._table, user, new_write_id()))
        try:
            self._table.transact([*writes, *audit_writes(self._audit, audit)])
        except TransactionFailed:
            return False
        return True

    def update(self, user: User, *, expected_version: int, audit: AuditEvent) -> bool:
        """Replace the profile if its version is still the expected one; it is stored as the version after."""
        write_id = new_write_id()
        put = replacing_user(self._table, user, write_id, expected_version=expected_version)
        try:
            self._table.transact([put, *audit_writes(self._audit, audit)])
        except TransactionFailed as failure:
            return is_own(failure.item(0), write_id)
        return True

    def sync(self, identity: Identity, *, user: User | None, audit: AuditEvent | None) -> bool:
        """
        Replace the identity's entry in its user's list, and with it the profile that follows from it.

        The item by which an identity is found says whose it is and no more, so it is left alone.
        """
        linked = "attribute_exists(#pk)"
        key = keys.user_identity(identity.sub, identity.issuer, identity.subject)
        if user is None and audit is None:  # of two that race the one with news is not undone by the one without
            try:
                self._table.update(key, "SET #synced_at = :at", condition=linked, values={":at": identity.synced_at})
            except ConditionFailed:
                return False
            return True
        writes, write_id = [self._table.to_put(key_item(key) | to_item(identity), condition=linked)], new_write_id()
        if user is not None:
            writes.append(replacing_user(self._table, user, write_id))
        if audit is not None:
            writes += audit_writes(self._audit, audit)
        try:
            self._table.transact(writes)
        except TransactionFailed as failure:
            return user is not None and is_own(failure.item(1), write_id)
        return True

    def identities(self, sub: str) -> Sequence[Identity]:
        """All identities of a user, oldest first; consistent."""
        items = self._table.query(f"USER#{sub}", prefix="IDENTITY#")
        return sorted((from_item(Identity, item) for item in items), key=lambda i: (i.linked_at, i.issuer, i.subject))
