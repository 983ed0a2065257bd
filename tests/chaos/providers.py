"""
Three kinds of provider behind one front, in a process of their own.

    strict   npm's oidc-provider: a refresh token dies with its use, and using it again ends its family
    grace    a double that honours the token before the last one for ten minutes
    lasting  a double that never rotates

    python -m tests.chaos.providers PORT OIDC_PROVIDER_URL CLOCK_DIR

The front writes down every call with its beginning and its end: that record, and not what a worker believes, says
how many refreshes were in flight and what was obeyed. It also misbehaves on command, before or after the provider has
obeyed. Paths are `/<lane>/<profile>/token`, `/revoke` and `/userinfo`; `/test/...` is for the tests.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sys
import threading
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from grantkeeper import ids
from grantkeeper.model import HttpRequest
from tests.chaos.clock import SharedClock
from tests.doubles.provider import FakeProvider

PROFILES = ("strict", "grace", "lasting")
LIFETIME = 3600
GRACE = 600
# what can go wrong before the provider has done anything, and after it has
BEFORE = ("503", "429", "502_before", "cut_before", "hang_before")
AFTER = ("502_after", "cut_after", "hang_after")
STRICT_PATHS = {"token": "/token", "revoke": "/token/revocation", "userinfo": "/me"}


@dataclass
class Call:
    """One request as the provider saw it; times are of this process's own monotonic clock, `at` of the lane's."""

    family: str
    what: str  # token | revoke | userinfo
    began: float
    at: float
    ended: float = 0.0
    status: int = 0  # what the provider decided, whether or not anybody heard it; 0: it never got so far
    error: str = ""
    token: str = ""  # hash of the token that came
    issued: str = ""  # hash of the access token that was issued
    fault: str = ""


@dataclass
class Lane:
    """One lane's doubles, its faults and its clock."""

    clock: SharedClock
    doubles: dict[str, FakeProvider] = field(default_factory=dict)
    faults: list[tuple[str, str]] = field(default_factory=list)  # (what, kind), in order
    edit: dict[str, Any] = field(default_factory=dict)  # changes to answers that grant; None drops a field


