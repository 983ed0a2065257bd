"""Invented records, and threads that start at one signal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from grantkeeper.model import (
    ApiKey,
    AuditEvent,
    AuthorizationCode,
    AuthorizationRequest,
    Client,
    Connection,
    ConnectSession,
    Grant,
    Identity,
    Lease,
    Pending,
    Profile,
    Session,
    User,
)

NOON = 1_795_262_400  # 2026-11-21 12:00:00 UTC
DAY = "2026-11-21"
_events = count(1)


def event(action: str = "test.happened", **fields: Any) -> AuditEvent:
    """An audit entry with an id of its own."""
    return AuditEvent(
        **{"id": f"evt_{next(_events):06d}", "time": NOON, "action": action, "actor": "user:usr_1", **fields}
    )


def authorization_request(**fields: Any) -> AuthorizationRequest:
    return AuthorizationRequest(**{
        "state_hash": "state-hash",
        "purpose": "signin",
        "provider": "google",
        "credentials_id": "registration-1",
        "redirect_uri": "https://id.example.com/oauth2/callback/google",
        "browser_hash": "browser-hash",
        "sealed": b"\x00sealed\xff",
        "scopes": ("openid", "email"),
        "created_at": NOON,
        "expires_at": NOON + 600,
        "variables": (("tenant", "common"), ("region", "eu")),
        "client_id": "cli_1",
        "client_state": "",
        "max_age": 0,
        **fields,
    })  # fmt: skip


def authorization_code(**fields: Any) -> AuthorizationCode:
    return AuthorizationCode(**{
        "code_hash": "code-hash",
        "client_id": "cli_1",
        "redirect_uri": "https://app.example.com/callback",
        "code_challenge": "challenge",
        "sub": "usr_1",
        "scopes": ("openid",),
        "provider": "google",
        "expires_at": NOON + 60,
        "family": "fam_1",
        **fields,
    })  # fmt: skip


def session(**fields: Any) -> Session:
    return Session(**{
        "family": "fam_1",
        "sid": "sid_1",
        "sub": "usr_1",
        "client_id": "cli_1",
        "scopes": ("openid",),
        "provider": "google",
        "created_at": NOON,
        "expires_at": NOON + 30 * 86400,
        "idle_expires_at": NOON + 7 * 86400,
        "current_hash": "hash-1",
        **fields,
    })  # fmt: skip


def user(sub: str = "usr_1", **fields: Any) -> User:
    return User(**{"sub": sub, "created_at": NOON, "updated_at": NOON, "email": "Ada@Example.com", **fields})


def identity(sub: str = "usr_1", **fields: Any) -> Identity:
    return Identity(**{
        "issuer": "https://accounts.google.com",
        "subject": "1234567890",
        "sub": sub,
        "provider": "google",
        "linked_at": NOON,
        **fields,
    })  # fmt: skip


def client(client_id: str = "cli_1", **fields: Any) -> Client:
    return Client(**{
        "client_id": client_id,
        "client_name": "An app",
        "redirect_uris": ("https://app.example.com/callback",),
        "created_at": NOON,
        **fields,
    })  # fmt: skip


def api_key(key_id: str = "key_1", **fields: Any) -> ApiKey:
    return ApiKey(**{
        "key_id": key_id,
        "secret_hash": "secret-hash",
        "scopes": ("connections:token",),
        "created_at": NOON,
        "expires_at": NOON + 86400,
        "client_id": "cli_1",
        **fields,
    })  # fmt: skip


def connect_session(**fields: Any) -> ConnectSession:
    return ConnectSession(**{
        "id": "cs_1",
        "client_id": "cli_1",
        "sub": "usr_1",
        "service": "gmail",
        "provider": "google",
        "scopes": ("mail.read",),
        "redirect_uri": "https://app.example.com/connected",
        "ticket_hash": "ticket-hash",
        "created_at": NOON,
        "expires_at": NOON + 600,
        **fields,
    })  # fmt: skip


def connection(connection_id: str = "con_1", **fields: Any) -> Connection:
    return Connection(**{
        "id": connection_id,
        "sub": "usr_1",
        "client_id": "cli_1",
        "provider": "google",
        "service": "gmail",
        "account_id": "account-1",
        "credentials_id": "registration-1",
        "scopes": ("mail.read",),
        "requested_scopes": ("mail.read", "mail.send"),
        "status": "pending",
        "created_at": NOON,
        "updated_at": NOON,
        "profile": Profile("account-1", email="ada@example.com", email_verified=True),
        **fields,
    })  # fmt: skip


def grant(connection_id: str = "con_1", **fields: Any) -> Grant:
    return Grant(**{
        "connection_id": connection_id,
        "name": "main",
        "sub": "usr_1",
        "provider": "google",
        "service": "gmail",
        "credentials_id": "registration-1",
        "grant_id": "grant_1",
        "n": 1,
        "generation": 0,
        "status": "active",
        "sealed": b"\x01sealed set\xfe",
        "scopes": ("mail.read",),
        "refreshed_at": NOON,
        "write_id": "w_0",
        "expires_at": NOON + 3600,
        "due_at": NOON + 3000,
        **fields,
    })  # fmt: skip


def lease(**fields: Any) -> Lease:
    return Lease(**{
        "connection_id": "con_1",
        "name": "main",
        "generation": 1,
        "owner": "run_1",
        "until": NOON + 30,
        "intent": "hash-of-refresh-token",
        "attempt": 1,
        "write_id": "w_lease_1",
        "taken_at": NOON,
        **fields,
    })  # fmt: skip


def authorized(world: Any, *, connection_id: str = "con_1", session_id: str = "cs_1", **fields: Any) -> Pending:
    """Open a connect session and bring it to `authorized`: its tokens wait for their confirmation."""
    opened = connect_session(id=session_id, ticket_hash=f"ticket-of-{session_id}")
    world.connect_sessions.put(opened, audit=event())
    waiting = connection(connection_id, **fields.pop("connection", {}))
    names = fields.pop("names", ("main",))
    pending = Pending(
        session_id=session_id,
        connection=waiting,
        grants=tuple(grant(connection_id, name=name, sealed=f"{session_id} {name}".encode()) for name in names),
        expires_at=NOON + 600,
        **fields,
    )
    moved = connect_session(
        id=session_id, status="authorized", confirmation_hash="confirmation-hash", pending_connection_id=connection_id
    )
    world.connections.authorize(pending, moved, now=NOON, audit=event("connection.pending"))
    return pending


def connected(world: Any, connection_id: str = "con_1", **fields: Any) -> Connection:
    """A connection that was confirmed."""
    pending = authorized(world, connection_id=connection_id, session_id=f"cs_of_{connection_id}", **fields)
    return world.connections.confirm(pending, consent_client_id="cli_1", now=NOON, audit=event("connection.activated"))


def race(contenders: int, contend: Callable[[int], Any]) -> Sequence[Any]:
    """Run a function in many threads from one signal; returns what each returned or raised."""
    barrier = threading.Barrier(contenders)
    outcomes: list[Any] = [None] * contenders

    def run(number: int) -> None:
        barrier.wait(10)
        try:
            outcomes[number] = contend(number)
        except Exception as error:  # noqa: BLE001 - an outcome like any other
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(contenders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return outcomes
