"""Who calls by an API key: a client, the operator, or a user by a key of his own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from grantkeeper import ids
from grantkeeper.api_key_format import ApiKeyText, parse_api_key
from grantkeeper.errors import Unauthenticated
from grantkeeper.model import ALL_SCOPES, Principal
from grantkeeper.services.scopes import OPERATOR_SCOPES, effective_scopes

if TYPE_CHECKING:
    from grantkeeper.edge.principals import PrincipalCache
    from grantkeeper.model import ApiKey, Client, User
    from grantkeeper.ports import ApiKeys, Clients, Users

DAY = 86_400
_NO_SUCH_KEY = ids.digest("an unknown key costs the same comparison")


def by_api_key(
    text: str, *, api_keys: ApiKeys, clients: Clients, users: Users, now: int, cache: PrincipalCache
) -> Principal:
    """
    Tell who presents a key.

    Raises:
        Unauthenticated: No key of ours, or not one that is good now: all read the same.
        StoreUnavailable: It cannot be known now.
    """
    presented = parse_api_key(text)
    if presented is None:
        refuse()
    key = _proven(presented, api_keys=api_keys, now=now, cache=cache)
    if key is None or key.status != "active" or now >= key.expires_at:
        refuse()
    if key.client_id is None:
        # The operator's keys reach no tokens and nobody's account, whatever was written on them.
        principal = Principal("api_key", frozenset(key.scopes) & OPERATOR_SCOPES, key_id=key.key_id)
    else:
        client = active_client(key.client_id, clients=clients, now=now, cache=cache)
        if key.sub is None:
            scopes = frozenset(key.scopes) & frozenset(ALL_SCOPES)
            principal = Principal("api_key", scopes, client_id=client.client_id, key_id=key.key_id)
        else:
            principal = _himself(key, key.sub, client, users=users, now=now, cache=cache)
    _touch(key, api_keys, now=now, cache=cache)
    return principal


def active_client(client_id: str, *, clients: Clients, now: int, cache: PrincipalCache) -> Client:
    """The client by whose leave a credential is good. Raises Unauthenticated when it is gone or switched off."""
    client: Client | None = cache.get(clients, client_id, now=now, read=lambda: clients.get(client_id))
    if client is None or client.status != "active":
        refuse()
    return client


def active_user(sub: str, *, users: Users, now: int, cache: PrincipalCache) -> User:
    """The person a credential stands for. Raises Unauthenticated when he is suspended, or erased."""
    user: User | None = cache.get(users, sub, now=now, read=lambda: users.get(sub))
    if user is None or user.status != "active":
        refuse()
    return user


def refuse() -> NoReturn:
    """One answer, whatever is wrong with a credential."""
    raise Unauthenticated("The credential is not valid.", error="invalid_token")


def _himself(key: ApiKey, sub: str, client: Client, *, users: Users, now: int, cache: PrincipalCache) -> Principal:
    """The key's user, with what his client and his role still allow of the key's scopes, and without a session."""
    user = active_user(sub, users=users, now=now, cache=cache)
    return Principal(
        kind="user",
        scopes=frozenset(effective_scopes(key.scopes, client=client, role=user.role)),
        client_id=client.client_id,
        sub=user.sub,
        role=user.role,
        key_id=key.key_id,
    )


def _proven(presented: ApiKeyText, *, api_keys: ApiKeys, now: int, cache: PrincipalCache) -> ApiKey | None:
    """
    The key whose secret was presented. What does not fit is looked up again, once a second at most, because it may have
    been rotated; an unknown id as well, so that the time an answer takes tells nothing of either.
    """

    def read() -> ApiKey | None:
        return api_keys.get(presented.key_id)

    key: ApiKey | None = cache.get(api_keys, presented.key_id, now=now, read=read)
    if _proves(presented, key, now=now):
        return key
    key = cache.get(api_keys, presented.key_id, now=now, read=read, younger_than=1)
    return key if _proves(presented, key, now=now) else None


def _proves(presented: ApiKeyText, key: ApiKey | None, *, now: int) -> bool:
    """Compare in constant time, with a key that does not exist and a secret that is over as well."""
    present, before = (_NO_SUCH_KEY, None) if key is None else (key.secret_hash, key.old_secret_hash)
    is_present = ids.same(presented.secret_hash, present)
    is_before = ids.same(presented.secret_hash, before or _NO_SUCH_KEY)
    return key is not None and (is_present or (is_before and now < key.old_secret_ends_at))


def _touch(key: ApiKey, api_keys: ApiKeys, *, now: int, cache: PrincipalCache) -> None:
    """Note the day of use once per day and execution environment."""
    if cache.has_touched(key.key_id, day=now // DAY):
        return
    api_keys.touch(key.key_id, day=datetime.fromtimestamp(now, tz=UTC).strftime("%Y-%m-%d"))
