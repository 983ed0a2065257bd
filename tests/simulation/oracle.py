"""
The judge: it sees the tables and the provider's books as they are, after every step, and asks no service.

Numbers are those of the invariants in `refresh.md`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from grantkeeper.model import Grant
from grantkeeper.ports import HttpRequest, HttpResponse
from tests.simulation.hub import Process
from tests.simulation.provider import REFRESH_MARK, Family, Issue, token_of

if TYPE_CHECKING:
    from tests.simulation.world import World

RESCUE_HORIZON = 300  # seconds
STRICT = ("strict", "family", "short_grace", "optional")
STRIKE_SPACING = 30  # seconds between two dead answers, by the true clock
LATENCY = 9.0  # seconds an answer may have been on its way while its token aged
SKEW = 5


class Violation(Exception):
    """An invariant does not hold."""

    def __init__(self, number: str, what: str) -> None:
        super().__init__(f"{number}: {what}")
        self.number = number


@lru_cache(maxsize=4096)
def _read(plaintext: bytes) -> tuple[str | None, str | None, int | None]:
    """Refresh token, access token and end of a sealed set, read without the product's code."""
    envelope = json.loads(plaintext)
    answer = envelope.get("answer", {})
    refresh = answer.get("refresh_token") or envelope.get("refresh_token")
    lives = answer.get("expires_in")
    return refresh, answer.get("access_token"), None if lives is None else envelope["received_at"] + lives


