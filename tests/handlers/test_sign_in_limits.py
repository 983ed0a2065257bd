"""The token endpoint under guessing and flooding: slower for who does it, open for everybody else."""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from urllib.parse import quote_plus

import pytest

from grantkeeper import ids
from tests.doubles.deployment import SECRET, deployment, provision
from tests.handlers.test_session import BASIC, EXCHANGE, put_code, refresh, signed_in
from tests.support.functions import CONTEXT, Function, http_event

HERE, ELSEWHERE = "192.0.2.1", "198.51.100.7"
WRONG = {"authorization": "Basic " + base64.b64encode(f"backend:{quote_plus(SECRET)}x".encode()).decode()}


class Clock:
    now = int(time.time()) // 60 * 60 + 60


@pytest.fixture
def wiring() -> Any:
    wiring = deployment()
    provision(wiring)
    return wiring


@pytest.fixture
def session(wiring, monkeypatch) -> Function:
    session = Function("session", wiring)
    monkeypatch.setattr(session.module, "_now", lambda: Clock.now)
    monkeypatch.setattr(Clock, "now", Clock.now)
    return session


def ask(session: Function, form: dict[str, str], *, address: str = HERE, **headers: str) -> dict[str, Any]:
    event = http_event("POST /oauth2/token", form=form, headers=headers)
    event["requestContext"]["http"]["sourceIp"] = address
    return session.module.handler(event, CONTEXT)


def test_w22_guessing_a_clients_secret_slows_down_and_the_client_is_not_locked_out(wiring, session):
    """401 five times and once more, then 429 with Retry-After; from its own address the client signs in."""
    form = {"grant_type": "authorization_code"}
    tried = [ask(session, form, **WRONG)["statusCode"] for _ in range(200)]
    paused = ask(session, form, **WRONG)

    assert tried == [401] * 6 + [429] * 194
    assert paused["headers"]["retry-after"] == "1"
    assert json.loads(paused["body"])["error"] == "temporarily_unavailable"
    put_code(wiring, client_id="backend")
    exchange = {name: value for name, value in EXCHANGE.items() if name != "client_id"}
    assert ask(session, exchange, address=ELSEWHERE, **BASIC)["statusCode"] == 200


def test_w22_a_dead_refresh_token_sent_again_and_again_is_not_looked_at_every_time(wiring, session):
    """Another user's token, from the same address, is not held up by it."""
    dead = signed_in(wiring, session)["refresh_token"]
    newer = refresh(session, dead).json["refresh_token"]
    newest = refresh(session, newer).json["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": dead, "client_id": "spa"}

    tried = [ask(session, form)["statusCode"] for _ in range(20)]

    assert tried == [400] * 6 + [429] * 14
    assert refresh(session, newest).status == 400  # reuse ended the family: the pause hides no alarm
    wiring.codes.redeem(ids.digest("the-code"), now=Clock.now)
    put_code(wiring, code_hash=ids.digest("another"))
    exchange = EXCHANGE | {"code": "another"}
    assert ask(session, exchange)["statusCode"] == 200


def test_s20_random_refresh_tokens_are_stopped_by_their_address(wiring, session):
    """A new family each time: 320 a minute, then 429 without a read; other addresses and clients go on."""
    tried = []
    for _ in range(1000):
        guess = f"{ids.new_id('fam')}.{ids.new_secret()}"
        form = {"grant_type": "refresh_token", "refresh_token": guess, "client_id": "spa"}
        tried.append(ask(session, form)["statusCode"])

    assert tried == [400] * 320 + [429] * 680
    put_code(wiring)
    assert ask(session, EXCHANGE)["statusCode"] == 429
    assert ask(session, EXCHANGE, address=ELSEWHERE)["statusCode"] == 200
    put_code(wiring, client_id="backend", code_hash=ids.digest("servers"))
    servers = {"grant_type": "authorization_code", "code": "servers", **EXCHANGE} | {"code": "servers"}
    del servers["client_id"]
    assert ask(session, servers, **BASIC)["statusCode"] == 200  # it proved itself: its address is not what counts
    Clock.now += 60
    assert ask(session, EXCHANGE | {"code": "x"})["statusCode"] == 400


def test_w10_the_address_is_not_what_a_header_says(session):
    """Whoever sends another X-Forwarded-For each time is one address still."""
    statuses = set()
    for number in range(330):
        form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "spa"}
        headers = {"x-forwarded-for": f"203.0.113.{number % 250}", "forwarded": f"for=203.0.113.{number % 250}"}
        statuses.add((number < 320, ask(session, form, **headers)["statusCode"]))

    assert statuses == {(True, 400), (False, 429)}


def test_w21_sign_ins_stop_while_calls_cannot_be_counted(wiring, session):
    """503, with Retry-After or without: closed, never 200 uncounted."""
    wiring.aws.dynamodb.faults.unreachable(
        "update_item", times=10_000, when=lambda call: call["Key"]["pk"]["S"].startswith("RL#")
    )
    put_code(wiring)
    statuses = [ask(session, EXCHANGE | {"code": "x"})["statusCode"] for _ in range(7)]

    assert statuses == [400] * 7
    assert ask(session, EXCHANGE)["statusCode"] == 503
    wiring.aws.dynamodb.faults.clear()
    assert ask(session, EXCHANGE)["statusCode"] == 200
