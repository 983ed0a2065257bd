"""
The scenarios: every fault point of security.md section 3.3 times what can happen there times the kinds of provider.

A grant may be lost only where `excused` says so, and only at a provider where a refresh token dies with its use: a
process was killed between the provider's answer and the save's arrival, or the answer never reached a living process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.chaos import plans
from tests.chaos.providers import AFTER, BEFORE, PROFILES
from tests.chaos.scene import Scene

Plan = Callable[[Scene], Any]


@dataclass(frozen=True)
class Scenario:
    """One row of the table."""

    fault: str  # F-01 … F-30
    action: str  # kill | stop | throttle | lost_ack | …
    where: str
    profile: str
    plan: Plan
    excused: bool = False
    revoked: bool = False  # it ends with a disconnect
    full: bool = False  # only with CHAOS=full

    @property
    def id(self) -> str:
        """`F-12[kill-strict]`, with the point where a fault has several."""
        where = f"@{self.where}" if self.where else ""
        return f"{self.fault}[{self.action}{where}-{self.profile}]"

    @property
    def kind(self) -> str:
        """The action without its number, for the table of results."""
        return self.action.partition(":")[0].partition("_")[0] if self.fault not in ("F-09", "F-10") else "upstream"


# fault → the points of a refresh it is about, in the order of the way
POINTS = {
    "F-01": ("before_read", "after_read"),
    "F-03": ("before_lease",),
    "F-05": ("lease_applied", "before_read#2", "after_read#2"),
    "F-06": ("before_kms", "after_kms"),
    "F-07": ("before_branch_key", "after_branch_key", "before_secret", "after_secret"),
    "F-08": ("before_provider",),
    "F-11": ("provider_committed",),
    "F-12": ("after_provider",),
    "F-13": ("sealed",),
    "F-14": ("before_save",),
    "F-20": ("save_applied",),
}
WINDOW = frozenset({"provider_committed", "after_provider", "sealed", "before_save"})
NOT_HEARD = frozenset({"provider_committed"})  # frozen beyond the call's budget: nobody read the answer

# what a call to AWS can do to us; a number: how often
REFUSALS = {
    "F-01": ("before_read", ("throttle:2", "refuse", "hang:1")),
    "F-03": ("before_lease", ("throttle:2", "throttle", "refuse", "hang:1")),
    "F-04": ("lease_applied", ("lost_ack:1", "lost_ack:2", "lost_ack", "hang:1")),
    "F-05": ("before_read#2", ("throttle:2", "refuse")),
    "F-06": ("before_kms", ("throttle:2", "throttle", "deny", "refuse", "hang:1")),
    "F-07": ("before_branch_key", ("throttle:2", "refuse")),
    "F-14": ("before_save", ("throttle:1", "throttle:4", "hang:1", "refuse:3")),
    "F-15": ("save_applied", ("lost_ack:1", "lost_ack:2", "hang:1")),
}
SECRET = ("before_secret", ("throttle:2", "refuse"))


def scenarios(*, full: bool) -> list[Scenario]:
    """
    All of them; their ids are unique.

    Args:
        full: Also what differs from a neighbour only in being started by the queue instead of a caller.
    """
    made = [scenario for profile in PROFILES for scenario in _of(profile) if full or not scenario.full]
    assert len({scenario.id for scenario in made}) == len(made)
    return sorted(made, key=lambda scenario: scenario.id)


def _of(profile: str) -> Iterator[Scenario]:
    for part in (_deaths, _refusals, _upstream, _saves, _revocations, _others):
        yield from part(profile)


def _deaths(profile: str) -> Iterator[Scenario]:
    """Killed, stopped past the lease, stopped for a while: at every point."""
    strict = profile == "strict"
    points = [(fault, point) for fault, some in POINTS.items() for point in some]
    if strict:
        points += [("F-07", "before_trail"), ("F-07", "after_trail")]  # only there the trail is asked
    for fault, point in points:
        make = partial(Scenario, fault, where=point, profile=profile)
        yield make("kill", plan=partial(plans.crash, point=point), excused=strict and point in WINDOW)
        late = strict and point in NOT_HEARD
        yield Scenario("F-23", "stop", point, profile, partial(plans.freeze, point=point), excused=late)
        yield make("stop", plan=partial(plans.nap, point=point))
    for fault, point in points:
        plan = partial(plans.crash, point=point, job=True)
        few = point in ("lease_applied", "after_provider", "save_applied")
        yield Scenario(fault, "kill_job", point, profile, plan, excused=strict and point in WINDOW, full=not few)


def _refusals(profile: str) -> Iterator[Scenario]:
    """Throttled, cut off, answers lost: at every call to AWS."""
    for fault, (point, actions) in [*REFUSALS.items(), ("F-07", SECRET)]:
        for action in actions:
            plan = partial(plans.disrupt, point=point, action=action, served=":" in action)
            yield Scenario(fault, action, point, profile, plan)
            plan = partial(plans.disrupt, point=point, action=action, job=True)
            few = point == "before_lease"
            yield Scenario(fault, f"{action}_job", point, profile, plan, full=not few)


def _upstream(profile: str) -> Iterator[Scenario]:
    strict = profile == "strict"
    yield Scenario("F-08", "refuse", "before_provider", profile, plans.refused_connection)
    for kind in BEFORE:
        for times in (1, 2):
            yield Scenario("F-09", f"{kind}:{times}", "", profile, partial(plans.upstream, kind=kind, times=times))
    for kind in AFTER:
        plan = partial(plans.upstream, kind=kind)
        yield Scenario("F-10", f"{kind}:1", "", profile, plan, excused=strict)
    for action in ("kill", "refuse", "throttle:2"):
        yield Scenario("F-22", action, "before_release", profile, partial(plans.release_dies, action=action))


def _saves(profile: str) -> Iterator[Scenario]:
    """The rescue queue (F-16) and what stands in the way of a save."""
    strict = profile == "strict"
    for action in ("refuse", "throttle", "hang"):
        yield Scenario("F-16", action, "before_save", profile, partial(plans.park, faults=f"before_save:{action}"))
    for name, second, excused in (
        ("throttle:2", "before_rescue:throttle:2", False),
        ("lost_ack:1", "rescue_sent:lost_ack:1", False),
        ("kill", "rescue_sent:kill", False),
        ("kill", "before_rescue:kill", strict),
        ("refuse", "before_rescue:refuse", strict),  # both stores are down: the loss is told
    ):
        where = second.partition(":")[0]
        plan = partial(plans.park, faults=f"before_save:refuse,{second}")
        yield Scenario("F-16", name, where, profile, plan, excused=excused)
    for point, action in (
        ("before_save", "kill"),
        ("save_applied", "kill"),
        ("before_save", "stop"),
        ("save_applied", "lost_ack:1"),
        ("before_save", "throttle:2"),
        ("before_save", "refuse"),
    ):
        plan = partial(plans.rescue_dies, point=point, action=action)
        yield Scenario("F-16", f"{action}_rescue", point, profile, plan)
    yield Scenario("F-17", "race", "before_save", profile, partial(plans.freeze, point="before_save"))
    yield Scenario("F-18", "rescue", "", profile, plans.rescue_revoked, revoked=True)
    yield Scenario("F-19", "stop", "before_save", profile, plans.torn)


RACES = (
    "after_read",
    "before_lease",
    "lease_applied",
    "after_read#2",
    "after_branch_key",
    "before_provider",
    "provider_committed",
    "after_provider",
    "sealed",
    "before_save",
    "save_applied",
)


def _revocations(profile: str) -> Iterator[Scenario]:
    for point in RACES:
        for then in ("wake", "die"):
            fault = "F-18" if point == "before_save" and then == "wake" else "F-27"
            plan = partial(plans.revoke, point=point, then=then)
            yield Scenario(fault, f"revoke_{then}", point, profile, plan, revoked=True)
    for point, action in (
        ("before_disconnect", "kill"),
        ("after_disconnect", "kill"),
        ("after_disconnect", "lost_ack:1"),
        ("before_disconnect", "throttle:2"),
        ("before_enqueue", "kill"),
        ("before_enqueue", "refuse"),
        ("after_enqueue", "lost_ack:1"),
    ):
        plan = partial(plans.disconnect_dies, point=point, action=action)
        yield Scenario("F-27", action, point, profile, plan, revoked=True)
    for point, action in (
        ("lease_applied", "kill"),
        ("before_revocation", "kill"),
        ("before_revocation", "stop"),
        ("after_revocation", "kill"),
        ("after_revocation", "stop"),
        ("before_erase", "kill"),
        ("after_erase", "kill"),
        ("before_erase", "refuse"),
        ("after_erase", "lost_ack:1"),
    ):
        plan = partial(plans.revocation_dies, point=point, action=action)
        yield Scenario("F-27", f"{action}_worker", point, profile, plan, revoked=True)


def _others(profile: str) -> Iterator[Scenario]:
    strict = profile == "strict"
    yield Scenario("F-02", "stop", "after_read", profile, plans.stale)
    for point, action in (
        ("before_record", "kill"),
        ("after_record", "kill"),
        ("before_record", "throttle:2"),
        ("before_record", "refuse"),
        ("after_record", "lost_ack:1"),
    ):
        plan = partial(plans.project_dies, point=point, action=action)
        yield Scenario("F-21", action, point, profile, plan)
    for point, action in (
        ("before_due", "kill"),
        ("after_due", "stop"),
        ("before_enqueue", "kill"),
        ("after_enqueue", "kill"),
        ("after_enqueue", "stop"),
        ("after_enqueue", "lost_ack:1"),
        ("before_enqueue", "refuse"),
        ("before_due", "throttle:2"),
    ):
        plan = partial(plans.sweep_dies, point=point, action=action)
        yield Scenario("F-25", f"{action}_sweeper", point, profile, plan)
    for seconds in (5, -5, -1800):
        yield Scenario("F-24", f"skew{seconds:+}", "", profile, partial(plans.skewed, seconds=seconds), excused=strict)
    yield Scenario("F-25", "duplicates", "", profile, partial(plans.crowd, workers=6, jobs=8))
    yield Scenario("F-26", "old_job", "", profile, plans.late_job)
    for point in ("after_branch_key", "after_kms"):
        yield Scenario("F-28", "key_disabled", point, profile, partial(plans.key_disabled, point=point))
    yield Scenario("F-28", "registration_gone", "", profile, plans.registration_gone)
    if strict:
        yield Scenario("F-29", "stranger", "", profile, plans.stranger)
    yield Scenario("F-29", "error_member", "", profile, partial(plans.odd_answer, error="none", error_code=0))
    yield Scenario("F-29", "short_life", "", profile, partial(plans.odd_answer, expires_in=150))
    yield Scenario("F-29", "no_scope", "", profile, partial(plans.odd_answer, scope=""))
    if profile == "lasting":
        yield Scenario("F-29", "no_refresh_token", "", profile, partial(plans.odd_answer, refresh_token=None))
    yield Scenario("F-30", "outage", "", profile, partial(plans.outage, grants=12))