class Oracle:
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

    def refuse(self, number: str, what: str) -> None:
        """An invariant does not hold: the end of the run. `LossCounter` goes on."""
        raise Violation(number, what)

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
            self._nothing_lost()

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
        refresh, access, ends = _read(plaintext)
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
            self.asked.pop(_read(self.w.drawers[before.sealed][1])[0] or "", None)  # now it is known
        self.w.record_generation(*key, row.generation)

    # --- when all is quiet ---

    def settled(self, row: Grant) -> bool:
        """I9: fresh, `needs_reauth`, or revoked and erased."""
        now, provider = self.w.hub.now, self.w.provider
        if row.status == "revoked":
            return not row.sealed
        if row.status == "needs_reauth" or row.due_at is None:
            return True
        if row.due_at <= now + 120 or (row.expires_at is not None and row.expires_at <= now + SKEW):
            return False
        refresh = _read(self.w.drawers[row.sealed][1])[0]
        return provider.honours(refresh, now=now) if provider.profile != "fixed" else True

    def final(self) -> None:
        """What must be true in the end, when every message was worked on."""
        world, provider, now = self.w, self.w.provider, self.w.hub.now
        if world.parked:
            self.refuse("I2", f"{len(world.parked)} answers wait in the rescue queue for ever")
        for key, row in world.tables.rows.items():
            meta = world.tables.metas[key[0]]
            if row.status == "revoked":
                self._revoked_in_the_end(key, row)
                continue
            if meta.status == "revoked":
                self.refuse("I5", f"{key} is {row.status} under a revoked connection")
            refresh = _read(world.drawers[row.sealed][1])[0]
            works = provider.honours(refresh, now=now)
            if row.status == "needs_reauth" and works and row.reason != "spent_elsewhere":
                self.refuse("I7", f"{key} needs_reauth ({row.reason}), and the provider honours what is stored")
            if row.status == "active" and not works and row.due_at is not None and provider.profile != "fixed":
                self.refuse("I9", f"{key} is active, and the provider takes none of its tokens")
            if row.status == "active" and row.due_at is None and row.expires_at is not None and not world.idle:
                self.refuse("I9", f"{key} is active, expires, and is never due")
        for cid, meta in world.tables.metas.items():
            self._mirrored(cid, meta.status)
        self._nobody_cut_off()

    def _nobody_cut_off(self) -> None:
        for family, by in self.w.provider.cut_off:
            if family.connection_id in self.w.shared_when_told.get(by, ()):
                cut = family.connection_id
                self.refuse("I6", f"revoking {by} cut off {cut}, which was seen to share its account")

    def _mirrored(self, cid: str, status: str) -> None:
        """What the connection says of itself is what its worst token says."""
        statuses = {row.status for (each, _), row in self.w.tables.rows.items() if each == cid}
        worst = next(each for each in ("revoked", "needs_reauth", "active") if each in statuses)
        if worst != status:
            self.refuse("I4", f"{cid} says {status}, and its tokens {sorted(statuses)}")

    def _revoked_in_the_end(self, key: tuple[str, str], row: Grant) -> None:
        if row.sealed:
            self.refuse("I5", f"{key} is revoked, and its set is not erased")
        for each in self.w.provider.families:
            if (each.connection_id, each.name) != key or each.revoked or each.current is None:
                continue
            if key[0] in self.w.spared or each.number in self.w.spared_consents:
                continue
            if each.grant_id in self.stood and each.grant_id != row.grant_id:  # another consent took its place
                self.w.count("a consent that was replaced lives on")
                continue
            if self.dead.get(each.current):
                self.w.count("a provider said of what lives that it is gone")
                continue
            if self._excusable(each):
                self.excused["of a revoked connection"] = self.excused.get("of a revoked connection", 0) + 1
                continue
            self.refuse("I5", f"{key} was disconnected, and {each.current} lives on at the provider")

    def _excusable(self, family: Family) -> bool:
        return bool(self._why_lost(family))

    # --- I7 ---

    def _declared(self, key: tuple[str, str], row: Grant) -> None:
        known = (*key, row.generation)
        if known in self.ended:
            self.refuse("I6", f"{key}: generation {row.generation} was declared dead twice")
        self.ended[known] = row.reason or ""
        now, provider = self.w.hub.now, self.w.provider
        refresh, access, ends = _read(self.w.drawers[row.sealed][1])
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

    # --- I2 ---

    def _nothing_lost(self) -> None:
        """Every live refresh token is in a row, in the rescue queue, under way, or in a living process."""
        provider, now = self.w.provider, self.w.hub.now
        for family in provider.families:
            if family.current is None or family.number in self.lost or family.number in self.w.superseded:
                continue
            if family.revoked:
                if family.revoked == "reuse":
                    self.lost.add(family.number)
                    self._excuse(family, "the family was destroyed by reuse")
                continue
            if self._kept(family, now):
                continue
            self.lost.add(family.number)
            self._excuse(family, "its only live refresh token is nowhere")

    def _kept(self, family: Family, now: float) -> bool:
        world, provider = self.w, self.w.provider
        row = world.tables.rows.get((family.connection_id, family.name))
        if row is not None and row.sealed:
            refresh = _read(world.drawers[row.sealed][1])[0]
            if refresh == family.current:
                return True
            if provider.of_refresh.get(refresh or "") is family and provider.honours(refresh, now=now):
                return True
        if row is None or row.status == "revoked":
            return True  # that it was revoked upstream is looked at in the end
        if self._waits(family) or self._in_hands(family):
            return True
        if row.grant_id != family.grant_id:
            world.superseded[family.number] = None  # another consent stands in its place
            return True
        return False

    def _waits(self, family: Family) -> bool:
        """In unconfirmed tokens or in the rescue queue."""
        waiting = [grant for pending in self.w.tables.pendings.values() for grant in pending.grants]
        waiting += self.w.parked
        return any(_read(self.w.drawers[grant.sealed][1])[0] == family.current for grant in waiting)

    def _in_hands(self, family: Family) -> bool:
        """On its way, or in a living process."""
        for issue in family.issues:
            if issue.fate == "under way":
                return True
            receiver = issue.receiver
            if isinstance(receiver, Process) and receiver.alive and family.current in receiver.holding:
                return True
        return False

    def _excuse(self, family: Family, what: str) -> None:
        """Say why a loss is nobody's fault, or refuse it."""
        why = self._why_lost(family)
        if not why:
            self.refuse("I2", f"{family.connection_id}/{family.name}: {what} ({family.current})")
        family.excused = why or "not excused"
        self.excused[family.excused] = self.excused.get(family.excused, 0) + 1

    def _why_lost(self, family: Family) -> str:
        if family.number in self.w.excused_from_start:
            return "was lost before the run"
        issues = [issue for issue in family.issues if issue.refresh_token == family.current]
        bringing = next((issue for issue in issues if issue.rotated), None)
        if bringing is None or bringing.stored or bringing.parked:
            return ""
        receivers = [issue.receiver for issue in issues if isinstance(issue.receiver, Process)]
        return self._fate(receivers[-1]) if receivers else "the answer never arrived"

    def _fate(self, process: Process) -> str:
        if process.died == "killed":
            return "killed between answer and first write"
        if process.died == "timeout" and process.marks.get("paused"):
            return "frozen until the kill, between answer and first write"
        refused = process.marks.get("save refused") and process.marks.get("parking refused")
        if refused and (process.died == "timeout" or "token_set_lost" in process.reports):
            return "table and rescue queue refused to the end"
        return ""

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
