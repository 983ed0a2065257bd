"""`grantkeeper users`: roles and suspension, which nobody gives himself and no route changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from cli import operator
from cli.output import show
from cli.stack import Stack
from grantkeeper.model import Role, User

ROLES: dict[str, Role] = {"user": "user", "auditor": "auditor", "admin": "admin"}
ROUNDS = 4


@click.group()
def users() -> None:
    """Give roles; suspend people and let them back."""


@users.command("show")
@click.argument("sub")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def show_user(stack: Stack, *, sub: str, as_json: bool) -> None:
    """Show a user's role and status, and how many identities name him."""
    user = _user(stack, sub)
    identities = len(stack.wiring.users.identities(sub))
    shown = {"sub": sub, "role": user.role, "status": user.status, "email": user.email, "identities": identities}
    show(shown, as_json=as_json)


@users.command("role")
@click.argument("sub")
@click.argument("role", type=click.Choice(tuple(ROLES)))
@click.pass_obj
def give_role(stack: Stack, *, sub: str, role: str) -> None:
    """Give a user a role: it counts within a minute, and in tokens he has already."""
    before = _change(stack, sub, "user.role_changed", role=ROLES[role])
    click.echo(f"{sub} was {before.role}, is {role}.")


@users.command("suspend")
@click.argument("sub")
@click.pass_obj
def suspend(stack: Stack, *, sub: str) -> None:
    """Refuse a user everywhere within a minute: his tokens, his keys, his sign-ins. His connections stay."""
    before = _change(stack, sub, "user.suspended", status="suspended")
    click.echo(f"{sub} was {before.status}, is suspended.")


@users.command("resume")
@click.argument("sub")
@click.pass_obj
def resume(stack: Stack, *, sub: str) -> None:
    """Let a suspended user in again."""
    before = _change(stack, sub, "user.resumed", status="active")
    click.echo(f"{sub} was {before.status}, is active.")


def _change(stack: Stack, sub: str, action: str, **fields: Any) -> User:
    """Change the user's record, audited with before and after (T-12); returns him as he was."""
    for _ in range(ROUNDS):
        before = _user(stack, sub)
        after = replace(before, updated_at=operator.now(), **fields)
        if replace(after, updated_at=before.updated_at) == before:
            return before
        told = {name: f"{getattr(before, name)} to {value}" for name, value in fields.items()}
        event = operator.event(action, sub=sub, details=told)
        if stack.wiring.users.update(after, expected_version=before.version, audit=event):
            return before
    raise click.ClickException("The user's record keeps changing. Try again.")


def _user(stack: Stack, sub: str) -> User:
    user = stack.wiring.users.get(sub)
    if user is None:
        raise click.ClickException(f"There is no user {sub}.")
    return user
