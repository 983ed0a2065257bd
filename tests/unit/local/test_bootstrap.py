"""What a machine gets that lacks something: installed where we may, said where we may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import bootstrap


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """Commands that were run, on a machine where each succeeds."""
    commands: list[list[str]] = []

    def runs(command: list[str], **_: object) -> bool:
        commands.append(command)
        return True

    monkeypatch.setattr(bootstrap, "runs", runs)
    monkeypatch.setattr(bootstrap, "LOG", tmp_path / "bootstrap.log")
    return commands


def machine(monkeypatch: pytest.MonkeyPatch, *commands: str, root: bool = True) -> None:
    """A machine with these commands on its PATH."""
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name, **_: f"/usr/bin/{name}" if name in commands else None)
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 0 if root else 1000)


@pytest.mark.parametrize("there", [(), ("spin",), ("gcc",)])
def test_spin_and_a_compiler_are_installed_where_we_may(
    there: tuple[str, ...], installed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either missing, both are asked for: apt passes over what is there."""
    machine(monkeypatch, "apt-get", *there)
    bootstrap.spin()
    assert installed == [["apt-get", "install", "--yes", "--no-install-recommends", "spin", "gcc", "libc6-dev"]]


@pytest.mark.parametrize("compiler", ["cc", "gcc", "clang"])
def test_a_machine_that_has_both_is_left_alone(
    compiler: str, installed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time takes no time."""
    machine(monkeypatch, "spin", compiler, root=False)
    bootstrap.spin()
    assert installed == []


def test_a_missing_spin_is_said_where_we_may_not(
    installed: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A developer's tests are skipped with one sentence; in CI it is a failure."""
    machine(monkeypatch, "apt-get", root=False)
    monkeypatch.delenv("CI", raising=False)
    bootstrap.optional(bootstrap.spin)
    assert "spin or a C compiler is missing" in capsys.readouterr().out
    monkeypatch.setenv("CI", "true")
    with pytest.raises(bootstrap.Missing):
        bootstrap.optional(bootstrap.spin)
    assert installed == []
