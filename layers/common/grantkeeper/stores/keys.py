"""
Where things stand: the partition and sort keys of the three tables.

A hash stands in a key wherever the value is a stranger's, so no text of a user
can reach another key, whatever characters it holds.
"""

from __future__ import annotations

import json
import zlib

from grantkeeper import ids

Key = tuple[str, str]

COUNTED_TOGETHER = 10  # seconds whose marks stand in one partition, to be read together

# --- table Grants ---


def user(sub: str) -> Key:
    """A user's profile."""
    return f"USER#{sub}", "USER"


def identity(issuer: str, subject: str) -> Key:
    """The identity by which a user is found."""
    return f"IDENTITY#{identity_hash(issuer, subject)}", "IDENTITY"


def user_identity(sub: str, issuer: str, subject: str) -> Key:
    """The same identity in the user's own list."""
    return f"USER#{sub}", f"IDENTITY#{identity_hash(issuer, subject)}"


def identity_hash(issuer: str, subject: str) -> str:
    """One hash per (issuer, subject)."""
    return ids.pair_digest(issuer, subject)


def user_avatar(sub: str) -> Key:
    """A user's picture, as far as only we can show it."""
    return f"USER#{sub}", "AVATAR"


def account_entry(sub: str, service: str, account_id: str) -> Key:
    """The user's list entry of a connection: one per account at a service."""
    return f"USER#{sub}", f"CONN#{service}#{ids.digest(account_id)}"


def past_connection(sub: str, connection_id: str) -> Key:
    """That a connection was the user's, until its last trace is erased."""
    return f"USER#{sub}", f"PAST#{connection_id}"


def consent(sub: str, client_id: str, connection_id: str) -> Key:
    """What a user allowed a client."""
    return f"USER#{sub}", f"CONSENT#{client_id}#{connection_id}"


def withdrawn_consent(sub: str, client_id: str, connection_id: str, at: int) -> Key:
    """What a user allowed a client until then."""
    return f"USER#{sub}", f"WITHDRAWN#{client_id}#{connection_id}#{at}"


def connection(connection_id: str) -> Key:
    """The public half of a connection."""
    return f"CONNECTION#{connection_id}", "META"


def connection_avatar(connection_id: str) -> Key:
    """The picture of the account behind a connection."""
    return f"CONNECTION#{connection_id}", "AVATAR"


def grant(connection_id: str, name: str) -> Key:
    """A sealed token set."""
    return f"CONNECTION#{connection_id}", f"GRANT#{name}"


def lease(connection_id: str, name: str) -> Key:
    """The right to refresh it."""
    return f"CONNECTION#{connection_id}", f"LEASE#{name}"


def pending(connection_id: str, session_id: str) -> Key:
    """A token set nobody has confirmed yet."""
    return f"CONNECTION#{connection_id}", f"PENDING#{session_id}"


def shared_account(credentials_id: str, account_id: str, connection_id: str) -> Key:
    """Who stands under one registration and one provider account."""
    return shared_account_partition(credentials_id, account_id), f"CONNECTION#{connection_id}"


def shared_account_partition(credentials_id: str, account_id: str) -> str:
    """The partition of all connections that share a provider-side grant."""
    return f"ACCOUNT#{ids.digest(json.dumps([credentials_id, account_id]))}"


def client(client_id: str) -> Key:
    """An application of the team."""
    return f"CLIENT#{client_id}", "CLIENT"


def origin(origin_text: str, client_id: str) -> Key:
    """An origin a client may call from."""
    return f"ORIGIN#{origin_text}", f"CLIENT#{client_id}"


def user_api_key(sub: str, key_id: str) -> Key:
    """A user's own key in his list."""
    return f"USER#{sub}", f"KEY#{key_id}"


def ended_api_key(sub: str, key_id: str) -> Key:
    """That a revoked key was a user's: it is in his list no more, and whoever erases him finds it by this."""
    return f"USER#{sub}", f"ENDEDKEY#{key_id}"


def api_key(key_id: str) -> Key:
    """An API key by its public id."""
    return f"APIKEY#{key_id}", "APIKEY"


def provider(provider_id: str) -> Key:
    """One provider's part of the deployment's records."""
    return "PROVIDERS", f"PROVIDER#{provider_id}"


def breaker(provider_id: str) -> Key:
    """A provider's circuit breaker."""
    return f"BREAKER#{provider_id}", "BREAKER"


def due_shards() -> Key:
    """How many shards of the due index may hold rows."""
    return "CONFIG", "DUE_SHARDS"


def rotation() -> Key:
    """The rotation of the branch keys."""
    return "CONFIG", "ROTATION"


def counter(day: str, shard: int) -> Key:
    """Counters of a day, or of all days (`total`), in one of a few shards."""
    return f"COUNTER#{day}#{shard}", "COUNTER"


def counted(second: int, first: str) -> Key:
    """The mark of what one delivery held of a second (epoch) and is counted; `first`: the hash of its first event."""
    return f"BATCH#{second // COUNTED_TOGETHER}", f"{second:012d}#{first}"


def reconciliation() -> Key:
    """How far the recount of the counters is, and what the last one found."""
    return "COUNTER#reconciliation", "STATE"


# --- table Requests ---


def authorization_request(state_hash: str) -> Key:
    """A trip to a consent page."""
    return f"AR#{state_hash}", "AR"


def code(code_hash: str) -> Key:
    """An authorization code of ours."""
    return f"CODE#{code_hash}", "CODE"


def connect_session(session_id: str) -> Key:
    """A permission to connect."""
    return f"CS#{session_id}", "CS"


def ticket(ticket_hash: str) -> Key:
    """From the ticket in a connect URL to its session."""
    return f"TICKET#{ticket_hash}", "TICKET"


def errand(errand_id: str) -> Key:
    """What a client sends one user's browser to us for."""
    return f"ERRAND#{errand_id}", "ERRAND"


def session(family: str) -> Key:
    """A family of refresh tokens."""
    return f"SESSION#{family}", "SESSION"


def user_session(sub: str, sid: str) -> Key:
    """The same in the user's list, under the name tokens show."""
    return f"USER#{sub}", f"SESSION#{sid}"


def rate_window(key: str, start: int) -> Key:
    """One window of a rate limit."""
    return f"RL#{ids.digest(key)}", f"{start}"


# --- shards ---


def shard_of(identifier: str, shards: int) -> int:
    """The same shard for the same id, on every machine."""
    return zlib.crc32(identifier.encode()) % shards
