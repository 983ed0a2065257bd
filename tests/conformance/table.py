"""
`python -m tests.conformance.table`: which passing test stands for which promise, per service, as Markdown.

The suite is run first; what does not pass is printed as FAILED, and the exit status says so.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "layers" / "common"))  # the product is no installed package

from tests.conformance.cases import dialects, records
from tests.conformance.dialects import DIALECTS

SUITES = [str(Path(__file__).with_name(name)) for name in ("test_conformance.py", "test_sync.py")]
COLUMNS = ("authorize URL", "code exchange", "refresh", "rotation", "dead grant", "revoke", "profile")
NONE = "none at this vendor"
BY_HAND = " (no endpoint: the user is told where to go)"


class Outcomes:
    """A pytest plugin that notes which tests passed."""

    def __init__(self) -> None:
        self.passed: set[str] = set()
        self.failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has passed when nothing about it failed, its teardown included."""
        name = report.nodeid.rpartition("::")[2]
        if report.failed:
            self.failed.add(name)
        elif report.when == "call" and report.passed:
            self.passed.add(name)

    def cell(self, *names: str) -> str:
        """The names of tests that stand for a promise, if all of them passed."""
        if self.failed & set(names) or not set(names) <= self.passed:
            return "FAILED"
        return "<br>".join(f"`{name}`" for name in names)


def rows(outcomes: Outcomes) -> Iterator[tuple[str, ...]]:
    """One row per service and dialect, and one per provider that signs users in and connects nothing."""
    for key in dialects():
        dialect, record = DIALECTS[key], records()[DIALECTS[key].record_id]
        refreshes = dialect.refresh_token != "never"
        for service in record.services:
            connected = [
                f"test_connect_with_every_access_level[{key}-{service.id}-{level}]" for level in service.access
            ]
            yield (
                service.id if key == dialect.record_id else f"{service.id} ({key})",
                outcomes.cell(*connected),
                outcomes.cell(f"test_the_token_is_the_vendors_and_lives_as_long[{key}]"),
                outcomes.cell(f"test_refresh[{key}]") if refreshes else NONE,
                outcomes.cell(f"test_rotation[{key}]", f"test_rotation_race[{key}]") if refreshes else NONE,
                outcomes.cell(f"test_dead_grant[{key}]"),
                outcomes.cell(f"test_disconnect_revokes_at_the_vendor[{key}]") + ("" if dialect.revocable else BY_HAND),
                outcomes.cell(
                    f"test_profile[{key}]", f"test_sync_notices_a_change[{key}]", f"test_sync_refuses_a_stranger[{key}]"
                ),
            )
    for key in dialects("signin"):
        name = outcomes.cell(f"test_sign_in[{key}]")
        told = outcomes.cell(f"test_sign_in_tells_the_truth_about_the_address[{key}]")
        yield (f"sign-in with {key}", name, name, *["not kept"] * 4, told)


def main() -> int:
    """Run the suite and print the table."""
    outcomes = Outcomes()
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # noqa: PTH123 - a device
        status = pytest.main(["-q", "-p", "no:cacheprovider", *SUITES], plugins=[outcomes])
    print("| service | " + " | ".join(COLUMNS) + " |")
    print("| --- " * (len(COLUMNS) + 1) + "|")
    for row in rows(outcomes):
        print("| " + " | ".join(row) + " |")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
