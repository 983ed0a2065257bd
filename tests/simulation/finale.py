"""What must be true in the end, when every message was worked on and nothing is due."""

from __future__ import annotations

from grantkeeper.model import Grant
from tests.simulation.judgement import SKEW, read_set
from tests.simulation.losses import Losses


class Finale(Losses):
    """Judges the quiet end of a run."""

    def settled(self, row: Grant) -> bool:
        """I9: fresh, `needs_reauth`, or revoked and erased."""
        now, provider = self.w.hub.now, self.w.provider
        if row.status == "revoked":
            return not row.sealed
        if row.status == "needs_reauth" or row.due_at is None:
            return True
        if row.due_at <= now + 120 or (row.expires_at is not None and row.expires_at <= now + SKEW):
            return False
        refresh = read_set(self.w.drawers[row.sealed][1])[0]
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
            refresh = read_set(world.drawers[row.sealed][1])[0]
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
            if self.why_lost(each):
                self.excused["of a revoked connection"] = self.excused.get("of a revoked connection", 0) + 1
                continue
            self.refuse("I5", f"{key} was disconnected, and {each.current} lives on at the provider")
