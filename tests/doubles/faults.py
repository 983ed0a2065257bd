"""
Faults between a caller and any AWS client, real or in memory.

`Faults.call` stands where botocore's endpoint stands: a fault may refuse the
call before it is applied, or lose the answer of one that was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ReadTimeoutError

from tests.doubles.dynamodb_values import client_error

Predicate = Callable[[Mapping[str, Any]], bool]


def always(_: Mapping[str, Any]) -> bool:
    """Match every call of the operation."""
    return True


@dataclass
class _Fault:
    operation: str
    when: Predicate
    kind: str  # refuse | lose | retry | after
    error: Callable[[], Exception] | None = None


@dataclass
class Faults:
    """What goes wrong next, what was called, and where a simulation takes over."""

    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    yield_point: Callable[[str, Mapping[str, Any]], None] | None = None  # told before every call, outside any lock
    _planned: list[_Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # --- planning ---

    def throttle(
        self,
        operation: str,
        *,
        times: int = 1,
        code: str = "ProvisionedThroughputExceededException",
        when: Predicate = always,
    ) -> None:
        """Refuse the next calls with an error code; nothing is applied."""
        self._plan(operation, times, "refuse", when, lambda: client_error(operation, code, "injected"))

    def unreachable(self, operation: str, *, times: int = 1, when: Predicate = always) -> None:
        """The next calls time out before they are applied."""
        self._plan(operation, times, "refuse", when, _timeout)

    def lose_acknowledgement(self, operation: str, *, times: int = 1, when: Predicate = always) -> None:
        """Apply the next calls and then time out: the caller cannot know."""
        self._plan(operation, times, "lose", when, _timeout)

    def retry_silently(self, operation: str, *, times: int = 1, when: Predicate = always) -> None:
        """Apply a call twice and give the second answer: what the SDK does when the first answer is lost."""
        self._plan(operation, times, "retry", when, None)

    def conflict(self, operation: str, *, times: int = 1, when: Predicate = always) -> None:
        """Meet another transaction: TransactionConflict, in the form the operation gives it."""
        self._plan(operation, times, "refuse", when, lambda: _conflict(operation))

    def fail(self, operation: str, error: Exception, *, times: int = 1, when: Predicate = always) -> None:
        """Raise any other error instead of the call."""
        self._plan(operation, times, "refuse", when, lambda: error)

    def clear(self) -> None:
        """Forget all planned faults: they stop."""
        with self._lock:
            self._planned.clear()

    def count(self, operation: str | None = None, *, when: Predicate = always) -> int:
        """How many calls there were, of one operation or of all."""
        return sum(1 for name, kwargs in self.calls if operation in {None, name} and when(kwargs))

    def _plan(
        self, operation: str, times: int, kind: str, when: Predicate, error: Callable[[], Exception] | None
    ) -> None:
        with self._lock:
            self._planned += [_Fault(operation, when, kind, error)] * times

    # --- the call ---

    def call(self, operation: str, method: Callable[..., Any], kwargs: dict[str, Any]) -> Any:
        """Do one call, with whatever was planned for it."""
        if self.yield_point is not None:
            self.yield_point(operation, kwargs)
        with self._lock:
            self.calls.append((operation, kwargs))
            fault = next((f for f in self._planned if f.operation == operation and f.when(kwargs)), None)
            if fault is not None:
                self._planned.remove(fault)
        if fault is None:
            return method(**kwargs)
        if fault.kind == "retry":
            method(**kwargs)
            return method(**kwargs)
        if fault.kind == "lose":
            method(**kwargs)
        assert fault.error is not None
        raise fault.error()


def _timeout() -> Exception:
    return ReadTimeoutError(endpoint_url="https://dynamodb.invalid")


def _conflict(operation: str) -> Exception:
    if operation.startswith("transact"):
        return client_error(
            operation,
            "TransactionCanceledException",
            "Transaction cancelled, please refer cancellation reasons for specific reasons [TransactionConflict]",
            CancellationReasons=[{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}],
        )
    return client_error(operation, "TransactionConflictException", "Transaction is ongoing for the item")


class FaultyClient:
    """A real client with `faults` before it: the in-memory one has them built in."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.faults = Faults()

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if name.startswith("_") or not callable(attribute) or name in {"exceptions", "meta", "close"}:
            return attribute
        return lambda **kwargs: self.faults.call(name, attribute, kwargs)
