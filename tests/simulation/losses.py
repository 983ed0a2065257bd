"""Invariant 2: every live refresh token is in a row, in the rescue queue, under way, or in a living process."""

from __future__ import annotations

from tests.simulation.hub import Process
from tests.simulation.judgement import Judgement, read_set
from tests.simulation.provider import Family


class Losses(Judgement):
    """Finds what is lost, and whose fault it is."""

    def nothing_lost(self) -> None:
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
            refresh = read_set(world.drawers[row.sealed][1])[0]
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
        return any(read_set(self.w.drawers[grant.sealed][1])[0] == family.current for grant in waiting)

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
        why = self.why_lost(family)
        if not why:
            self.refuse("I2", f"{family.connection_id}/{family.name}: {what} ({family.current})")
        family.excused = why or "not excused"
        self.excused[family.excused] = self.excused.get(family.excused, 0) + 1

    def why_lost(self, family: Family) -> str:
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
