"""Errands: one item each under the hash of their ticket, moved forward one way only, with what they bring about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from grantkeeper.errors import ErrandExpired, StoreUnavailable
from grantkeeper.model import AuditEvent, Consent, Errand, Identity, User
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.consents import consent_put
from grantkeeper.stores.identity_item import link_writes, replacing_user
from grantkeeper.stores.items import Item, from_item, to_item
from grantkeeper.stores.one_time import NEW, ttl
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.table import Table, is_own, key_item, new_write_id

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class DynamoErrands:
    """`ports.Errands` in the table Requests; what they bring about stands in Grants."""

    def __init__(self, client: DynamoDBClient, requests_table: str, grants_table: str, audit_table: str) -> None:
        self._table = Table(client, requests_table)
        self._grants = Table(client, grants_table)
        self._audit = Table(client, audit_table)

    def put(self, errand: Errand, *, audit: AuditEvent) -> None:
        """Store an errand that is open."""
        item = key_item(keys.errand(errand.id)) | to_item(errand) | ttl(errand.expires_at)
        try:
            self._table.transact([self._table.to_put(item, condition=NEW), *audit_writes(self._audit, audit)])
        except TransactionFailed:
            raise StoreUnavailable("The errand exists already.") from None

    def get(self, errand_id: str, *, now: int) -> Errand:
        """
        Consistent, whatever its status.

        Raises:
            ErrandExpired: Unknown or past `expires_at`.
        """
        item = self._table.get(keys.errand(errand_id))
        errand = None if item is None else _read(item)
        if errand is None or errand.expires_at <= now:
            raise _expired()
        return errand

    def prove(self, errand: Errand, *, now: int, audit: AuditEvent) -> None:
        """
        Move open → proven, with the browser, and for a link the identity and the hash of its confirmation.

        Raises:
            ErrandExpired: It is not open any more.
        """
        write_id = new_write_id()
        prove = self._table.to_update(
            keys.errand(errand.id),
            "SET #status = :proven, #browser_hash = :browser, #identity = :identity,"
            " #confirmation_hash = :confirmation, #write_id = :write_id",
            condition="#status = :open AND #expires_at > :now",
            values={
                ":proven": "proven",
                ":open": "open",
                ":browser": errand.browser_hash,
                ":identity": errand.identity,
                ":confirmation": errand.confirmation_hash,
                ":now": now,
                ":write_id": write_id,
            },
        )
        try:
            self._table.transact([prove, *audit_writes(self._audit, audit)])
        except TransactionFailed as failure:
            if not is_own(failure.item(0), write_id):
                raise _expired() from None

    def end(self, errand_id: str, *, audit: AuditEvent) -> bool:
        """Move open|proven → ended; False if it was over already."""
        write_id = new_write_id()
        end = self._table.to_update(
            keys.errand(errand_id),
            "SET #status = :ended, #write_id = :write_id REMOVE #identity",
            condition="#status IN (:open, :proven)",
            values={":ended": "ended", ":open": "open", ":proven": "proven", ":write_id": write_id},
        )
        try:
            self._table.transact([end, *audit_writes(self._audit, audit)])
        except TransactionFailed as failure:
            return is_own(failure.item(0), write_id)
        return True

    def link(
        self, errand: Errand, identity: Identity, *, user: User | None, now: int, audit: AuditEvent
    ) -> Identity | None:
        """
        Add the identity to the errand's user and finish the errand, in one transaction.

        The identity's item is the uniqueness: whoever holds it already keeps it. None: the user was changed meanwhile.

        Raises:
            ErrandExpired: It is not proven any more.
        """
        write_id = new_write_id()
        beside = self._alive(identity.sub) if user is None else replacing_user(self._grants, user, write_id)
        writes = [self._done(errand, write_id, now=now), *link_writes(self._grants, identity), beside]
        try:
            self._table.transact([*writes, *audit_writes(self._audit, audit)])
        except TransactionFailed as failure:
            if is_own(failure.item(0), write_id):
                return identity
            if failure.failed(0):
                raise _expired() from None
            winner = failure.item(1)
            return None if winner is None else from_item(Identity, winner)
        return identity

    def allow(self, errand: Errand, consent: Consent, *, now: int, audit: AuditEvent) -> None:
        """
        Keep a consent and finish the errand, in one transaction.

        Raises:
            ErrandExpired: It is not proven any more.
        """
        write_id = new_write_id()
        writes = [self._done(errand, write_id, now=now), consent_put(self._grants, consent)]
        try:
            self._table.transact([*writes, *audit_writes(self._audit, audit)])
        except TransactionFailed as failure:
            if not is_own(failure.item(0), write_id):
                raise _expired() from None

    def _done(self, errand: Errand, write_id: str, *, now: int) -> Item:
        return self._table.to_update(
            keys.errand(errand.id),
            "SET #status = :done, #write_id = :write_id",
            condition="#status = :proven AND #expires_at > :now",
            values={":done": "done", ":proven": "proven", ":now": now, ":write_id": write_id},
        )

    def _alive(self, sub: str) -> Item:
        """That the user is there; what a profile's replacement says by its version."""
        request = self._grants.request(condition="attribute_exists(#pk)", values=None)
        return {"ConditionCheck": {"Key": key_item(keys.user(sub)), **request}}


def _read(item: Item) -> Errand:
    errand = from_item(Errand, {name: value for name, value in item.items() if name != "identity"})
    identity = item.get("identity", {}).get("M")
    return errand if identity is None else replace(errand, identity=from_item(Identity, identity))


def _expired() -> ErrandExpired:
    return ErrandExpired("This link is unknown, was used already or has expired.")
