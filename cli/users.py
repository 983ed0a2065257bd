"""`grantkeeper users`: roles and suspension, which nobody gives himself; as root of trust it may what no admin may."""

from __future__ import annotations

import click

from cli import operator
from cli.output import json_option, say, show
from cli.stack import Stack
from cli.user_erasure import erase, traces
from grantkeeper.model import Role, User
from grantkeeper.services.change_user import By, give_role
from grantkeeper.services.change_user import resume as resume_user
from grantkeeper.services.change_user import suspend as suspend_user

ROLES: dict[str, Role] = {"user": "user", "auditor": "auditor", "admin": "admin"}


@click.group()
def users() -> None:
    """Give roles; suspend people and let them back; erase them."""


users.add_command(erase)
users.add_command(traces)


@users.command("show")
@click.argument("sub")
@json_option
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
@json_option
@click.pass_obj
def role_of(stack: Stack, *, sub: str, role: str, as_json: bool) -> None:
    r"""
    Give a user a role: it counts within a minute, and in tokens he has already.

    \b
    Examples:
      grantkeeper users role usr_… admin
      grantkeeper users role usr_… auditor --json
    """
    wiring, user = stack.wiring, _user(stack, sub)
    changed = give_role(user.sub, ROLES[role], by=_by(), users=wiring.users, changing=wiring.people, now=operator.now())
    told = {"sub": sub, "role": role, "was": changed.before.role}
    say(f"{sub} was {changed.before.role}, is {role}.", told, as_json=as_json)


@users.command("suspend")
@click.argument("sub")
@json_option
@click.pass_obj
def suspend(stack: Stack, *, sub: str, as_json: bool) -> None:
    """Refuse a user everywhere within a minute: his tokens, his keys, his sign-ins. His connections stay."""
    wiring, user = stack.wiring, _user(stack, sub)
    changed = suspend_user(user.sub, by=_by(), users=wiring.users, changing=wiring.people, now=operator.now())
    told = {"sub": sub, "status": "suspended", "was": changed.before.status}
    say(f"{sub} was {changed.before.status}, is suspended.", told, as_json=as_json)


@users.command("resume")
@click.argument("sub")
@json_option
@click.pass_obj
def resume(stack: Stack, *, sub: str, as_json: bool) -> None:
    """Let a suspended user in again."""
    wiring, user = stack.wiring, _user(stack, sub)
    changed = resume_user(user.sub, by=_by(), users=wiring.users, changing=wiring.people, now=operator.now())
    told = {"sub": sub, "status": "active", "was": changed.before.status}
    say(f"{sub} was {changed.before.status}, is active.", told, as_json=as_json)


def _by() -> By:
    """The operator, whose AWS credentials are the root of trust."""
    return By(operator.actor(), root=True)


def _user(stack: Stack, sub: str) -> User:
    user = stack.wiring.users.get(sub)
    if user is None:
        raise click.ClickException(f"There is no user {sub}.")
    return user
