"""
S-17: whoever ends a session, by whichever way, and whoever refreshes it meanwhile: once the end is confirmed no token
of it is good any more, in any order in which their calls reach the table.

Every actor is a real service over the double of DynamoDB and stops before each of its calls; a seed says who goes on.
`RACES` sets how many different orders are tried.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from greenlet import greenlet

from grantkeeper.errors import GrantkeeperError, OAuthError, StoreUnavailable
from grantkeeper.model import Principal, Session
from grantkeeper.services.end_session import end_session
from grantkeeper.services.issue_tokens import RefreshToken
from grantkeeper.services.own_sessions import end_all, end_one
from grantkeeper.services.refresh_session import refresh_session
from grantkeeper.services.revoke_session import revoke_token
from grantkeeper.services.userinfo import userinfo
from grantkeeper.stores import keys
from grantkeeper.stores.table import Table, key_item
from tests.doubles.aws import ENVIRONMENT
from tests.doubles.deployment import ALICE, ISSUER, PUBLIC_CLIENT, audit_event, deployment, provision
from tests.doubles.provider import NOON

RACES = int(os.environ.get("RACES", "10000"))
SCOPES = ("connections:read",)  # without an ID token: a tenth of a millisecond a signature, and as good a race


@dataclass
class Race:
    """One session and those who use it at once."""

    wiring: Any
    seed: int
    answers: list[Any] = field(default_factory=list)  # tokens given out, by whomever and whenever
    ended: bool = False  # the end was confirmed

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.end = self.random.choice(ENDS)
        self.first = RefreshToken(f"fam_{self.seed}", f"{self.seed:043d}")
        self.session = Session(
            family=self.first.family, sid=f"sid_{self.seed}", sub=ALICE.sub, client_id="spa", scopes=SCOPES,
            provider="example", created_at=NOON, expires_at=NOON + 86_400, idle_expires_at=NOON + 86_400,
            current_hash=self.first.secret_hash, rotated_at=NOON,
        )  # fmt: skip
        assert self.wiring.sessions.create(self.session, audit=audit_event("user.signed_in"))
        self.given = {"sub": ALICE.sub, "sid": self.session.sid, "client_id": "spa", "iss": ISSUER, "aud": "spa"}

    def refresh(self, token: str) -> Any:
        """The token endpoint."""
        w = self.wiring
        return refresh_session(
            {"refresh_token": token}, client=PUBLIC_CLIENT, sessions=w.sessions, users=w.users, signer=w.signer,
            issuer=ISSUER, now=NOON + 1, request_id="r",
        )  # fmt: skip

    def refresher(self) -> None:
        """A tab that refreshes, and with luck once more with what it got."""
        token, after = self.first.text, self.ended
        for _ in range(2):
            try:
                answer = self.refresh(token)
            except (OAuthError, StoreUnavailable):
                return
            assert not after, "a refresh that began after the end was confirmed got tokens"
            self.answers.append(answer)
            token, after = answer["refresh_token"], self.ended

    def ender(self) -> None:
        """One of the ways to end a session."""
        self.end(self)
        self.ended = True

    def run(self) -> list[int]:
        """Everybody to the end, one call to the table at a time; returns who went when."""
        hub = greenlet.getcurrent()
        self.wiring.aws.dynamodb.faults.yield_point = lambda _, call: _touches_sessions(call) and hub.switch()
        actors = [greenlet(self.ender), *(greenlet(self.refresher) for _ in range(self.random.randint(2, 3)))]
        order = []
        try:
            while alive := [number for number, actor in enumerate(actors) if not actor.dead]:
                order.append(self.random.choice(alive))
                actors[order[-1]].switch()
        finally:
            self.wiring.aws.dynamodb.faults.yield_point = None
        return order

    def check(self) -> None:
        """Nothing that anybody holds is good."""
        w = self.wiring
        assert w.sessions.get(self.first.family).status == "revoked"
        for token in {self.first.text, *(answer["refresh_token"] for answer in self.answers)}:
            with pytest.raises(OAuthError, match="not valid"):
                self.refresh(token)
        for answer in self.answers:
            with pytest.raises(GrantkeeperError):
                userinfo(
                    answer["access_token"], sessions=w.sessions, users=w.users, clients=w.clients, key_set=w.key_set,
                    issuer=ISSUER, now=NOON + 1,
                )  # fmt: skip

    def forget(self) -> None:
        """As TTL does some day: the next race's lists are its own."""
        dynamodb = self.wiring.aws.dynamodb
        for key in (keys.session(self.first.family), keys.user_session(ALICE.sub, self.session.sid)):
            dynamodb.delete_item(TableName=ENVIRONMENT["REQUESTS_TABLE"], Key=key_item(key))
        dynamodb.faults.calls.clear()


