"""The computed parts of the documentation are what the command itself says."""

from __future__ import annotations

import click
import pytest

from cli import docs
from cli.main import cli


def test_the_pages_are_as_they_would_be_computed():
    """Else: python -m cli.docs."""
    stale = [path.name for path, text in docs.pages().items() if path.read_text() != text]

    assert stale == []


def test_check_says_which_page_is_stale(monkeypatch, capsys, tmp_path):
    """And writes nothing; without it, the page is written."""
    for name in ("cli.md", "cost.md"):
        (tmp_path / name).write_text((docs.DOCS / name).read_text())
    monkeypatch.setattr(docs, "DOCS", tmp_path)
    page = tmp_path / "cost.md"
    right = page.read_text()
    page.write_text(right.replace("$", "€"))

    assert docs.main(["--check"]) == 1
    assert "cost.md is not what it would be" in capsys.readouterr().out
    assert docs.main([]) == 0
    assert docs.main(["--check"]) == 0


@pytest.mark.parametrize(("path", "command"), list(docs.walk(cli, ())), ids=lambda value: str(value)[:40])
def test_every_command_says_what_it_does(path, command):
    """In a sentence."""
    assert command.help, path
    assert command.help.strip().split("\n\n")[0].endswith((".", "?")), path


@pytest.mark.parametrize(("path", "command"), list(docs.walk(cli, ())), ids=lambda value: str(value)[:40])
def test_examples_stand_on_lines_of_their_own(path, command):
    """In the help and on the page: click's mark for that is one character, and is never seen."""
    told = command.get_help(click.Context(command, info_name=" ".join(path)))

    assert "\\b" not in told
    if "Examples:" in told:
        assert "\n  Examples:\n    grantkeeper " in told
    assert "\\b" not in (docs.DOCS / "cli.md").read_text()
