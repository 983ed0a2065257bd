"""What the doctor says: one finding per thing looked at, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from cli.doctor.patient import Patient

Status = Literal["ok", "skipped", "warning", "failing"]
ORDER: Sequence[Status] = ("ok", "skipped", "warning", "failing")  # mild to grave


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that was looked at.

    Args:
        check: Its stable name, `family.what`.
        status: `failing` when users or grants suffer or will; `warning` when somebody should look; `skipped` when it
            could not be looked at.
        found: What was found, in a sentence. Never a secret.
        mend: The command that mends it, or the next step; empty when there is nothing to do.
        about: Which of several it is about: a table, a provider, a key.
    """

    check: str
    status: Status
    found: str
    mend: str = ""
    about: str = ""

    def as_json(self) -> Mapping[str, str]:
        """The shape that `--json` prints."""
        return asdict(self)


Check = Callable[["Patient"], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Family:
    """Checks that belong together; each runs alone and fails alone."""

    name: str
    checks: Sequence[Check]


def ok(check: str, found: str, *, about: str = "") -> Finding:
    """Nothing to do."""
    return Finding(check, "ok", found, about=about)


def skipped(check: str, why: str, *, mend: str = "", about: str = "") -> Finding:
    """It could not be looked at."""
    return Finding(check, "skipped", why, mend, about)


def warning(check: str, found: str, *, mend: str, about: str = "") -> Finding:
    """Somebody should look."""
    return Finding(check, "warning", found, mend, about)


def failing(check: str, found: str, *, mend: str, about: str = "") -> Finding:
    """Something does not work, or will not when it is needed."""
    return Finding(check, "failing", found, mend, about)


def worst(findings: Iterable[Finding]) -> Status:
    """The gravest status among findings; `ok` when there are none."""
    return ORDER[max((ORDER.index(each.status) for each in findings), default=0)]


def summary(findings: Sequence[Finding]) -> Mapping[str, Any]:
    """How many of which status, in the order of gravity."""
    return {status: sum(each.status == status for each in findings) for status in reversed(ORDER)}
