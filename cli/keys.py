"""`grantkeeper init`: signing and branch keys exist before the first user arrives."""

from __future__ import annotations

import click

from cli import operator
from cli.stack import Stack


@click.command()
@click.pass_obj
def init(stack: Stack) -> None:
    """Make the first keys now instead of at the sweeper's next minute. Repeating it changes nothing."""
    from grantkeeper.services.rotate_keys import Operator, ensure_keys

    wiring = stack.wiring
    changed = ensure_keys(
        key_maker=wiring.key_maker,
        signing_keys=wiring.signing_keys,
        branch_keys=wiring.branch_keys,
        now=operator.now(),
        by=Operator(operator.actor()),
    )
    click.echo("Keys made." if changed else "All keys were there already.")
