"""`grantkeeper users erase` and `users traces`: every trace of a user goes, and the list of what is left proves it."""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from cli import operator
from cli.output import json_option, progress, show
from cli.stack import Stack
from grantkeeper.errors import StoreUnavailable
from grantkeeper.services.change_user import By
from grantkeeper.services.erase_user import erase_user, erasure_state
from grantkeeper.services.erasure_ports import Erasure

MOST_PARTS = 10_000  # of one erasure: a million connections
LONGEST_WAIT = 8 * 86_400  # seconds: a provider that does not answer is given up after a week
PAUSE = 60  # seconds at most between two looks


@click.command("erase")
@click.argument("sub")
@click.option("--wait", is_flag=True, help="Stay until nothing is left: a quarter of an hour, or as providers answer.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def erase(stack: Stack, *, sub: str, wait: bool, yes: bool, as_json: bool) -> None:
    r"""
    Erase a user: profile, sessions, keys, identities, consents, pictures, connections with their tokens.

    Everything that can go at once goes now; he is refused everywhere from the first moment. His connections are revoked
    at their providers, and what had begun before is waited for, so the end comes a quarter of an hour later at the
    earliest: call it again then, or --wait. What is left is listed by kind. The audit trail stays, and names nobody but
    by the opaque sub. Backups and archives hold him until they are gone.

    \b
    Examples:
      grantkeeper users erase usr_… --wait
      grantkeeper users erase usr_… --yes --json
    """
    if not yes:
        click.confirm(f"Erase {sub} for good?", abort=True, err=True)
    done = _part(stack, sub)
    removed = dict(done.removed)
    deadline = operator.now() + LONGEST_WAIT
    with progress("Erasing", total=None, quiet=as_json) as told:
        for _ in range(MOST_PARTS):
            told(sum(done.removed.values()))
            pause = 0 if done.again_at is None else done.again_at - operator.now()
            if done.again_at is None or (pause > 0 and not wait) or operator.now() > deadline:
                break
            time.sleep(min(max(pause, 0), PAUSE))
            done = _part(stack, sub)
            removed = {kind: removed.get(kind, 0) + done.removed.get(kind, 0) for kind in {*removed, *done.removed}}
    _tell(done, removed=removed, as_json=as_json)


@click.command("traces")
@click.argument("sub")
@json_option
@click.pass_obj
def traces(stack: Stack, *, sub: str, as_json: bool) -> None:
    """
    List what stands of a user, by kind; nothing is changed.

    Of an erased user it is the proof: no kind is listed. It looks at everything a user has under his own key, at what
    the trail knows of the days before, and not at backups.
    """
    _tell(erasure_state(sub, ports=stack.wiring, now=operator.now()), removed={}, as_json=as_json)


def _part(stack: Stack, sub: str) -> Erasure:
    """One part, tried again where the store was busy: a part that died half-way left less to do."""
    for _ in range(3):
        try:
            return erase_user(sub, by=By(operator.actor(), root=True), ports=stack.wiring, now=operator.now())
        except StoreUnavailable as busy:
            time.sleep(min(busy.retry_after or 1, 5))
    return erase_user(sub, by=By(operator.actor(), root=True), ports=stack.wiring, now=operator.now())


def _tell(done: Erasure, *, removed: dict[str, int], as_json: bool) -> None:
    if as_json:
        show({**asdict(done), "removed": dict(sorted(removed.items()))}, as_json=True)
        return
    shown: dict[str, object] = {"sub": done.sub, "state": done.state}
    shown |= {f"removed {kind}": count for kind, count in sorted(removed.items())}
    shown |= {f"left {kind}": count for kind, count in sorted(done.left.items())}
    show(shown, as_json=False)
    if done.state == "erased":
        click.echo("Nothing is left of him here, but his opaque id in the trail and on a tombstone.")
    elif done.again_at is not None:
        minutes = max(0, done.again_at - operator.now()) // 60 + 1
        click.echo(f"Call it again in {minutes} min, or with --wait: what had begun before ends by itself.", err=True)
