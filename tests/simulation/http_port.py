"""The provider as one simulated process calls it: the way there, its act, the way back."""

from __future__ import annotations

from grantkeeper.errors import ProviderUnavailable
from grantkeeper.model import HttpRequest, HttpResponse
from tests.simulation.hub import Killed
from tests.simulation.port import Port
from tests.simulation.provider import Issue


class HttpPort(Port):
    """`ports.ProviderHttp`: the way there, the provider's act, the way back."""

    __slots__ = ()

    def send(self, request: HttpRequest, *, budget: float = 8.0) -> HttpResponse:
        process, world = self.process, self.world
        if process.dead:
            raise Killed
        assert budget > 0, "a call without a deadline"
        token_call = request.url.endswith("/token")
        if world.scan and not (token_call or request.url.endswith("/revoke")):
            world.oracle.look_for_secrets("provider_http.send", (request.url, request.headers, request.body))
        fault = world.faults.draw("provider" if token_call else "endpoint", now=world.hub.now, rescuing=False)
        if fault is None and world.options.pause_rate and world.rng.random() < world.options.pause_rate:
            fault = "paused"
        world.note(110 if token_call else 111, fault)
        call = world.oracle.call_begins(process, request) if token_call else None
        try:
            response, issue = self._travel(request, fault, budget)
        finally:
            if call is not None and not process.dead:
                world.oracle.call_ends(call)
        if token_call and fault in (None, "slow", "paused", "503", "429", "dead once") and response.status >= 400:
            world.oracle.known_outcome(request)
        world.oracle.delivered(process, request, response, issue)
        world.tell(process, "provider_http.send", (request.url,), {}, f"{fault or ''} {response.status}")
        if fault == "killed with answer":
            world.hub.kill(process, "killed")
            raise Killed
        return response

    def _travel(  # noqa: C901, PLR0912 - a table of faults
        self, request: HttpRequest, fault: str | None, budget: float
    ) -> tuple[HttpResponse, Issue | None]:
        process, world = self.process, self.world
        hub, rng, tell = world.hub, world.rng, world.tell
        issue: Issue | None = None
        arrived = False
        try:
            latency = 0.05 + 0.3 * rng.random()
            if fault == "slow":
                latency = min(budget, 8.0 * rng.random())
            elif fault == "paused":
                process.mark("paused")
                latency = 1 + world.options.longest_pause * rng.random()
            if fault == "connect refused":
                hub.pause(min(2.0 * rng.random(), budget))
                if request.url.endswith("/token"):
                    world.oracle.known_outcome(request)
                tell(process, "provider_http.send", (request.url,), {}, fault)
                raise ProviderUnavailable("simulated")
            if fault == "no answer":
                hub.pause(budget)
                tell(process, "provider_http.send", (request.url,), {}, fault)
                raise ProviderUnavailable("simulated", outcome_unknown=True)
            if fault == "killed":
                hub.pause(latency)
                hub.kill(process, "killed")
                tell(process, "provider_http.send", (request.url,), {}, fault)
                raise Killed
            if fault in ("500", "503", "429", "dead once"):
                hub.pause(latency)
                return _refusal(fault), None

            share = rng.random()
            hub.pause(latency * share)
            response, issue = world.provider.answer(request, now=hub.now)
            if world.verbose:
                tell(process, "provider obeys", (request.url,), {}, response.status)
            if fault == "answer lost":
                hub.pause(budget)
                tell(process, "provider_http.send", (request.url,), {}, fault)
                raise ProviderUnavailable("simulated", outcome_unknown=True)
            if fault == "killed in call":
                hub.kill(process, "killed")
                tell(process, "provider_http.send", (request.url,), {}, fault)
                raise Killed
            hub.pause(latency * (1 - share))
            if fault == "500 after":
                return HttpResponse(502, {}, b"bad gateway"), None
            if fault == "garbled" and response.status == 200:
                return HttpResponse(200, {}, response.body[:20]), None
            arrived = True
            return response, issue
        finally:
            if issue is not None and not arrived:
                issue.fate = "lost"


def _refusal(fault: str) -> HttpResponse:
    if fault == "dead once":
        return HttpResponse(400, {"x-simulated": "1"}, b'{"error":"invalid_grant"}')
    if fault == "429":
        return HttpResponse(429, {"retry-after": "7"}, b"")
    return HttpResponse(int(fault), {}, b"trouble")
