"""
Races of real threads over one refresh-token family on DynamoDB Local.

Every caller is an execution environment of its own, with its own caches, over the same tables.
"""

from __future__ import annotations

from typing import Any

import pytest

from grantkeeper import ids
from grantkeeper.errors import OAuthError
from grantkeeper.model import Session
from grantkeeper.services.issue_tokens import RefreshToken
from grantkeeper.services.refresh_session import refresh_session
from grantkeeper.services.revoke_session import revoke_token
from grantkeeper.services.userinfo import userinfo
from tests.doubles.aws import InMemoryAws, memory_wiring
from tests.doubles.deployment import ALICE, ISSUER, PUBLIC_CLIENT, audit_event, deployment, provision
from tests.doubles.provider import NOON
from tests.stores.records import race

CALLERS = 32
ROUNDS = 25


class World:
    """One deployment on DynamoDB Local."""

    def __init__(self, tables: Any) -> None:
        self.aws = InMemoryAws()
        self.aws.dynamodb = tables.client
        self.names = {"GRANTS_TABLE": tables.grants, "REQUESTS_TABLE": tables.requests, "AUDIT_TABLE": tables.audit}
        self.wiring = deployment(aws=self.aws, **self.names)
        provision(self.wiring)

    def sign_in(self, family: str) -> RefreshToken:
        token = RefreshToken(family, ids.new_secret())
        session = Session(
            family=family, sid=f"sid_{family}", sub=ALICE.sub, client_id="spa", scopes=("openid",), provider="example",
            created_at=NOON, expires_at=NOON + 86_400, idle_expires_at=NOON + 86_400, current_hash=token.secret_hash,
            rotated_at=NOON,
        )  # fmt: skip
        assert self.wiring.sessions.create(session, audit=audit_event("user.signed_in"))
        return token

    def refresh(self, token: str, *, now: int = NOON + 1) -> Any:
        """From an environment that has just started."""
        w = memory_wiring(aws=self.aws, **self.names)
        return refresh_session(
            {"refresh_token": token}, client=PUBLIC_CLIENT, sessions=w.sessions, users=w.users, signer=w.signer,
            issuer=ISSUER, now=now, request_id="r",
        )  # fmt: skip

    def revoke(self, token: str) -> None:
        w = memory_wiring(aws=self.aws, **self.names)
        revoke_token(
            {"token": token}, client=PUBLIC_CLIENT, sessions=w.sessions, key_set=w.key_set, issuer=ISSUER,
            now=NOON + 1, request_id="r",
        )  # fmt: skip

    def believes(self, access_token: str) -> bool:
        w = self.wiring
        try:
            userinfo(
                access_token, sessions=w.sessions, users=w.users, clients=w.clients, key_set=w.key_set, issuer=ISSUER,
                now=NOON + 2,
            )  # fmt: skip
        except OAuthError:
            return False
        return True


@pytest.fixture
def world(dynamodb_tables: Any) -> World:
    return World(dynamodb_tables)


def test_s14_s16_of_32_environments_that_refresh_at_once_one_rotates_and_all_get_its_successor(world: World) -> None:
    """Never two live successors, whoever is asked; each of the answers is good."""
    token = world.sign_in("fam_one")

    answers = race(CALLERS, lambda _: world.refresh(token.text))

    assert {answer["refresh_token"] for answer in answers} == {answers[0]["refresh_token"]}
    assert world.wiring.sessions.get("fam_one").counter == 2
    assert all(world.believes(answer["access_token"]) for answer in answers)
    world.refresh(answers[0]["refresh_token"])
    with pytest.raises(OAuthError):
        world.refresh(token.text, now=NOON + 2)
    assert world.wiring.sessions.get("fam_one").status == "revoked"


def test_s17_a_revoke_among_refreshes_leaves_no_token_that_is_good(world: World) -> None:
    """Four environments refresh while a fifth revokes, round after round."""
    for number in range(ROUNDS):
        token = world.sign_in(f"fam_{number}")

        def contend(caller: int, token: RefreshToken = token) -> Any:
            return world.revoke(token.text) if caller == 2 else world.refresh(token.text)

        outcomes = race(5, contend)

        assert outcomes[2] is None, "the revoke came through"
        got = [answer for answer in outcomes if isinstance(answer, dict)]
        assert all(answer is None or isinstance(answer, (dict, OAuthError)) for answer in outcomes)
        assert world.wiring.sessions.get(token.family).status == "revoked"
        for text in {token.text, *(answer["refresh_token"] for answer in got)}:
            with pytest.raises(OAuthError):
                world.refresh(text, now=NOON + 2)
        assert not any(world.believes(answer["access_token"]) for answer in got)
