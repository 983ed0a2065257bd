"""Commands that the operator's pages name, held against the command line itself and against the AWS API."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path

import botocore.session
import click
import pytest
from botocore import xform_name
from samcli.cli.types import CfnParameterOverridesType

from cli.main import cli
from tests.infrastructure.template import ROOT, source

GLOBAL_OPTIONS = {"--query", "--output", "--region", "--profile", "--no-cli-pager", "--no-paginate"}
CUSTOM = {("logs", "tail"), ("configure", "sso"), ("sso", "login"), ("cloudformation", "deploy")}  # the CLI's own
LOGICAL_ID = re.compile(r"\b(?:logs|physical) ([A-Z][A-Za-z]+)")
OVERRIDES = "--parameter-overrides"
OUTPUT = re.compile(r"\boutput ([A-Z][A-Za-z]+)")


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@cache
def _prose(page: Path) -> str:
    """A page without its code fences."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@cache
def snippets(page: Path) -> tuple[str, ...]:
    """Lines of code fences, continued ones joined, and everything between backticks."""
    text = page.read_text()
    fenced = re.findall(r"^ *```(?:sh)?\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    prose = _prose(page)
    indented = re.findall(r"(?<=\n\n)(?:^ {4,}\S.*\n)+", prose, re.MULTILINE)
    lines = [line for block in (*fenced, *indented) for line in block.replace("\\\n", " ").splitlines()]
    return (*lines, *(code.replace("\n", " ").replace("\\|", "|") for code in re.findall(r"`([^`]+)`", prose)))


def commands(program: str) -> Iterator[tuple[str, list[str]]]:
    """(page, words after the program's name) of every call, those inside `$( … )` too."""
    for page in pages():
        for snippet in snippets(page):
            for found in re.finditer(rf"(?:^|[\s(/])(?<!--stack-name ){program} ", re.sub(r"^alias .*", "", snippet)):
                rest = _until_it_ends(snippet[found.end() :])
                yield page.name, [word for word in _words(rest) if word]


def _until_it_ends(text: str) -> str:
    """Up to what ends the call: a pipe, a semicolon, a comment or the bracket it stands in."""
    depth, quote = 0, ""
    for at, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "(":
            depth += 1
        elif letter in ")|;#" and depth == 0:
            return text[:at]
        elif letter == ")":
            depth -= 1
    return text


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an apostrophe cut off from its end
        return text.split()


def ours() -> list[tuple[str, list[str]]]:
    """Without the options before the command."""
    every = ((page, _after_global_options(words)) for page, words in commands("grantkeeper"))
    return [(page, words) for page, words in every if words and re.fullmatch(r"[a-z-]+", words[0])]


def _after_global_options(words: list[str]) -> list[str]:
    takes = {"--stack": 2, "--local": 1}
    while words and words[0] in takes:
        words = words[takes[words[0]] :]
    return words


def test_the_pages_name_commands():
    """The patterns below find something to judge."""
    assert len(ours()) > 20
    assert len(list(commands("aws"))) > 5


@pytest.mark.parametrize(("page", "words"), ours(), ids=lambda value: value if isinstance(value, str) else None)
def test_a_command_of_ours_is_there_with_its_options(page, words):
    """Group, command and every option exist; whoever is paged has no time for a usage error."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words:
        name = words.pop(0)
        assert name in command.commands, f"{page}: {name}"
        command = command.commands[name]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}

    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known | {"--help"}


def test_calls_of_aws_exist_with_their_parameters():
    """Services, operations and parameters are those of the AWS API."""
    session = botocore.session.get_session()
    for page, words in commands("aws"):
        service, operation = words[0], words[1]
        if (service, operation) in CUSTOM:
            continue
        model = session.get_service_model({"deploy": "codedeploy"}.get(service, service))
        operations = {xform_name(name, "-"): name for name in model.operation_names}
        assert operation in operations, f"{page}: aws {service} {operation}"
        shape = model.operation_model(operations[operation]).input_shape
        known = {f"--{xform_name(member, '-')}" for member in (shape.members if shape else ())} | GLOBAL_OPTIONS
        given = {word for word in words if re.fullmatch(r"--[a-z-]+", word)}
        given |= {f"--{word.removeprefix('--no-')}" for word in given if word.startswith("--no-")}
        assert {word for word in given if not word.startswith("--no-")} <= known, f"{page}: aws {service} {operation}"


def test_resources_and_outputs_that_the_pages_ask_for_exist():
    """`logs RefreshLogs`, `physical SweepSchedule` and `output PublicUrl` name what the template has."""
    for page in pages():
        text = page.read_text()
        assert set(LOGICAL_ID.findall(text)) <= set(source()["Resources"])
        assert set(OUTPUT.findall(text)) <= set(source()["Outputs"])


def test_parameters_that_the_pages_turn_exist():
    """Each `Name=value` of a deployment is a parameter of the template."""
    for page in pages():
        for snippet in snippets(page):
            for name in re.findall(r"\b([A-Z][A-Za-z]+)=[^=]", snippet):
                if name != "SameSite" and ("parameter" in snippet or re.fullmatch(r"[A-Z][A-Za-z]+=\S+", snippet)):
                    assert name in source()["Parameters"], f"{page.name}: {name}"


def _anchors(page: Path) -> set[str]:
    """The ids GitHub gives a page's headings: lower case, hyphens for spaces, without other punctuation."""
    heads = re.findall(r"^#{1,6} (.+?)\s*$", _prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.replace("`", "").lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    """To a file that is there, and a heading that it has."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", _prose(page))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        if not found.exists() or (anchor and found.suffix == ".md" and anchor not in _anchors(found)):
            broken.append(target)

    assert broken == []


def test_parameters_of_a_deployment_reach_sam_as_they_are_written():
    """SAM cuts a value at a blank that no quotes of its own hold together, and says nothing of the rest."""
    given = [words[words.index(OVERRIDES) + 1 :] for _, words in commands("sam") if OVERRIDES in words]
    assert given
    for words in given:
        shown = [
            re.sub(r"\$\([^)]*\)", "made", word) for word in takewhile(lambda word: not word.startswith("--"), words)
        ]
        meant = {name: value.strip('"') for name, _, value in (word.partition("=") for word in shown)}

        assert CfnParameterOverridesType().convert(tuple(shown), None, None) == meant
        assert meant.keys() <= source()["Parameters"].keys()
