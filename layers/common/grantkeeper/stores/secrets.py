"""Provider client secrets in Parameter Store, read one by one at first use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from grantkeeper.errors import StoreUnavailable
from grantkeeper.stores.retrying import call

if TYPE_CHECKING:
    from types_boto3_ssm import SSMClient

FRESH = 300  # seconds
STALE = 3600  # seconds a secret may still be used when it cannot be read again


class SsmSecrets:
    """`ports.Secrets`: remembered for 5 minutes, so that a rotated secret is taken up without a deployment."""

    def __init__(
        self, client: SSMClient, *, key_arn: str | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """
        Args:
            client: Of Parameter Store.
            key_arn: The TableKey, for writing: roles may open nothing else. None: the account's default key.
            clock: Epoch seconds; wall time, since a frozen environment's other clocks stand still.
        """
        self._key: dict[str, Any] = {"KeyId": key_arn} if key_arn else {}
        self._client = client
        self._clock = clock
        self._known: dict[str, tuple[float, str]] = {}
        self._loads: dict[str, Future[str]] = {}
        self._lock = threading.Lock()

    def get(self, parameter: str) -> str:
        """
        Read a SecureString.

        Raises:
            StoreUnavailable: It cannot be read, and what is remembered is over an hour old.
        """
        known, now = self._known.get(parameter), self._clock()
        if known is not None and 0 <= now - known[0] < FRESH:
            return known[1]
        with self._lock:
            loading = self._loads.get(parameter)
            if loading is None:
                ours = self._loads[parameter] = Future()
        try:
            return loading.result() if loading is not None else self._load(parameter, ours, now=now)
        except StoreUnavailable:
            if known is not None and 0 <= now - known[0] < STALE:
                return known[1]
            raise

    def _load(self, parameter: str, ours: Future[str], *, now: float) -> str:
        """Read it for all threads that miss it at this moment: they share the outcome, also when it is an error."""
        try:
            answer = call(self._client.get_parameter, Name=parameter, WithDecryption=True)
            value: str = answer["Parameter"]["Value"]
            self._known[parameter] = (now, value)
        except BaseException as error:
            self._loads.pop(parameter, None)
            ours.set_exception(error)
            raise
        self._loads.pop(parameter, None)
        ours.set_result(value)
        return value

    def put(self, parameter: str, value: str) -> None:
        """Create or replace a SecureString, under our own key."""
        call(self._client.put_parameter, Name=parameter, Value=value, Type="SecureString", Overwrite=True, **self._key)
        self._known.pop(parameter, None)
