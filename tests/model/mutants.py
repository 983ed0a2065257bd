"""What the protocol would be without one of its parts, and the invariant that then falls."""

from __future__ import annotations

from dataclasses import dataclass

from tests.model.checker import Run


@dataclass(frozen=True, slots=True)
class Mutant:
    """
    One way to break the protocol.

    Args:
        define: Its macro in refresh.pml.
        falls: The assertion that the shortest way to an error ends in, or `I9`.
        profile: The provider that shows it.
        goal: As in `Run`.
        more: Further definitions.
    """

    define: str
    falls: str
    profile: str = "STRICT"
    goal: str = "shortest"
    more: tuple[str, ...] = ()

    @property
    def run(self) -> Run:
        """The configuration that must fail."""
        more = ("LIVENESS", "FAULTS=1") if self.goal == "liveness" else self.more
        return Run(f"mutant {self.define}", (self.define, f"PROFILE={self.profile}", *more), self.goal)


MUTANTS = (
    Mutant("NOLEASE", "I1_one_call_in_flight"),
    Mutant("STEAL_LIVE_LEASE", "I1_one_call_in_flight", "LASTING"),
    Mutant("RELEASE_ON_UNKNOWN", "I1_one_call_in_flight"),
    Mutant("EARLY_DUE", "I1_one_call_in_flight", "LASTING", more=("FAULTS=1", "LAST=2")),
    Mutant("NO_RESCUE", "I2_no_answer_lost"),
    Mutant("DROP_LATE", "I2_no_answer_lost"),
    Mutant("FENCE_ON_LEASE", "I2_no_answer_lost"),
    Mutant("NO_HORIZON", "I2_no_spent_token_again", "FAMILY"),
    Mutant("FLAPPING_TABLE", "I2_no_spent_token_again", "FAMILY"),
    Mutant("NO_REREAD", "I2_no_spent_token_again"),
    Mutant("NOFENCE", "I3_generation_is_fenced"),
    Mutant("REVIVE_REVOKED", "I5_revoked_is_final"),
    Mutant("ERASE_ALL", "I5_told_before_erased", "GRACE"),
    Mutant("EAGER_DEAD", "I7_two_dead_answers"),
    Mutant("NO_SPACING", "I7_two_dead_answers"),
    Mutant("LOSER_DESTROYS", "I7_two_dead_answers"),
    Mutant("DEAD_ON_OUTAGE", "I7_two_dead_answers"),
    Mutant("FORGET_ORPHAN", "I7_reason_is_true", goal="safety"),
    Mutant("FORGET_DOUBT", "I7_reason_is_true", goal="safety"),
    Mutant("LEASE_FOR_EVER", "I9", goal="liveness"),
    Mutant("HORIZON_FOR_EVER", "I9", goal="liveness"),
)
