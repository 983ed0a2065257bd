"""`grantkeeper queues …`: what waits, and dead letters back to work. Message bodies are never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.output import Progress, json_option, progress, say, show, show_list
from cli.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.redrive import Outcome, Queue

NAMES = ("work", "rescue")
MOST_LOOKED_AT = 10_000


@click.group("queues")
def queues() -> None:
    """Queues and their dead letters."""


@queues.command("list")
@json_option
@click.pass_obj
def list_queues(stack: Stack, *, as_json: bool) -> None:
    """How much waits where. The age is that of the oldest dead letter among ten that are looked at."""
    from cli.redrive import depths, oldest_age

    sqs, rows = stack.wiring.aws.sqs, []
    for queue in _queues(stack):
        dead = depths(sqs, queue.dead_letters_url)["waiting"]
        age = oldest_age(sqs, queue.dead_letters_url) if dead else None
        rows.append(
            {"queue": queue.name, **depths(sqs, queue.url), "dead_letters": dead, "oldest_dead_letter_seconds": age}
        )
    show_list(rows, as_json=as_json, empty="No queues.")


@queues.command("redrive")
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="Dead letters at most.")
@click.option("--dry-run", is_flag=True, help="Only say what would go back.")
@json_option
@click.pass_obj
def redrive_dead_letters(stack: Stack, *, names: tuple[str, ...], limit: int, dry_run: bool, as_json: bool) -> None:
    r"""
    Send dead letters back to their queue (all queues, or those named).

    Safe at any time and repeatable: work is judged by the grant's own row, a parked answer by its generation. What
    cannot be read stays among the dead letters, and the answer says why.

    \b
    Examples:
      grantkeeper queues redrive --dry-run
      grantkeeper queues redrive rescue --limit 100
    """
    from cli.redrive import redrive

    done, left = {}, limit
    for queue in _queues(stack):
        if left > 0 and (not names or queue.name in names):
            with progress(f"{queue.name}: dead letters", total=None, quiet=as_json) as bar:
                outcome = redrive(
                    stack.wiring.aws.sqs, queue, limit=left, dry_run=dry_run, progress=_told(queue.name, bar)
                )
            left -= outcome.moved + len(outcome.kept)
            done[queue] = outcome
    if as_json:
        kept = [{"queue": q.name, "message_id": i, "why": why} for q, o in done.items() for i, why in sorted(o.kept)]
        show({"dry_run": dry_run, "moved": {q.name: o.moved for q, o in done.items()}, "kept": kept}, as_json=True)
        return
    for queue, outcome in done.items():
        click.echo(f"{queue.name}: {outcome.moved} {'would go' if dry_run else 'sent'} back, {len(outcome.kept)} kept.")
        for message_id, why in sorted(outcome.kept):  # SQS hands them out in an order of its own
            click.echo(f"  kept {message_id}: {why}")


@queues.command("drop")
@click.argument("name", type=click.Choice(NAMES))
@click.argument("message_ids", nargs=-1, required=True)
@click.confirmation_option(prompt="Delete these dead letters for good?")
@json_option
@click.pass_obj
def drop_dead_letters(stack: Stack, *, name: str, message_ids: tuple[str, ...], as_json: bool) -> None:
    """
    Delete dead letters that `redrive` keeps, by the ids it tells.

    What can be read is not deleted: send it back instead.
    """
    from cli.redrive import drop

    (queue,) = (queue for queue in _queues(stack) if queue.name == name)
    dropped = drop(stack.wiring.aws.sqs, queue, message_ids, limit=MOST_LOOKED_AT)
    told = {"queue": name, "deleted": sorted(dropped)}
    say(f"{name}: {len(dropped)} deleted.", told, as_json=as_json)
    if left := sorted(set(message_ids) - set(dropped)):
        raise click.ClickException(f"Not deleted, since not there or good to be sent back: {' '.join(left)}")


def _queues(stack: Stack) -> list[Queue]:
    from cli.redrive import queues as queues_of

    try:
        return queues_of(stack.environment())
    except KeyError:
        raise click.ClickException(
            f"The stack {stack.name} does not name its dead-letter queues: deploy this version of the template first."
        ) from None


def _told(name: str, bar: Progress) -> Callable[[Outcome], None]:
    """What is done so far, for a bar whose end nobody knows: SQS counts roughly."""

    def tell(outcome: Outcome) -> None:
        bar.stage(f"{name}: {len(outcome.kept)} kept, sent back", outcome.moved, None)

    return tell
