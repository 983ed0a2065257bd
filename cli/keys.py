"""`grantkeeper init` and `grantkeeper keys …`: our own signing keys, made, looked at and revoked in an emergency."""

from __future__ import annotations

import click

from cli import operator
from cli.console_client import SIGN_UP, ensure_console
from cli.output import day, json_option, say, show_list
from cli.rotate import rotate
from cli.stack import Stack

REVOKED = """Revoked; another key signs. Its tokens are refused everywhere within five minutes:
our functions keep a JWK Set for at most that long, and tell everybody else to do the same."""


@click.command()
@click.option(
    "--console-sign-up",
    type=click.Choice(SIGN_UP),
    help="Whom the console lets sign in: who has an account here already (invited, the default), or anybody (open).",
)
@json_option
@click.pass_obj
def init(stack: Stack, *, console_sign_up: str | None, as_json: bool) -> None:
    r"""
    Make the first keys, and register the console. Repeating it changes nothing.

    A stack without any other client has no accounts yet. Let yourself in with `--console-sign-up open`, give yourself
    the role with `grantkeeper users role`, and close the door again with `--console-sign-up invited`.

    \b
    Examples:
      grantkeeper init
      grantkeeper init --console-sign-up open
    """
    made = _ensure(stack)
    done = ensure_console(stack.wiring, now=operator.now(), event=operator.event, sign_up=console_sign_up)
    where = f"{stack.wiring.issuer}/console"
    told = {"keys_made": made, "console": where, "console_client": done or "unchanged"}
    keys_told = "Keys made." if made else "All keys were there already."
    console_told = f"The console is at {where}." if done is None else f"The console is {done}: {where}"
    say(f"{keys_told}\n{console_told}", told, as_json=as_json)


@click.group("keys")
def keys() -> None:
    """The keys that sign tokens, and those that grants are sealed under."""


keys.add_command(rotate)


@keys.command("list")
@json_option
@click.pass_obj
def list_keys(stack: Stack, *, as_json: bool) -> None:
    """Every signing key: which one signs, which comes next, which is only published until its last token ends."""
    ring, now = stack.wiring.signing_keys.load(), operator.now()
    signing = {key.kid for alg in ("ES256", "RS256") if (key := ring.active(alg, now=now)) is not None}
    rows = [
        {
            "kid": key.kid,
            "alg": key.alg,
            "state": _state(key.kid in signing, live=key.is_live(now), begun=key.active_from <= now),
            "signs_from": day(key.active_from),
            "leaves": None if key.retire_at is None else day(key.retire_at),
        }
        for key in ring.keys
    ]
    show_list(rows, as_json=as_json, empty="There are no keys yet: run `grantkeeper init`.")


@keys.command("revoke", context_settings={"ignore_unknown_options": True})  # one key in 64 begins with a dash
@click.argument("kid")
@click.confirmation_option(prompt="Refuse every token that this key signed, from now on?")
@json_option
@click.pass_obj
def revoke_key(stack: Stack, kid: str, *, as_json: bool) -> None:
    """
    Revoke a signing key in an emergency.

    It leaves the JWK Set and its private half is deleted. Users get new tokens at their clients' next refresh;
    sessions go on. Repeating it changes nothing.
    """
    from grantkeeper.services.rotate_keys import Operator, revoke_signing_key

    by = Operator(operator.actor())
    revoked = revoke_signing_key(kid, signing_keys=stack.wiring.signing_keys, now=operator.now(), by=by)
    _ensure(stack)  # also after a repetition: the first one may have died before it
    told = {"kid": kid, "revoked": revoked is not None}
    if revoked is None:
        say("It was revoked before. Another key signs.", told, as_json=as_json)
        return
    say(REVOKED, told, as_json=as_json)


def _ensure(stack: Stack) -> bool:
    """Whether anything was missing."""
    from grantkeeper.services.rotate_keys import Operator, ensure_keys

    wiring = stack.wiring
    changed = ensure_keys(
        key_maker=wiring.key_maker,
        signing_keys=wiring.signing_keys,
        branch_keys=wiring.branch_keys,
        now=operator.now(),
        by=Operator(operator.actor()),
    )
    return bool(changed)


def _state(signs: bool, *, live: bool, begun: bool) -> str:
    if signs:
        return "signs"
    if not live:
        return "revoked"
    return "published" if begun else "next"
