"""Trips to consent pages: written once, read while they last, spent once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.errors import AuthorizationRequestExpired
from grantkeeper.model import AuthorizationRequest
from grantkeeper.stores import keys
from grantkeeper.stores.items import Item, from_item, to_item
from grantkeeper.stores.one_time import SPEND, UNSPENT, put_once, ttl
from grantkeeper.stores.retrying import ConditionFailed
from grantkeeper.stores.table import Table, is_own, key_item, new_write_id

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class DynamoAuthorizationRequests:
    """`ports.AuthorizationRequests` in the table Requests."""

    def __init__(self, client: DynamoDBClient, requests_table: str) -> None:
        self._table = Table(client, requests_table)

    def put(self, request: AuthorizationRequest) -> None:
        """Store a request under the hash of its `state`."""
        key = keys.authorization_request(request.state_hash)
        put_once(self._table, key_item(key) | to_item(request) | ttl(request.expires_at))

    def get(self, state_hash: str, *, now: int) -> AuthorizationRequest:
        """Read without consuming; an item whose TTL has passed is refused though DynamoDB still has it."""
        item = self._table.get(keys.authorization_request(state_hash))
        if item is None or "spent_by" in item:
            raise _expired()
        request = _read(item)
        if request.expires_at <= now:
            raise _expired()
        return request

    def redeem(self, state_hash: str, *, now: int) -> AuthorizationRequest:
        """
        Spend a request in one conditional write: racing callbacks with one `state` cannot both win.

        The item stays until it expires. A write whose acknowledgement was lost finds its own mark and has won.
        """
        write_id = new_write_id()
        try:
            item = self._table.update(
                keys.authorization_request(state_hash),
                SPEND,
                condition=UNSPENT,
                values={":write_id": write_id, ":now": now},
            )
        except ConditionFailed as failure:
            if failure.item is None or not is_own(failure.item, write_id, "spent_by"):
                raise _expired() from None
            item = failure.item
        return _read(item)


def _read(item: Item) -> AuthorizationRequest:
    return from_item(AuthorizationRequest, item)


def _expired() -> AuthorizationRequestExpired:
    return AuthorizationRequestExpired("This sign-in or connection was finished or has expired. Start it again.")
