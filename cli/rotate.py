"""`grantkeeper keys rotate`: new branch keys, and every grant under them."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from cli import operator
from cli.output import day, json_option, progress, show
from cli.stack import Stack
from grantkeeper.sealing import BUCKETS
from grantkeeper.services.reseal_all import Pace, census
from grantkeeper.services.rotate_branch_keys import Rotated, RotationPorts, rotate_branch_keys
from grantkeeper.services.rotate_keys import Operator

RATE = 100  # grants a second: two read units and as many write units each


@click.command("rotate")
@click.option("--rate", default=RATE, show_default=True, type=click.IntRange(1, 10_000), help="Grants a second, most.")
@click.option("--dry-run", is_flag=True, help="Only count which grants are under which keys.")
@click.option("--signing", is_flag=True, help="Rotate the keys that sign tokens instead.")
@json_option
@click.pass_obj
def rotate(stack: Stack, *, rate: int, dry_run: bool, signing: bool, as_json: bool) -> None:
    r"""
    Make a new branch key for every bucket of users, and re-seal every grant under it.

    The workers re-seal; tokens, generations and statuses stay as they are, and refreshes go on meanwhile. It takes six
    minutes and then as long as the grants need. It may be stopped at any time: run again, it goes on where it was and
    makes no further keys. Old versions are retired when nothing is under them, open for 36 days more, and are deleted
    by the first rotation after that.

    \b
    Examples:
      grantkeeper keys rotate --dry-run
      grantkeeper keys rotate --rate 500
      grantkeeper keys rotate --signing
    """
    if signing:
        _rotate_signing(stack, as_json=as_json)
    elif dry_run:
        _count(stack, as_json=as_json)
    else:
        _rotate(stack, rate=rate, as_json=as_json)


def _rotate(stack: Stack, *, rate: int, as_json: bool) -> None:
    with progress("Rotating", total=None, quiet=as_json) as bar:
        pace = Pace(clock=lambda: int(time.time()), sleep=time.sleep, rate=rate, told=bar.stage)
        done = rotate_branch_keys(ports=_ports(stack), pace=pace, by=Operator(operator.actor()))
    if as_json:
        click.echo(json.dumps(_shape(done), indent=2))
    else:
        _tell(done)
    if done.unfinished:
        raise click.ClickException(f"{done.unfinished} Run `grantkeeper keys rotate` again to go on.")


def _ports(stack: Stack) -> RotationPorts:
    wiring = stack.wiring
    return RotationPorts(
        key_maker=wiring.key_maker,
        branch_keys=wiring.branch_keys,
        rotations=wiring.rotations,
        sealed_grants=wiring.sealed_grants,
        queue=wiring.work_queue,
        rescue_waiting=lambda: _rescue_waiting(stack),
    )


def _rescue_waiting(stack: Stack) -> int:
    from cli.redrive import depths, queues

    (rescue,) = (queue for queue in queues(stack.environment()) if queue.name == "rescue")
    return sum(sum(depths(stack.wiring.aws.sqs, url).values()) for url in (rescue.url, rescue.dead_letters_url))


def _shape(done: Rotated) -> dict[str, Any]:
    return {
        "started_at": done.started_at,
        "resumed": done.resumed,
        "finished": not done.unfinished,
        "grants": done.grants.total,
        "by_kms": done.grants.by_kms,
        "left": done.grants.left,
        "left_first": sorted(done.grants.named),
        "unreadable": sorted(done.grants.unreadable),
        "retired": list(done.retired),
        "deleted": list(done.deleted),
    }


def _tell(done: Rotated) -> None:
    if done.resumed:
        click.echo(f"The rotation of {day(done.started_at)} was gone on with.")
    click.echo(f"{done.grants.total} grants looked at, {done.grants.left} under old keys.")
    if done.grants.named:
        click.echo(f"Under old keys, the first of them: {' '.join(sorted(done.grants.named))}")
    if done.grants.unreadable:
        click.echo(f"These do not open, and are left as they are: {' '.join(sorted(done.grants.unreadable))}")
    if not done.unfinished:
        click.echo(f"{len(done.retired)} old versions retired, {len(done.deleted)} deleted.")


def _count(stack: Stack, *, as_json: bool) -> None:
    ports = _ports(stack)
    newest = {bucket: ports.branch_keys.newest(bucket) for bucket in range(BUCKETS)}
    wanted = {bucket: key.version for bucket, key in newest.items() if key is not None}
    seen = census(ports.sealed_grants, targets=wanted)
    going_on = ports.rotations.current()
    shown = {
        "grants": seen.total,
        "under_newest": seen.total - seen.left - seen.by_kms - len(seen.unreadable),
        "under_old": seen.left,
        "by_kms": seen.by_kms,
        "unreadable": len(seen.unreadable),
        "rotation": "going on" if going_on is not None and going_on.finished_at is None else "none",
    }
    show(shown, as_json=as_json)


def _rotate_signing(stack: Stack, *, as_json: bool) -> None:
    from grantkeeper.services.rotate_signing_keys import rotate_signing_keys

    wiring = stack.wiring
    changed = rotate_signing_keys(
        key_maker=wiring.key_maker,
        signing_keys=wiring.signing_keys,
        now=operator.now(),
        by=Operator(operator.actor()),
    )
    shown = {"published": [event.details["kid"] for event in changed]}
    if as_json:
        show(shown, as_json=True)
    elif changed:
        click.echo(f"{len(changed)} keys published; they sign from tomorrow on.")
    else:
        click.echo("Their successors are published already, or there are no keys yet.")