class World:
    """Everything the front knows."""

    def __init__(self, oidc_url: str, clocks: Path) -> None:
        self.oidc = urlsplit(oidc_url).netloc
        self.clocks = clocks
        self.lanes: dict[str, Lane] = {}
        self.calls: dict[str, list[Call]] = defaultdict(list)
        self.families: dict[str, str] = {}  # hash of a token → its family
        self.issued: list[str] = []  # every token: no log and no message may hold one
        self.current: dict[str, str] = {}  # family → its newest refresh token
        self.lock = threading.RLock()
        self.local = threading.local()

    def lane(self, name: str) -> Lane:
        with self.lock:
            if name not in self.lanes:
                made = Lane(SharedClock(self.clocks / f"{name}.clock"))
                for profile in ("grace", "lasting"):
                    made.doubles[profile] = self._double(f"{name}-{profile}", profile)
                self.lanes[name] = made
            return self.lanes[name]

    @staticmethod
    def _double(name: str, profile: str) -> FakeProvider:
        double = FakeProvider(provider_id=name, issuer="https://double.example")
        double.client_id, double.client_secret = "grantkeeper", "rotating-secret"
        double.issues_id_tokens = False  # a signature costs more than all else, and is not what is tested here
        double.expires_in = LIFETIME
        double.rotation = "none" if profile == "lasting" else "always"
        double.previous_refresh_token = "valid" if profile == "lasting" else "grace"
        double.grace_seconds = GRACE
        return double

    # --- the providers themselves ---

    def forward(self, lane: Lane, profile: str, what: str, method: str, headers: Any, body: bytes) -> tuple[int, bytes]:
        """Let the provider decide."""
        if profile == "strict":
            return self.ask_oidc(method, STRICT_PATHS[what], headers, body)
        double = lane.doubles[profile]
        path = {"token": "/token", "revoke": "/revoke", "userinfo": "/userinfo"}[what]
        request = HttpRequest(method, f"https://double.example{path}", tuple(headers.items()), body or None)
        with self.lock:
            double.now = int(lane.clock.now)
            answer = double.send(request)
            double.requests.clear()
        return answer.status, answer.body

    def ask_oidc(self, method: str, path: str, headers: Any, body: bytes = b"") -> tuple[int, bytes]:
        """One request to oidc-provider, over a connection of this thread's own."""
        passed = {name: value for name, value in headers.items() if name.lower() in ("authorization", "content-type")}
        for attempt in range(2):  # a kept connection may have been closed meanwhile
            connection = getattr(self.local, "connection", None)
            if connection is None or attempt:
                connection = self.local.connection = http.client.HTTPConnection(self.oidc, timeout=20)
            try:
                connection.request(method, path, body=body or None, headers=passed)
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                if attempt:
                    raise
        raise AssertionError

    # --- the tests' side ---

    def grant(self, lane: str, profile: str) -> dict[str, Any]:
        """Tokens of a fresh consent, and whose they are."""
        account = ids.new_id("u")
        if profile == "strict":
            status, body = self.ask_oidc("GET", "/test/grant?" + urlencode({"sub": account}), {})
            assert status == 200, body
            answer = json.loads(body)
        else:
            here = self.lane(lane)
            with self.lock:
                here.doubles[profile].now = int(here.clock.now)
                answer = here.doubles[profile].grant("openid offline_access")
        family = ids.new_id("fam")
        self.learn(family, answer)
        return {"family": family, "answer": answer, "account": account}

    def learn(self, family: str, answer: dict[str, Any]) -> None:
        with self.lock:
            for name in ("access_token", "refresh_token"):
                if name in answer:
                    self.families[ids.digest(answer[name])] = family
                    self.issued.append(answer[name])
            if "refresh_token" in answer:
                self.current[family] = answer["refresh_token"]

    def alive(self, lane: str, profile: str, family: str) -> bool:
        """Whether the newest refresh token of a family would be honoured now."""
        token = self.current[family]
        if profile == "strict":
            return bool(json.loads(self.ask_oidc("GET", "/test/alive?" + urlencode({"token": token}), {})[1])["alive"])
        with self.lock:
            return token in self.lane(lane).doubles[profile].live_refresh_tokens


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    world: World

    def log_message(self, *_: Any) -> None:
        """The record is enough."""

    def do_POST(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        path = urlsplit(self.path)
        parts = path.path.strip("/").split("/")
        if parts[0] == "test":
            asked = {name: values[0] for name, values in parse_qs(path.query).items()}
            self._send(200, json.dumps(self._test(parts[1], asked | (json.loads(body) if body else {}))).encode())
            return
        self._provider(parts[0], parts[1], parts[2], body)

    def _test(self, what: str, asked: dict[str, Any]) -> Any:
        world, lane, answer = self.world, self.world.lane(asked["lane"]), None
        match what:
            case "grant":
                answer = world.grant(asked["lane"], asked["profile"])
            case "calls":
                with world.lock:
                    answer = [asdict(call) for call in world.calls[asked["family"]]]
            case "alive":
                answer = world.alive(asked["lane"], asked["profile"], asked["family"])
            case "fault":
                with world.lock:
                    lane.faults += [(asked["what"], asked["kind"])] * int(asked.get("times", 1))
            case "edit":
                lane.edit = asked["changes"]
            case "clear":
                lane.faults.clear()
                lane.edit = {}
            case "secrets":
                with world.lock:
                    answer = list(world.issued)
        return answer

    def _provider(self, lane_name: str, profile: str, what: str, body: bytes) -> None:
        world, lane = self.world, self.world.lane(lane_name)
        call = self._record(lane, what, body)
        if call.fault not in BEFORE:
            call.status, answer = world.forward(lane, profile, what, self.command, self.headers, body)
            answer = self._note(call, lane, answer)
        call.ended = time.monotonic()  # before the first byte leaves: what follows it must not seem to overlap
        if call.fault:
            self._misbehave(call.fault, lane)
        else:
            self._send(call.status, answer)

    def _record(self, lane: Lane, what: str, body: bytes) -> Call:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        token = form.get("refresh_token") or form.get("token") or ""
        if what == "userinfo":
            token = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        world = self.world
        with world.lock:
            family = world.families.get(ids.digest(token), "")
            call = Call(family, what, time.monotonic(), lane.clock.now, token=ids.digest(token))
            at = next((at for at, fault in enumerate(lane.faults) if fault[0] == what), None)
            if at is not None:
                call.fault = lane.faults.pop(at)[1]
            world.calls[family].append(call)
        return call

    def _note(self, call: Call, lane: Lane, answer: bytes) -> bytes:
        """Learn the tokens that were issued, and edit the answer if a test wants an odd one."""
        if call.what != "token":
            return answer
        told = json.loads(answer)
        if call.status != 200:
            call.error = str(told.get("error", ""))
            return answer
        self.world.learn(call.family, told)
        call.issued = ids.digest(told["access_token"])
        if not lane.edit:
            return answer
        return json.dumps({name: value for name, value in (told | lane.edit).items() if value is not None}).encode()

    def _misbehave(self, fault: str, lane: Lane) -> None:
        if fault == "503":  # the token endpoint itself says that it did nothing
            self._send(503, b'{"error":"temporarily_unavailable"}')
            return
        if fault.startswith("502"):  # something in between, which cannot know
            self._send(502, b"<html>Bad gateway</html>")
            return
        if fault == "429":
            self._send(429, b'{"error":"slow_down"}', retry_after="20")
            return
        if fault.startswith("hang"):
            lane.clock.advance(8)  # the caller's whole budget passes without a byte
        with contextlib.suppress(OSError):  # a reset, not an end: what a proxy in between does
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.connection.close()
        self.close_connection = True

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        with contextlib.suppress(OSError):  # whoever asked may be dead: the provider does not care
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()


class Server(ThreadingHTTPServer):
    """Many connections; one that breaks is nobody's business."""

    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def main() -> None:
    """Serve until killed."""
    port, oidc_url, clocks = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    Handler.world = World(oidc_url, clocks)
    Server(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
