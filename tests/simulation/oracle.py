"""
The judge: it sees the tables and the provider's books as they are, after every step, and asks no service.

Numbers are those of the invariants in `refresh.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from grantkeeper.model import Grant, HttpRequest, HttpResponse
from tests.simulation.finale import Finale
from tests.simulation.hub import Process
from tests.simulation.judgement import SKEW, read_set
from tests.simulation.provider import REFRESH_MARK, Family, Issue, token_of

if TYPE_CHECKING:
    from tests.simulation.world import World

RESCUE_HORIZON = 300  # seconds
STRICT = ("strict", "family", "short_grace", "renewing", "optional")
STRIKE_SPACING = 30  # seconds between two dead answers, by the true clock
LATENCY = 9.0  # seconds an answer may have been on its way while its token aged


class Oracle(Finale):
    """Judges one run."""

    def __init__(self, world: World) -> None:
        self.w = world
        self.last: dict[tuple[str, str], Grant] = {}
        self.status: dict[str, str] = {}
        self.revoked_at: dict[str, float] = {}
        self.reject_stored: dict[tuple[str, str], tuple[int, float]] = {}
        self.access_of: dict[tuple[str, str, int], str | None] = {}
        self.dead: dict[str, list[float]] = {}  # token → when a dead answer to it was delivered
        self.asked: dict[str, tuple[Process | None, float]] = {}  # token → who spent it last, outcome unknown, and when
        self.calls: dict[int, tuple[Family, Process]] = {}
        self.serial = 0
        self.excused: dict[str, int] = {}
        self.lost: set[int] = set()
        self.ended: dict[tuple[str, str, int], str] = {}
        self.stood: dict[str, None] = {}  # consents that have been in a row
        self.dirty = True

    # --- what the ports tell ---

    def call_begins(self, process: Process, request: HttpRequest) -> int:
        """I1: at most one refresh per grant is in flight anywhere."""
        token = token_of(request, "refresh_token")
        family = self.w.provider.of_refresh.get(token)
        self.serial += 1
        if family is None:
            self.refuse("I2", f"{process.name} spends {token}, which nobody issued")
        self._not_too_soon(process, token)
        self.asked[token] = (process, self.w.hub.now)
        for other, (their, whose) in list(self.calls.items()):
            if not whose.alive:
                del self.calls[other]
            elif their is family:
                self.refuse("I1", f"{process.name} refreshes while {whose.name} does")
        if family is not None:
            self.calls[self.serial] = (family, process)
        return self.serial

    def _not_too_soon(self, process: Process, token: str) -> None:
        """What may have been spent by somebody who died waits out the rescue horizon, where spending it twice costs."""
        who, when = self.asked.get(token, (process, 0.0))
        now = self.w.hub.now
        if who is process or now >= when + RESCUE_HORIZON or self.w.provider.profile not in STRICT:
            return
        if not any(each >= when for each in self.dead.get(token, ())):
            self.refuse(
                "I2", f"{process.name} spends {token} {now - when:.0f} s after a call nobody knows the outcome of"
            )

    def known_outcome(self, request: HttpRequest) -> None:
        """The provider is known not to have obeyed."""
        self.asked.pop(token_of(request, "refresh_token"), None)

    def call_ends(self, call: int) -> None:
        self.calls.pop(call, None)
        self.dirty = True

    def delivered(self, process: Process, request: HttpRequest, response: HttpResponse, issue: Issue | None) -> None:
        """An answer has reached a living process."""
        self.dirty = True
        if issue is not None:
            issue.fate, issue.receiver = "delivered", process
            if issue.refresh_token is not None:
                process.holding[issue.refresh_token] = None
            return
        if response.status == 400 and request.url.endswith("/token"):
            self.dead.setdefault(token_of(request, "refresh_token"), []).append(self.w.hub.now)
        if response.status == 401 and request.url.endswith("/userinfo"):
            header = next(value for name, value in request.headers if name.lower() == "authorization")
            self.dead.setdefault(header.removeprefix("Bearer "), []).append(self.w.hub.now)

    def look_for_secrets(self, port: str, arguments: Any) -> None:
        """I10: refresh tokens go to the token and revocation endpoints and nowhere else."""
        if REFRESH_MARK in repr(arguments):
            self.refuse("I10", f"a refresh token in the arguments of {port}")

    def watching(self, name: str, effect: Callable[..., Any]) -> Callable[..., Any]:
        """The effect, seen."""

        def watched(*args: Any, **kwargs: Any) -> Any:
            answer = effect(*args, **kwargs)
            self.saw(name, args, kwargs, answer)
            return answer

        return watched

    def recognised(self, name: str, args: Any, answer: Any) -> None:
        """F-04, F-15: a write asked for again because its acknowledgement was lost knows itself."""
        stands = getattr(answer, "lease", None) or getattr(answer, "current", None)
        refused = stands is not None and getattr(answer, "outcome", "held") in ("held", "moved")
        if refused and stands.write_id == args[0].write_id:
            self.refuse("I2", f"{name} did not know its own write again")

    def saw(self, name: str, args: Any, kwargs: Any, answer: Any) -> None:
        """Who was seen to share the account, and what was erased without telling the provider for their sake."""
        if name == "connections.sharing":
            for cid in self.w.tables.metas:
                self.w.shared_when_told[cid] = tuple(other for other in answer if other != cid)
        elif kwargs["audit"].details.get("upstream") != "shared_grant_kept":
            return
        elif name == "connections.discard":
            for grant in () if answer is None else answer.grants:
                family = self.w.family_of(grant)
                if family is not None:
                    self.w.spared_consents[family.number] = None
        else:
            if not self.w.shared_when_told.get(args[0]):
                self.refuse("I5", f"{args[0]}: the provider was not told for the sake of nobody")
            self.w.spared[args[0]] = None

    # --- after every step ---

    def after_step(self) -> None:
        """Look at what has changed."""
        rows = self.w.tables.rows
        for key, row in rows.items():
            before = self.last.get(key)
            if before is not row:
                self.dirty = True
                self.last[key] = row
                self._changed(key, before, row)
        for cid, meta in self.w.tables.metas.items():
            was = self.status.get(cid)
            if was is not meta.status:
                self.dirty = True
                self.status[cid] = meta.status
                if was == "revoked":
                    self.refuse("I5", f"{cid} left revoked for {meta.status}")
                if meta.status == "revoked":
                    self.revoked_at[cid] = self.w.hub.now
        if self.dirty:
            self.dirty = False
            self.nothing_lost()

    def _changed(self, key: tuple[str, str], before: Grant | None, row: Grant) -> None:
        if row.sealed:
            self._whole(key, row)
        if before is None:
            return
        self._forward(key, before, row)
        if before.status == "revoked" and row.status != "revoked":
            self.refuse("I5", f"{key} was revoked and is {row.status}")
        if row.status == "needs_reauth" and before.status != "needs_reauth":
            self._declared(key, row)
        if row.rejected_generation != before.rejected_generation and row.rejected_generation == row.generation:
            self.reject_stored[key] = (row.generation, self.w.hub.now)

    def _whole(self, key: tuple[str, str], row: Grant) -> None:
        """I4: set and row are of one generation; I3: and it is the only one of that number."""
        self.stood[row.grant_id] = None
        binding, plaintext = self.w.drawers[row.sealed]
        refresh, access, ends = read_set(plaintext)
        if (binding.grant_id, binding.n, binding.connection_id) != (row.grant_id, row.n, row.connection_id):
            self.refuse("I4", f"{key} generation {row.generation}: set and row are of two generations")
        if ends != row.expires_at:
            self.refuse("I4", f"{key} generation {row.generation}: row and set end at two times")
        if self.access_of.setdefault((*key, row.generation), access) != access:
            self.refuse("I3", f"{key}: generation {row.generation} was written twice with different tokens")
        if refresh is not None and (made := self.w.provider.made.get(refresh)) is not None:
            made.stored = True

    def _forward(self, key: tuple[str, str], before: Grant, row: Grant) -> None:
        """I3: generations rise by one, and a set changes with its generation only."""
        if row.generation == before.generation:
            if row.sealed != before.sealed and row.sealed:
                self.refuse("I3", f"{key}: the set of generation {row.generation} was replaced")
            return
        if row.generation != before.generation + 1:
            self.refuse("I3", f"{key}: generation {before.generation} became {row.generation}")
        if before.sealed:
            self.asked.pop(read_set(self.w.drawers[before.sealed][1])[0] or "", None)  # now it is known
        self.w.record_generation(*key, row.generation)

    # --- I7 ---

    def _declared(self, key: tuple[str, str], row: Grant) -> None:
        known = (*key, row.generation)
        if known in self.ended:
            self.refuse("I6", f"{key}: generation {row.generation} was declared dead twice")
        self.ended[known] = row.reason or ""
        now, provider = self.w.hub.now, self.w.provider
        refresh, access, ends = read_set(self.w.drawers[row.sealed][1])
        if row.reason == "expired_no_refresh_token":
            if provider.profile != "fixed" or ends is None or now + SKEW < ends:
                self.refuse("I7", f"{key}: declared expired, and it is not")
            return
        if row.reason == "spent_elsewhere":
            if (*key, row.generation + 1) not in self.w.recorded:
                self.refuse("I7", f"{key}: declared spent elsewhere, and the trail knows no successor")
            return
        token = refresh or access
        times = self.dead.get(token or "", [])
        if len(times) < 2 or times[-1] - times[0] < STRIKE_SPACING:
            self.refuse("I7", f"{key} generation {row.generation}: dead ({row.reason}) after dead answers at {times}")
        self._no_other_lease(key)
        family = provider.of_refresh.get(token or "") or provider.of_access.get(token or "")
        if family is not None and not family.revoked and row.reason == "revoked_by_user" and family.excused:
            self.w.count("reason: revoked_by_user said of an answer that was lost")

    def _no_other_lease(self, key: tuple[str, str]) -> None:
        lease, task = self.w.tables.leases.get(key), self.w.hub.current
        if lease is None or lease.intent is None or self.w.hub.now >= lease.until - SKEW or task is None:
            return
        holder = self.w.holders.get(lease.write_id)
        if holder is not None and holder.alive and holder is not task.process:
            self.refuse("I7", f"{key}: declared dead under the lease of {holder.name}")

    # --- what callers are told ---

    def served(self, process: Process, wanted: Any, answer: Any) -> None:
        """I8, and no reader sees a token of another generation, of a rejected one or of a revoked connection."""
        key = (answer.connection_id, wanted.name)
        now = self.w.hub.now
        known = self.access_of.get((*key, answer.generation))
        unsaved = "token_set_parked" in process.reports or "token_set_lost" in process.reports
        if known is not None and known != answer.access_token and not unsaved:
            self.refuse("I4", f"{process.name} was given a token that is not generation {answer.generation}'s")
        if known is None and not unsaved:
            self.refuse("I4", f"{process.name} was given generation {answer.generation}, which was never stored")
        rejected = self.reject_stored.get(key)
        if rejected is not None and rejected[0] == answer.generation and rejected[1] < process.started:
            self.refuse("I8", f"{process.name} was given generation {answer.generation}, reported rejected before")
        if wanted.rejected_generation == answer.generation:
            self.refuse("I8", f"{process.name} was given the generation it rejected")
        if self.revoked_at.get(answer.connection_id, now + 1) < process.started:
            self.refuse("I5", f"{process.name} was given a token of a connection revoked before it asked")
        ends = self.w.provider.ends.get(answer.access_token)
        if ends is None:
            return
        if now > ends + LATENCY:
            self.refuse("I8", f"{process.name} was given a token that ended {now - ends:.0f} s ago")
        if answer.expires_at is None or abs(answer.expires_at - ends) > LATENCY + SKEW + 10:
            self.refuse("I8", f"{process.name} was told {answer.expires_at}, the truth is {ends:.0f}")
        if ends - now < min(wanted.min_ttl, 60) - LATENCY - SKEW - 10 and not self.w.troubled:
            self.refuse("I8", f"{process.name} was given {ends - now:.0f} s of life, without any trouble")


class LossCounter(Oracle):
    """Counts what does not hold and goes on: for schedules that no protocol survives."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.refused: dict[str, int] = {}

    def refuse(self, number: str, what: str) -> None:
        self.refused[number] = self.refused.get(number, 0) + 1
