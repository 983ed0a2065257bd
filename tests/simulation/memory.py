"""
The tables in memory, with the atomicity of the real stores: each method is one conditional write or one transaction.

`test_stores_agree.py` holds them to the real stores on the in-memory DynamoDB, and whole runs are repeated there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from grantkeeper.errors import Conflict, ConnectSessionExpired
from grantkeeper.model import (
    CONFIRM_SLACK,
    AuditEvent,
    Avatar,
    Connection,
    ConnectSession,
    DueGrant,
    Grant,
    Lease,
    LeaseHeld,
    Pending,
    Profile,
    Reason,
    Saved,
)
from grantkeeper.stores.grants import ASK_AGAIN, REVOKE_AGAIN
from grantkeeper.stores.revocation import FOLLOW_UP

Key = tuple[str, str]


class Tables:
    """What is stored; frozen records, so whoever has read one keeps what was read."""

    def __init__(self) -> None:
        self.rows: dict[Key, Grant] = {}
        self.leases: dict[Key, Lease] = {}
        self.metas: dict[str, Connection] = {}
        self.pendings: dict[Key, Pending] = {}
        self.sessions: dict[str, ConnectSession] = {}
        self.accounts: dict[tuple[str, str, str], str] = {}
        self.shared: dict[tuple[str, str], dict[str, None]] = {}
        self.expected: dict[tuple[str, str], dict[str, int]] = {}  # unconfirmed, and until when they count
        self.put_off: dict[Key, int] = {}  # unconfirmed tokens whose discarding failed
        self.consents: dict[tuple[str, str, str], None] = {}
        self.audit: dict[str, AuditEvent] = {}
        self.grants = MemoryGrants(self)
        self.connections = MemoryConnections(self)

    def add(self, connection: Connection, grants: Sequence[Grant], *, client_id: str) -> None:
        """A connection as a finished connect leaves it."""
        self.metas[connection.id] = connection
        for grant in grants:
            self.rows[(connection.id, grant.name)] = grant
        self.accounts[(connection.sub, connection.service, connection.account_id)] = connection.id
        self.shared.setdefault((connection.credentials_id, connection.account_id), {})[connection.id] = None
        self.consents[(connection.sub, client_id, connection.id)] = None

    def add_pending(self, session: ConnectSession, pending: Pending) -> None:
        """Unconfirmed tokens as the callback leaves them."""
        self.sessions[session.id] = session
        self.pendings[(pending.connection.id, pending.session_id)] = pending
        self.expected.setdefault(account_of(pending.connection), {})[pending.connection.id] = pending.over_at

    def discard_due(self, key: Key) -> int:
        """When unconfirmed tokens are looked at."""
        return self.put_off.get(key, self.pendings[key].over_at)

    def add_lease(self, lease: Lease) -> None:
        """A lease somebody left behind."""
        self.leases[(lease.connection_id, lease.name)] = lease


class MemoryGrants:
    """`ports.Grants`."""

    def __init__(self, tables: Tables) -> None:
        self._t = tables

    def get(self, connection_id: str, name: str = "main") -> Grant | None:
        return self._t.rows.get((connection_id, name))

    def names(self, connection_id: str) -> Sequence[str]:
        return sorted(name for cid, name in self._t.rows if cid == connection_id)

    def take_lease(self, lease: Lease) -> LeaseHeld | None:
        key = (lease.connection_id, lease.name)
        held = self._t.leases.get(key)
        if (
            held is None
            or held.generation < lease.generation
            or (held.generation == lease.generation and held.intent is None)
        ):
            self._t.leases[key] = lease
            return None
        return None if self.is_own(held.write_id, lease.write_id) else LeaseHeld(held)

    def take_over(self, lease: Lease, *, orphan: Lease) -> bool:
        key = (lease.connection_id, lease.name)
        held = self._t.leases.get(key)
        if held is not None and held.write_id == orphan.write_id:
            self._t.leases[key] = lease
            return True
        return held is not None and self.is_own(held.write_id, lease.write_id)

    def release_lease(self, lease: Lease) -> None:
        key = (lease.connection_id, lease.name)
        held = self._t.leases.get(key)
        if held is not None and held.write_id == lease.write_id:
            self._t.leases[key] = replace(held, intent=None)

    def save(self, successor: Grant) -> Saved:
        key = (successor.connection_id, successor.name)
        row = self._t.rows.get(key)
        if row is None:
            return Saved("revoked")
        if row.generation == successor.generation - 1 and row.status != "revoked":
            self._t.rows[key] = successor
            if row.status == "needs_reauth":
                self._mirror_recovery(successor)
            return Saved("saved", successor)
        if row.status == "revoked":
            return Saved("revoked", row)
        if self.is_own(row.write_id, successor.write_id):
            self._mirror_recovery(successor)
            return Saved("saved", row)
        return Saved("moved", row)

    def keep_for_revocation(self, successor: Grant) -> bool:
        key = (successor.connection_id, successor.name)
        row = self._t.rows.get(key)
        if row is not None and row.generation == successor.generation - 1 and row.status == "revoked":
            due_at = successor.refreshed_at + REVOKE_AGAIN
            self._t.rows[key] = replace(successor, status="revoked", reason="revoked_by_user", due_at=due_at)
            return True
        return row is not None and self.is_own(row.write_id, successor.write_id) and row.status == "revoked"

    def reseal(self, grant: Grant, *, sealed: bytes) -> bool:
        key = (grant.connection_id, grant.name)
        row = self._t.rows.get(key)
        if row is None or not row.sealed:
            return False
        if (row.generation, row.n, row.write_id) != (grant.generation, grant.n, grant.write_id):
            return row.sealed == sealed
        self._t.rows[key] = replace(row, sealed=sealed)
        return True

    def strike(self, grant: Grant, *, now: int) -> Grant | None:
        key = (grant.connection_id, grant.name)
        row = self._t.rows.get(key)
        if row is None or row.generation != grant.generation or row.status != "active":
            return None
        counted = grant.strikes if grant.strike_generation == grant.generation else 0
        stored = row.strikes if row.strike_generation == row.generation else 0
        if stored == counted:
            row = self._t.rows[key] = replace(
                row, strikes=counted + 1, strike_generation=row.generation, strike_at=now, due_at=now + ASK_AGAIN
            )
        return row

    def mark_needs_reauth(self, grant: Grant, reason: Reason, *, now: int, audit: AuditEvent) -> bool:
        key = (grant.connection_id, grant.name)
        row, meta = self._t.rows.get(key), self._t.metas.get(grant.connection_id)
        if row is None or row.generation != grant.generation or row.status != "active":
            return False
        if meta is None or meta.status == "revoked":
            return False
        self._t.rows[key] = replace(row, status="needs_reauth", reason=reason, due_at=None)
        self._t.metas[meta.id] = replace(meta, status="needs_reauth", reason=reason, updated_at=now)
        self._t.audit[audit.id] = audit
        return True

    def reject(self, grant: Grant) -> bool:
        key = (grant.connection_id, grant.name)
        row = self._t.rows.get(key)
        if row is None or row.generation != grant.generation or row.status == "revoked":
            return False
        if row.rejected_generation != grant.generation:
            self._t.rows[key] = replace(row, rejected_generation=grant.generation)
        return True

    def postpone(
        self,
        connection_id: str,
        name: str,
        *,
        generation: int,
        due_at: int | None,
        revoked: bool = False,
        failed: str | None = None,  # only the stream reads it
    ) -> None:
        key = (connection_id, name)
        row = self._t.rows.get(key)
        if row is None or row.generation != generation or (row.status == "revoked") is not revoked:
            return
        if row.due_at != due_at:
            self._t.rows[key] = replace(row, due_at=due_at)

    def due(self, shard: int, *, before: int, limit: int, without: Collection[str] = frozenset()) -> Sequence[DueGrant]:
        if shard:
            return []
        found = [
            DueGrant(row.connection_id, row.name, row.provider, row.generation, row.due_at)
            for row in self._t.rows.values()
            if row.due_at is not None and row.due_at <= before and row.provider not in without
        ]
        found += [
            DueGrant(cid, session_id, pending.connection.provider, 0, self._t.discard_due((cid, session_id)))
            for (cid, session_id), pending in self._t.pendings.items()
            if self._t.discard_due((cid, session_id)) <= before and pending.connection.provider not in without
        ]
        found.sort(key=lambda each: (each.due_at, each.connection_id, each.name))
        return found[:limit]

    @staticmethod
    def is_own(stored: str, write_id: str) -> bool:
        """A write knows itself again."""
        return stored == write_id

    def _mirror_recovery(self, saved: Grant) -> None:
        meta, dead = self._t.metas.get(saved.connection_id), "needs_reauth"
        if any(cid == saved.connection_id and row.status == dead for (cid, _), row in self._t.rows.items()):
            return
        if meta is not None and meta.status == dead:
            self._t.metas[meta.id] = replace(meta, status="active", reason=None, updated_at=saved.refreshed_at)


def account_of(connection: Connection) -> tuple[str, str]:
    """What the radius of a revocation goes by."""
    return connection.credentials_id, connection.account_id


class MemoryConnections:
    """`ports.Connections`, as far as the simulated services go."""

    def __init__(self, tables: Tables) -> None:
        self._t = tables

    def get(self, connection_id: str) -> Connection | None:
        return self._t.metas.get(connection_id)

    def sharing(self, credentials_id: str, account_id: str, *, now: int) -> Sequence[str]:
        expected = self._t.expected.get((credentials_id, account_id), {})
        live = self._t.shared.get((credentials_id, account_id), {})
        return sorted({*live, *(cid for cid, until in expected.items() if until > now)})

    def has_consent(self, sub: str, client_id: str, connection_id: str) -> bool:
        return (sub, client_id, connection_id) in self._t.consents

    def pending(self, connection_id: str, session_id: str, *, now: int) -> Pending | None:
        pending = self._t.pendings.get((connection_id, session_id))
        return pending if pending is not None and pending.expires_at > now else None

    def unconfirmed(self, connection_id: str) -> Sequence[Pending]:
        return [pending for (cid, _), pending in sorted(self._t.pendings.items()) if cid == connection_id]

    def abandon(self, connection_id: str, session_id: str, *, now: int) -> bool:
        pending = self._t.pendings.get((connection_id, session_id))
        if pending is None:
            return False
        self._t.pendings[(connection_id, session_id)] = replace(pending, expires_at=now - CONFIRM_SLACK)
        self._t.put_off.pop((connection_id, session_id), None)
        expected = self._t.expected.get(account_of(pending.connection), {})
        if expected.get(connection_id, 0) > now:
            expected[connection_id] = now
        return True

    def postpone_discard(self, connection_id: str, session_id: str, *, due_at: int) -> None:
        if (connection_id, session_id) in self._t.pendings:
            self._t.put_off[(connection_id, session_id)] = due_at

    def discard(self, connection_id: str, session_id: str, *, audit: AuditEvent) -> Pending | None:
        pending = self._t.pendings.pop((connection_id, session_id), None)
        if pending is not None:
            self._t.audit[audit.id] = audit
            account = account_of(pending.connection)
            expected = self._t.expected.get(account, {})
            if (
                connection_id not in self._t.shared.get(account, {})
                and expected.get(connection_id, 0) <= pending.over_at
            ):
                expected.pop(connection_id, None)
        return pending

    def confirm(self, pending: Pending, *, consent_client_id: str, now: int, audit: AuditEvent) -> Connection:
        t, cid = self._t, pending.connection.id
        waiting = t.pendings.get((cid, pending.session_id))
        before = t.metas.get(cid)
        session = t.sessions.get(pending.session_id)
        if waiting is None:
            if session is None or session.status != "confirmed" or before is None:
                raise ConnectSessionExpired("The connect session is over.")
            return before
        if waiting.expires_at <= now:
            raise ConnectSessionExpired("The connection was not confirmed in time.")
        if before is not None and before.status == "revoked":
            raise Conflict("The connection was disconnected meanwhile.")
        if session is None or session.status != "authorized":
            raise ConnectSessionExpired("The connect session is over.")
        account = (waiting.connection.sub, waiting.connection.service, waiting.connection.account_id)
        if t.accounts.get(account, cid) != cid:
            raise Conflict("This account is connected already.")
        active = replace(waiting.connection, status="active", reason=None, updated_at=now)
        if before is not None:
            active = replace(
                active,
                client_id=before.client_id,
                created_at=before.created_at,
                label=before.label or active.label,
                used_day=before.used_day,
            )
        del t.pendings[(cid, pending.session_id)]
        t.sessions[session.id] = replace(session, status="confirmed")
        t.metas[cid] = active
        t.accounts[account] = cid
        for grant in waiting.grants:
            old = t.rows.get((cid, grant.name))
            t.rows[(cid, grant.name)] = replace(
                grant,
                generation=1 if old is None else old.generation + 1,
                status="active",
                reason=None,
                write_id=f"{grant.write_id}c",
            )
        t.consents[(active.sub, consent_client_id, cid)] = None
        t.shared.setdefault(account_of(active), {})[cid] = None
        t.expected.get(account_of(active), {}).pop(cid, None)
        t.audit[audit.id] = audit
        return active

    def disconnect(self, connection_id: str, *, now: int, audit: AuditEvent) -> Connection | None:
        t = self._t
        meta = t.metas.get(connection_id)
        if meta is None or meta.status == "revoked":
            return meta
        revoked = replace(meta, status="revoked", reason="revoked_by_user", updated_at=now)
        t.metas[connection_id] = revoked
        for key, row in list(t.rows.items()):
            if key[0] == connection_id:
                t.rows[key] = replace(row, status="revoked", reason="revoked_by_user", due_at=now + FOLLOW_UP)
        if t.accounts.get((meta.sub, meta.service, meta.account_id)) == connection_id:
            del t.accounts[(meta.sub, meta.service, meta.account_id)]
        t.shared.get(account_of(meta), {}).pop(connection_id, None)
        t.expected.get(account_of(meta), {}).pop(connection_id, None)
        t.audit[audit.id] = audit
        return revoked

    def unerased(self, connection_id: str) -> Sequence[int]:
        rows = [self._t.rows[key] for key in sorted(self._t.rows) if key[0] == connection_id]
        return [row.generation for row in rows if row.status == "revoked" and row.due_at is not None]

    def erase(self, connection_id: str, *, audit: AuditEvent, write_ids: Collection[str] | None = None) -> None:
        t, erased = self._t, False
        for key, row in list(t.rows.items()):
            if key[0] != connection_id or row.status != "revoked" or not row.sealed:
                continue
            if write_ids is None or row.write_id in write_ids:
                t.rows[key] = replace(row, sealed=b"", due_at=None, previous_refresh_token_hash=None)
                erased = True
        if erased:
            t.audit[audit.id] = audit

    def update_profile(
        self, connection_id: str, profile: Profile, *, now: int, audit: AuditEvent, avatar: Avatar | None = None
    ) -> bool:
        return self._change(connection_id, audit, profile=profile, updated_at=now)

    def update_scopes(self, connection_id: str, scopes: Sequence[str], *, now: int, audit: AuditEvent) -> bool:
        return self._change(connection_id, audit, scopes=tuple(scopes), updated_at=now)

    def update_forecast(self, connection_id: str, reconnect_by: int | None, *, now: int, audit: AuditEvent) -> bool:
        return self._change(connection_id, audit, reconnect_by=reconnect_by, updated_at=now)

    def update_metadata(self, connection_id: str, metadata: Mapping[str, Any], *, now: int, audit: AuditEvent) -> bool:
        return self._change(connection_id, audit, metadata=metadata, updated_at=now)

    def touch(self, connection_id: str, *, day: str) -> None:
        meta = self._t.metas.get(connection_id)
        if meta is not None and meta.used_day != day:
            self._t.metas[connection_id] = replace(meta, used_day=day)

    def _change(self, connection_id: str, audit: AuditEvent, **changes: object) -> bool:
        meta = self._t.metas.get(connection_id)
        if meta is None or meta.status == "revoked":
            return False
        self._t.metas[connection_id] = replace(meta, **changes)  # type: ignore[arg-type]
        self._t.audit[audit.id] = audit
        return True
