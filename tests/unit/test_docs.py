"""What the documents point at exists, and the commands they show are the command's own."""

from __future__ import annotations

import json
import re
import shlex
from functools import cache
from pathlib import Path
from typing import get_args
from urllib.parse import unquote

import click
import pytest

from cli.main import cli
from grantkeeper.model import Reason

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "examples", "tests", "bench", "local", ".github")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*?) *#*$", re.MULTILINE)
COMMAND = re.compile(r"^\s*(?:\$ )?(?:\.venv/bin/)?grantkeeper ([^\n`]+)", re.MULTILINE)


def documents():
    """Every document of the repository that is ours."""
    found = [*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))]
    return sorted(page for page in found if "node_modules" not in page.parts)


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors GitHub gives a document's headings."""
    text = FENCE.sub("", page.read_text())
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in HEADING.findall(text)]
    return frozenset(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in plain)


def broken(page: Path) -> list[str]:
    """Links of a document that lead nowhere."""
    targets = [first or second for first, second in LINK.findall(FENCE.sub("", page.read_text()))]
    wrong = []
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = unquote(target).partition("#")
        goal = (page.parent / place).resolve() if place else page
        if not goal.exists() or (anchor and goal.suffix == ".md" and anchor not in anchors(goal)):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_document_leads_somewhere(page):
    """To a file that is there, and to a heading that it has."""
    assert broken(page) == []


def shown_commands():
    """(document, words after `grantkeeper`) of every command in a block of shell or in backquotes."""
    for page in documents():
        text = page.read_text()
        shell = re.findall(r"^```(?:sh|bash|shell|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        quoted = re.findall(r"`((?:\.venv/bin/)?grantkeeper [^`]+)`", FENCE.sub("", text))
        for block in [*shell, *quoted]:
            for line in COMMAND.findall(block.replace("\\\n", " ")):
                yield pytest.param(line.strip(), id=f"{page.name}: {line.strip()[:70]}")


def words(line: str) -> list[str]:
    """A line of shell without its comment, its pipe and what stands in for values."""
    line = re.sub(r"<[^>]*>", "VALUE", re.split(r" #| \| |;|&&", line, maxsplit=1)[0])
    return shlex.split(line.replace("…", "VALUE").replace("'", ""))


@pytest.mark.parametrize("line", list(shown_commands()))
def test_every_command_that_is_shown_is_one(line):
    """Its groups, its name and its options exist; what they are given is not looked at."""
    command, rest = cli, words(line)
    options = set()
    while rest:
        word = rest.pop(0)
        if word.startswith("-"):
            options.add(word.split("=")[0])
        elif isinstance(command, click.Group) and word in command.commands:
            known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            options -= known
            command = command.commands[word]
        elif isinstance(command, click.Group) and command is cli and not options:
            pytest.fail(f"no command {word}")
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert options - known - {"-h", "--help"} == set()


def test_no_two_decisions_have_one_number():
    """And the list names each of them."""
    records = sorted(page.name for page in (ROOT / "docs" / "decisions").glob("0*.md"))
    listed = (ROOT / "docs" / "decisions" / "README.md").read_text()

    assert len({name[:4] for name in records}) == len(records)
    assert [name for name in records if name not in listed] == []


def test_the_page_about_the_api_shows_what_it_answers():
    """Its problem has a problem's members, its list has a list's, and its reasons are all there are."""
    page = (ROOT / "docs" / "api.md").read_text()
    schemas = json.loads((ROOT / "functions" / "discovery" / "openapi.json").read_text())["components"]["schemas"]
    [shown] = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    [listed] = re.findall(r"`(\{[^`]*\[…\][^`]*)`", page)
    reasons = page.partition("## Reasons")[2].partition("## ")[0]

    assert set(json.loads(shown)) <= set(schemas["Problem"]["properties"])
    assert set(json.loads(listed.replace("…", ""))) == set(schemas["ConnectionList"]["properties"])
    assert re.findall(r"^\| `(\w+)`", reasons, re.MULTILINE) == list(get_args(Reason))