def _touches_sessions(call: Any) -> bool:
    """Keys and clients are read in between by whoever lacks them, under locks of their own, and settle no race."""
    return f"'{ENVIRONMENT['REQUESTS_TABLE']}'" in repr(call)


def by_refresh_token(race: Race) -> None:
    revoke(race, race.first.text)


def by_access_token(race: Race) -> None:
    claims = {**race.given, "aud": ISSUER, "scope": "openid", "jti": "j", "iat": NOON, "exp": NOON + 900}
    revoke(race, race.wiring.signer.sign(claims, alg="ES256", typ="at+jwt"))


def revoke(race: Race, token: str) -> None:
    """RFC 7009; with the token of two rotations ago it ends nothing, so the newest is tried as its holder would."""
    w = race.wiring
    while w.sessions.get(race.first.family).status == "active":
        revoke_token(
            {"token": token}, client=PUBLIC_CLIENT, sessions=w.sessions, key_set=w.key_set, issuer=ISSUER,
            now=NOON + 1, request_id="r",
        )  # fmt: skip
        token = race.answers[-1]["refresh_token"] if race.answers else token


def by_logout(race: Race) -> None:
    w = race.wiring
    hint = w.signer.sign(race.given, alg="ES256", typ="JWT")
    end_session(  # if a tab too many was taken for a thief, it has ended already
        {"id_token_hint": (hint,)}, clients=w.clients, sessions=w.sessions, key_set=w.key_set, issuer=ISSUER,
        now=NOON + 1, request_id="r",
    )  # fmt: skip


def at_the_own_account(race: Race) -> None:
    principal = Principal("user", frozenset(), client_id="spa", sub=ALICE.sub, sid="sid_elsewhere")
    sessions = race.wiring.sessions
    if race.random.random() < 0.5:
        end_one(principal, race.session.sid, sessions=sessions, now=NOON + 1, request_id="r")
    else:
        end_all(principal, keep_current=True, sessions=sessions, now=NOON + 1, request_id="r")


ENDS: tuple[Callable[[Race], None], ...] = (by_refresh_token, by_access_token, by_logout, at_the_own_account)


@pytest.mark.story
@pytest.mark.timeout(600)
def test_s17_after_the_end_of_a_session_no_token_of_it_is_good_in_ten_thousand_orders():
    """Two or three tabs, two refreshes each, and one of five ways to end it; every kind of meeting occurs."""
    seen, given, orders = set(), 0, set()
    wiring = deployment()
    provision(wiring)
    for seed in range(2 * RACES):
        race = Race(wiring, seed)
        orders.add((race.end, *race.run()))
        race.check()
        race.forget()
        given += len(race.answers)
        seen.add(len(race.answers))
        if len(orders) == RACES:
            break

    assert len(orders) == RACES, "so many different ones"
    assert {0, 1, 2, 3} <= seen, "the end came before, between and after them"
    assert given > RACES / 2


def test_s17_a_rotation_that_does_not_ask_whether_its_session_lives_is_found_out(monkeypatch):
    """The control: with the one condition gone, a token outlives the end within a few hundred orders."""
    to_condition = Table.put

    def careless(self: Table, item: Any, *, condition: str | None = None, **more: Any) -> Any:
        if condition == "#counter = :expected AND #status = :active":
            condition, more["values"] = "#counter = :expected", {":expected": more["values"][":expected"]}
        return to_condition(self, item, condition=condition, **more)

    monkeypatch.setattr(Table, "put", careless)
    wiring = deployment()
    provision(wiring)

    def outlived(seed: int) -> bool:
        race = Race(wiring, seed)
        race.run()
        return wiring.sessions.get(race.first.family).status == "active"

    assert any(outlived(seed) for seed in range(300))
