"""What a warm container remembers between calls: bounded, aged by the clock, never mixed up between users."""

from __future__ import annotations

from collections.abc import Callable

MOST = 10_000


class RememberedConsents:
    """Remembers a yes for some seconds; a no is asked again each time, so that consent counts at once."""

    def __init__(
        self, has_consent: Callable[[str, str, str], bool], *, clock: Callable[[], int], seconds: int = 30
    ) -> None:
        """Args: has_consent: asks the store; clock: epoch seconds; seconds: how long a yes is believed."""
        self._has_consent = has_consent
        self._clock = clock
        self._seconds = seconds
        self._yes: dict[tuple[str, str, str], int] = {}

    def __call__(self, sub: str, client_id: str, connection_id: str) -> bool:
        """Tell whether the user lets the client use the connection."""
        key, now = (sub, client_id, connection_id), self._clock()
        known = self._yes.get(key)
        if known is not None and 0 <= now - known < self._seconds:
            return True
        self._yes.pop(key, None)
        if not self._has_consent(sub, client_id, connection_id):
            return False
        if len(self._yes) >= MOST:
            self._yes.clear()
        self._yes[key] = now
        return True


class FirstUses:
    """Remembers which connections were noted as used today."""

    def __init__(self) -> None:
        self._day = ""
        self._noted: set[str] = set()

    def __call__(self, connection_id: str, day: str) -> bool:
        """Return True the first time a connection is seen on a day, and remember it."""
        if day != self._day or len(self._noted) >= MOST:
            self._day, self._noted = day, set()
        if connection_id in self._noted:
            return False
        self._noted.add(connection_id)
        return True
