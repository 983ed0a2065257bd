"""Text for people, JSON for scripts; colours and bars for terminals alone."""

from __future__ import annotations

import json

import click
import pytest

from cli.docs import walk
from cli.main import cli
from cli.output import console, progress, say, show, show_list

COMMANDS = [(path, command) for path, command in walk(cli, ()) if not isinstance(command, click.Group)]


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
def test_every_command_speaks_json_and_explains_its_options(path, command):
    """A script needs no second way to learn what came of it; a person no second page."""
    options = [each for each in command.params if isinstance(each, click.Option)]

    assert any("--json" in each.opts for each in options), path
    assert [each.name for each in options if not each.help] == []


def test_a_list_has_one_shape_with_and_without_rows(capsys):
    """An array, even of nothing; people are told that there is nothing."""
    show_list([], as_json=True, empty="None yet.")
    assert json.loads(capsys.readouterr().out) == []
    show_list([], as_json=False, empty="None yet.")
    assert capsys.readouterr().out == "None yet.\n"


def test_what_is_in_a_cell_is_text_and_no_markup(capsys):
    """A client may be called [red]."""
    show({"name": "[red]"}, as_json=False)
    show_list([{"name": "[bold]"}], as_json=False, empty="")

    shown = capsys.readouterr().out
    assert "[red]" in shown
    assert "[bold]" in shown


def test_no_colours_and_no_bars_where_no_terminal_is(capsys):
    """Logs stay readable."""
    show_list([{"status": "revoked"}], as_json=False, empty="")
    with progress("Working", total=3) as step:
        step()
        step.stage("Something else", 1, 2)

    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert err == ""


def test_no_color_takes_the_colours_from_a_terminal(monkeypatch, capsys):
    """no-color.org; without it, they are there."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    console().print("told", style="red")
    assert "\x1b[31m" in capsys.readouterr().out

    monkeypatch.setenv("NO_COLOR", "1")
    console().print("told", style="red")
    assert "\x1b[31m" not in capsys.readouterr().out


def test_what_was_done_is_a_sentence_or_an_object(capsys):
    """Never both."""
    say("It is done.", {"done": True}, as_json=False)
    assert capsys.readouterr().out == "It is done.\n"
    say("It is done.", {"done": True}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"done": True}
