"""Witnesses of hostile requests: what they were answered, what they stored, what was written down of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx2

from grantkeeper.edge.http import SECURITY_HEADERS
from tests.e2e.browser import Browser
from tests.e2e.sinks import audit_events, function_logs, leaks, log_files, owners, table_items
from tests.support.stack import Stack


@dataclass
class Ledger:
    """
    What all tests of a module sent, to be settled once at its end: reading every table and log takes a while.

    Other tests use the same stack at the same time. So what was stored is told apart by the audit trail: each change
    names the request that made it, and every new user and connection must be some other request's.
    """

    stack: Stack
    allowed: dict[str, frozenset[str]] = field(default_factory=dict)  # request id → audit actions
    hostile: dict[str, str] = field(default_factory=dict)
    before: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.before = owners(self.stack)

    def settle(self) -> None:
        """Nothing was stored but what was allowed, and nothing hostile was written down anywhere."""
        now = owners(self.stack)  # before the trail: whoever comes in between is not asked for
        events = audit_events(self.stack)
        ours = [event for event in events if event.get("request_id") in self.allowed]
        stored = [event for event in ours if event["action"] not in self.allowed[event["request_id"]]]
        assert not stored, f"stored: {stored}"

        others = [event for event in events if event.get("request_id") not in self.allowed]
        explained = {event.get(name) for event in others for name in ("sub", "connection_id")}
        made = {key for key, identifier in now.items() if key not in self.before and identifier not in explained}
        assert not made, f"made by nobody's request: {made}"

        sinks = (*function_logs(self.stack), *log_files(self.stack), *table_items(self.stack))
        found = leaks(self.hostile, sinks)
        assert not found, f"written down: {found}"


class Watch:
    """Sends one test's requests and looks at every answer."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self.ledger, self.name = ledger, name
        self.http = self._watched(httpx2.Client(base_url=ledger.stack.api_url, timeout=30, trust_env=False))
        self.hostile: dict[str, str] = {}
        self.told: dict[str, str] = {}  # may stand in the answer to who sent it, and nowhere else
        self._requests: list[str] = []
        self._faults: list[str] = []
        self._answers: list[tuple[str, bytes]] = []
        self._browsers: list[Browser] = []

    def browser(self) -> Browser:
        """A new browser under watch."""
        self._browsers.append(Browser())
        self._watched(self._browsers[-1].http)
        return self._browsers[-1]

    def close(self) -> None:
        self.http.close()
        for browser in self._browsers:
            browser.close()

    def nothing_came_of_it(self, *, but: tuple[str, ...] = ()) -> None:
        """
        Every answer had its security headers and held nothing hostile; the rest is for the ledger.

        Args:
            but: The audit actions these requests may have caused: a refusal is audited, too.
        """
        assert self._requests, "no function was asked"
        assert not self._faults, self._faults
        found = leaks(self.hostile, self._answers)
        assert not found, found
        self.ledger.allowed |= dict.fromkeys(self._requests, frozenset(but))
        for name, value in (self.hostile | self.told).items():
            self.ledger.hostile[f"{name} of {self.name}"] = value

    def _watched(self, client: httpx2.Client) -> httpx2.Client:
        client.event_hooks = {"response": [self._saw]}
        return client

    def _saw(self, response: httpx2.Response) -> None:
        request = response.request
        if not str(request.url).startswith(f"{self.ledger.stack.api_url}/"):
            return  # the provider's
        response.read()
        place = f"the answer to {request.method} {request.url.path[:80]}"
        if "x-request-id" not in response.headers:
            self._faults.append(f"{place} is no function's")
            return
        self._requests.append(response.headers["x-request-id"])
        head = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
        self._answers.append((place, f"{head}\n\n".encode() + response.content))
        self._faults += [f"{place} is without {name}" for name in SECURITY_HEADERS if name not in response.headers]
        if response.status_code >= 500:
            self._faults.append(f"{place} is {response.status_code}")
