"""
One call to AWS, tried again while that can help, and never longer than its budget.

What passes by itself (throttling, another transaction on the same item, a
network fault) is retried with full jitter; a failed condition is an answer and
is handed to the caller with the item that stood in the way; all else is
`StoreUnavailable`. Every write that comes here may be repeated: it is
conditional, and recognises itself by its `write_id` or its request token.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004

from grantkeeper.errors import StoreUnavailable
from grantkeeper.stores.items import Item

BUDGET = 3.0  # seconds for an ordinary call, the SDK's own attempts included
MAX_ATTEMPTS = 12
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0

PASSING = frozenset({
    "ProvisionedThroughputExceededException",
    "ProvisionedThroughputExceeded",
    "ThrottlingException",
    "ThrottlingError",
    "Throttling",
    "RequestThrottled",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
    "ReplicatedWriteConflictException",
    "InternalServerError",
    "InternalFailure",
    "InternalError",
    "InternalException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
})  # fmt: skip


class ConditionFailed(Exception):
    """The condition of a single write did not hold; `item` is what stood there, None when nothing did."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("condition failed")
        self.item = item


class TransactionFailed(Exception):
    """Conditions of a transaction did not hold; nothing was written."""

    def __init__(self, reasons: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("transaction cancelled")
        self._reasons = reasons

    def failed(self, position: int) -> bool:
        """Whether the write at this position is one that refused."""
        return self._reasons[position].get("Code") == "ConditionalCheckFailed"

    def item(self, position: int) -> Item | None:
        """What stood in the way of the write at this position."""
        return self._reasons[position].get("Item")


def call(method: Callable[..., Any], *, budget: float = BUDGET, **request: Any) -> Any:
    """
    Do one call.

    Args:
        method: A client's method.
        budget: Seconds until the last attempt may start.
        request: The method's own arguments.

    Raises:
        ConditionFailed: The condition of a single write did not hold.
        TransactionFailed: The same for a transaction.
        StoreUnavailable: No answer within the budget, or one that repeating cannot mend.
    """
    deadline = time.monotonic() + budget
    for attempt in range(MAX_ATTEMPTS):
        try:
            return method(**request)
        except ClientError as error:
            _raise_unless_passing(error)
            last: Exception = error
        except (HTTPClientError, ConnectionError) as error:
            last = error
        except BotoCoreError as error:
            # Its text may quote the request, so it is not chained: a request holds sealed sets and hashes.
            raise StoreUnavailable(f"The store could not be called ({type(error).__name__}).") from None
        pause = _pause(attempt)
        if time.monotonic() + pause >= deadline:
            break
        time.sleep(pause)
    raise StoreUnavailable("The store did not answer in time.", retry_after=2) from last


def _raise_unless_passing(error: ClientError) -> None:
    """Turn an error that will not pass by itself into what it means."""
    code = error.response.get("Error", {}).get("Code", "")
    response: Mapping[str, Any] = error.response
    if code == "ConditionalCheckFailedException":
        raise ConditionFailed(response.get("Item")) from None
    if code == "TransactionCanceledException":
        reasons = response.get("CancellationReasons", [])
        codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
        if "ConditionalCheckFailed" in codes:
            raise TransactionFailed(reasons) from None
        if codes and codes <= PASSING:
            return
    elif code in PASSING or response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
        return
    raise StoreUnavailable("The store refused the call.", code=code) from error


def _pause(attempt: int) -> float:
    """Full jitter: anything up to an exponentially growing bound, in seconds."""
    bound: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt)
    return secrets.randbelow(1_000_000) / 1_000_000 * bound
