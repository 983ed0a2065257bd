"""
The parts of the documentation that are computed: the reference of the command, and the numbers in docs/cost.md.

    python -m cli.docs [--check]
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from cli.cost.bill import Deployment, bill
from cli.cost.command import in_dollars
from cli.cost.measured import measured
from cli.cost.prices import PRICES
from cli.main import EXIT_CODES, cli

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- computed by python -m cli.docs: {} -->", "<!-- end -->"
SIZES = (1_000, 100_000, 1_000_000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write what changed; with --check, only say whether anything would."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    stale = [path for path, text in pages().items() if path.read_text() != text]
    for path in stale:
        if options.check:
            print(f"{path.relative_to(DOCS.parent)} is not what it would be: run python -m cli.docs")
        else:
            path.write_text(pages()[path])
    return 1 if stale and options.check else 0


def pages() -> Mapping[Path, str]:
    """Every page with a computed part, as it should be."""
    parts = {"cli.md": {"reference": _reference()}, "cost.md": dict(_cost_parts())}
    return {DOCS / name: _filled((DOCS / name).read_text(), blocks) for name, blocks in parts.items()}


def _filled(text: str, blocks: Mapping[str, str]) -> str:
    for name, block in blocks.items():
        begin = BEGIN.format(name)
        before, marked, rest = text.partition(begin)
        if not marked or END not in rest:
            raise SystemExit(f"A page has no part {name}.")
        text = f"{before}{begin}\n\n{block.strip()}\n\n{END}{rest.partition(END)[2]}"
    return text


# --- docs/cli.md ---


def _reference() -> str:
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    commands = "\n\n".join(_command(path, command) for path, command in walk(cli, ()))
    return f"## Exit codes\n\n| code | when |\n| --- | --- |\n{codes}\n\n## Commands\n\n{commands}"


def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its words, groups before what is in them."""
    if path:
        yield path, command
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from walk(command.commands[name], (*path, name))


def _command(path: tuple[str, ...], command: click.Command) -> str:
    title = f"{'#' * min(len(path) + 2, 6)} `grantkeeper {' '.join(path)}`"
    told = inspect.cleandoc(command.help or "")
    text, _, examples = told.partition("\b\nExamples:\n")
    parts = [title, text.strip()]
    if not isinstance(command, click.Group):
        context = click.Context(command, info_name=f"grantkeeper {' '.join(path)}")
        usage = " ".join(command.collect_usage_pieces(context))
        parts.append(f"    grantkeeper {' '.join(path)} {usage}")
        if rows := list(_options(command, context)):
            parts.append("\n".join(["| option | what |", "| --- | --- |", *rows]))
    if examples:
        parts.append(f"Examples:\n\n{inspect.cleandoc(examples) and _indented(examples)}")
    return "\n\n".join(parts)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in parameter.opts:
            option, what = (" ".join(part.split()).replace("|", "\\|") for part in record)
            yield f"| `{option}` | {what} |"


def _indented(examples: str) -> str:
    return "\n".join(f"    {line.strip()}" for line in examples.strip().splitlines())


# --- docs/cost.md ---


def _cost_parts() -> Iterator[tuple[str, str]]:
    bills = [bill(Deployment(connections=size), measured=measured()) for size in SIZES]
    yield (
        "month",
        _table(
            ("a month", *[f"{size:,} connections" for size in SIZES]),
            [
                *[(name, *[in_dollars(each.by_service[name]) for each in bills]) for name in bills[0].by_service],
                ("**total**", *[f"**{in_dollars(each.total)}**" for each in bills]),
                ("refreshes", *[f"{each.refreshes:,.0f}" for each in bills]),
                ("token calls", *[f"{each.reads:,.0f}" for each in bills]),
            ],
        ),
    )
    first = bills[0]
    yield (
        "idle",
        _table(
            ("idle", "a month"),
            [
                *[(name, in_dollars(each)) for name, each in first.idle.items()],
                ("**at list prices**", f"**{in_dollars(sum(first.idle.values()))}**"),
                ("with AWS's always-free tier to itself", in_dollars(first.idle_with_free_tier)),
            ],
        ),
    )
    kinds = sorted(measured().refreshes)
    million = [bill(Deployment(provider=kind), measured=measured()).per_million for kind in kinds]
    yield (
        "refresh",
        _table(
            ("a million refreshes", *kinds),
            [
                *[(name, *[in_dollars(each[name]) for each in million]) for name in million[0]],
                ("**total**", *[f"**{in_dollars(sum(each.values()))}**" for each in million]),
            ],
        ),
    )
    yield (
        "strategies",
        _table(
            ("background alone", *[f"{size:,} connections" for size in SIZES]),
            [
                (way["strategy"], *[in_dollars(each.strategies[at]["dollars"]) for each in bills])
                for at, way in enumerate(first.strategies)
            ],
        ),
    )
    yield (
        "prices",
        _table(
            ("name", "dollars", "for", "of", "source", "written down"),
            [
                (f"`{name}`", f"{each.dollars:g}", f"{each.per:,.0f}", each.unit, each.source, each.date)
                for name, each in PRICES.items()
            ],
        ),
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---", *["--:" for _ in columns[1:]]], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
