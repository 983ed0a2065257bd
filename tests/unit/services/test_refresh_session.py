"""Refresh tokens of sessions: rotation, a lost answer, reuse, and every race between them."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from grantkeeper import ids
from grantkeeper.errors import OAuthError, StoreUnavailable
from grantkeeper.model import Session
from grantkeeper.services.issue_tokens import RefreshToken, parse_refresh_token
from grantkeeper.services.project import announcement
from grantkeeper.services.refresh_session import refresh_session
from grantkeeper.stores.audit_item import event_of
from tests.doubles.aws import memory_wiring
from tests.doubles.deployment import (
    ALICE,
    CONFIDENTIAL_CLIENT,
    ISSUER,
    PUBLIC_CLIENT,
    actions,
    audit_event,
    deployment,
    provision,
    trail,
)
from tests.doubles.provider import NOON

DAY = 86_400
R1 = RefreshToken("fam_one", "a" * 43)
SESSION = Session(
    family="fam_one",
    sid="sid_one",
    sub=ALICE.sub,
    client_id="spa",
    scopes=("openid", "email", "connections:read"),
    provider="example",
    created_at=NOON,
    expires_at=NOON + 30 * DAY,
    idle_expires_at=NOON + 7 * DAY,
    current_hash=R1.secret_hash,
    rotated_at=NOON,
    auth_time=NOON - 50,
)


@pytest.fixture
def wiring():
    wiring = deployment()
    provision(wiring)
    assert wiring.sessions.create(SESSION, audit=audit_event("user.signed_in"))
    return wiring


def refresh(wiring: Any, token: str, *, client=PUBLIC_CLIENT, now: int = NOON, **form: str) -> Any:
    return refresh_session(
        {"refresh_token": token, **form},
        client=client,
        sessions=wiring.sessions,
        users=wiring.users,
        signer=wiring.signer,
        issuer=ISSUER,
        now=now,
        request_id="r-1",
    )


def refused(wiring: Any, token: str, **more: Any) -> str:
    with pytest.raises(OAuthError) as error:
        refresh(wiring, token, **more)
    return error.value.error


def status(wiring: Any) -> str:
    return wiring.sessions.get("fam_one").status


def test_s10_refresh_rotates(wiring):
    """A refresh gives a new refresh token, and the old one is dead once the new one was used."""
    answer = refresh(wiring, R1.text)

    r2 = answer["refresh_token"]
    assert r2 != R1.text
    assert parse_refresh_token(r2).family == "fam_one"
    refresh(wiring, r2, now=NOON + 1)
    assert refused(wiring, R1.text, now=NOON + 2) == "invalid_grant"


def test_s11_lost_answer_is_given_again(wiring):
    """The immediate predecessor within 30 s gets the same successor, not a third token."""
    first = refresh(wiring, R1.text)

    again = refresh(wiring, R1.text, now=NOON + 30)

    assert again["refresh_token"] == first["refresh_token"]
    assert status(wiring) == "active"
    assert wiring.sessions.get("fam_one").counter == 2


def test_s12_predecessor_after_its_successor_was_used_is_reuse(wiring):
    """Inside the grace as well: somebody else holds a copy."""
    r2 = refresh(wiring, R1.text)["refresh_token"]
    r3 = refresh(wiring, r2, now=NOON + 1)["refresh_token"]

    assert refused(wiring, R1.text, now=NOON + 2) == "invalid_grant"

    assert status(wiring) == "revoked"
    assert refused(wiring, r3, now=NOON + 3) == "invalid_grant"
    assert "session.reuse_detected" in actions(wiring)


def test_s13_predecessor_after_the_grace_is_reuse(wiring):
    """After 30 s the whole family is revoked and the trail says why."""
    r2 = refresh(wiring, R1.text)["refresh_token"]

    assert refused(wiring, R1.text, now=NOON + 31) == "invalid_grant"

    assert refused(wiring, r2, now=NOON + 32) == "invalid_grant"
    entry = next(entry for entry in trail(wiring) if entry["action"] == "session.reuse_detected")
    assert (entry["reason"], entry["sub"], entry["client_id"]) == ("refresh_token_reused", ALICE.sub, "spa")


def test_s13_reuse_is_told_on_the_bus(wiring):
    """By ids and the reason: whoever listens learns no token and no family."""
    refresh(wiring, R1.text)
    refused(wiring, R1.text, now=NOON + 31)
    entries = [event_of(item) for item in wiring.aws.dynamodb.dump("audit")]

    (told,) = [announcement(entry) for entry in entries if entry.action == "session.reuse_detected"]

    assert told[0] == "Refresh Token Reuse Detected"
    assert (told[1]["sub"], told[1]["client_id"], told[1]["reason"]) == (ALICE.sub, "spa", "refresh_token_reused")
    assert not {"fam_one", R1.secret} & set(map(str, told[1].values()))


def test_s14_thirty_two_concurrent_refreshes_rotate_once(wiring):
    """All get the same successor; there are never two live ones."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: refresh(wiring, R1.text)["refresh_token"], range(32)))

    assert len(set(answers)) == 1
    assert wiring.sessions.get("fam_one").counter == 2
    assert status(wiring) == "active"


def test_s15_order_is_by_counter_not_by_time(wiring):
    """Two rotations within one second: the oldest token is reuse all the same."""
    r2 = refresh(wiring, R1.text)["refresh_token"]
    refresh(wiring, r2)

    assert refused(wiring, R1.text) == "invalid_grant"

    assert status(wiring) == "revoked"


def test_s16_reuse_is_detected_by_another_execution_environment(wiring):
    """Nothing is remembered in memory: a fresh environment over the same tables knows."""
    r2 = refresh(wiring, R1.text)["refresh_token"]
    refresh(wiring, r2, now=NOON + 1)
    elsewhere = memory_wiring(aws=wiring.aws)

    assert refused(elsewhere, R1.text, now=NOON + 2) == "invalid_grant"

    assert status(wiring) == "revoked"


def test_s17_revoke_wins_over_a_refresh_that_read_before_it(wiring):
    """The revoke comes between the refresh's read and its write: nothing is given out."""

    class RevokedMeanwhile:
        def __getattr__(self, name):
            return getattr(wiring.sessions, name)

        def rotate(self, successor, *, expected_counter):
            wiring.sessions.revoke("fam_one", audit=audit_event("session.revoked"))
            return wiring.sessions.rotate(successor, expected_counter=expected_counter)

    with pytest.raises(OAuthError, match="not valid"):
        refresh_session(
            {"refresh_token": R1.text},
            client=PUBLIC_CLIENT,
            sessions=RevokedMeanwhile(),
            users=wiring.users,
            signer=wiring.signer,
            issuer=ISSUER,
            now=NOON,
            request_id="r-1",
        )

    assert status(wiring) == "revoked"


def test_s17_no_token_is_usable_after_a_revoke_that_raced(wiring):
    """Threads refresh while one revokes; whatever they got, nothing refreshes afterwards."""
    got: list[str] = []

    def attempt(index: int) -> None:
        if index == 7:
            wiring.sessions.revoke("fam_one", audit=audit_event("session.revoked"))
            return
        with contextlib.suppress(OAuthError):
            got.append(refresh(wiring, R1.text)["refresh_token"])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(attempt, range(16)))

    assert status(wiring) == "revoked"
    for token in {*got, R1.text}:
        assert refused(wiring, token, now=NOON + 1) == "invalid_grant"


def test_s18_session_ends_after_thirty_days_however_much_it_is_used(wiring):
    """Use prolongs the idle time, never the absolute one."""
    token = R1.text
    for week in range(1, 5):
        token = refresh(wiring, token, now=NOON + week * 6 * DAY)["refresh_token"]
    assert wiring.sessions.get("fam_one").idle_expires_at == NOON + 30 * DAY

    assert refused(wiring, token, now=NOON + 30 * DAY) == "invalid_grant"


def test_s18_last_access_token_does_not_outlive_the_session(wiring):
    """A minute before the end the access token lives a minute."""
    almost = replace(SESSION, family="fam_two", sid="sid_two", expires_at=NOON + 60)
    wiring.sessions.create(almost, audit=audit_event("user.signed_in"))

    answer = refresh(wiring, RefreshToken("fam_two", R1.secret).text)

    assert answer["expires_in"] == 60


def test_s18_idle_session_ends_after_seven_days(wiring):
    """By our clock, though the item is still stored."""
    assert refused(wiring, R1.text, now=NOON + 7 * DAY) == "invalid_grant"


def test_s19_token_presented_by_another_client_ends_the_family(wiring):
    """It can only have been stolen."""
    assert refused(wiring, R1.text, client=CONFIDENTIAL_CLIENT) == "invalid_grant"

    assert status(wiring) == "revoked"
    assert "used_by_another_client" in [entry.get("reason") for entry in trail(wiring)]


@pytest.mark.parametrize(
    "text",
    ["gkr_", "gkr_fam_one", "gkr_fam_one_short", "xkr_fam_one_" + "a" * 43, "gkr_" + "f" * 90 + "_" + "a" * 43,
     "gkr_fam_one_" + "a" * 42 + "!", "gkr_fam_one_" + "a" * 43 + "\n", "é" * 60, "x" * 10_000],
)  # fmt: skip
def test_s20_malformed_token_costs_no_read(wiring, text):
    """What cannot be ours is refused before the store is asked."""
    reads = len(wiring.aws.dynamodb.faults.calls)

    assert refused(wiring, text) == "invalid_grant"

    assert len(wiring.aws.dynamodb.faults.calls) == reads


def test_s20_guess_within_a_live_family_ends_it(wiring):
    """Any other secret with a valid family is reuse: the family is known to its holder only."""
    assert refused(wiring, RefreshToken("fam_one", "b" * 43).text) == "invalid_grant"

    assert status(wiring) == "revoked"


def test_unknown_family_is_refused(wiring):
    """And nothing is written."""
    before = len(trail(wiring))

    assert refused(wiring, RefreshToken("fam_none", "b" * 43).text) == "invalid_grant"

    assert len(trail(wiring)) == before


def test_s21_stored_session_replays_nothing(wiring):
    """The table holds hashes and a successor sealed under a secret it does not hold."""
    r2 = refresh(wiring, R1.text)["refresh_token"]

    stored = repr(wiring.aws.dynamodb.scan(TableName="requests")["Items"])

    assert R1.secret not in stored
    assert r2[-43:] not in stored


def test_scope_may_be_narrowed_and_the_session_keeps_its_own(wiring):
    """RFC 6749 section 6."""
    narrowed = refresh(wiring, R1.text, scope="email")

    assert narrowed["scope"] == "email"
    assert "id_token" not in narrowed
    assert refresh(wiring, narrowed["refresh_token"], now=NOON + 1)["scope"] == "openid email connections:read"


def test_scope_may_not_be_widened_and_asking_costs_nothing(wiring):
    """The token asked with is still good."""
    assert refused(wiring, R1.text, scope="openid account:write") == "invalid_scope"

    assert refresh(wiring, R1.text)["token_type"] == "Bearer"


def test_scope_the_client_lost_is_gone_with_the_next_token(wiring):
    """Effective scopes are worked out anew at every refresh."""
    poorer = replace(PUBLIC_CLIENT, scopes=("openid",))

    assert refresh(wiring, R1.text, client=poorer)["scope"] == "openid"


def test_role_change_shows_in_the_next_token(wiring):
    """A user made admin at a client that may ask for it gets the scope; demoted, he loses it."""
    admin_client = replace(PUBLIC_CLIENT, scopes=(*PUBLIC_CLIENT.scopes, "admin:read"))
    session = replace(SESSION, family="fam_adm", sid="sid_adm", scopes=("openid", "admin:read"))
    wiring.sessions.create(session, audit=audit_event("user.signed_in"))
    token = RefreshToken("fam_adm", R1.secret).text

    before = refresh(wiring, token, client=admin_client)
    wiring.users.update(replace(ALICE, role="admin"), expected_version=1, audit=audit_event("user.role"))
    after = refresh(wiring, before["refresh_token"], client=admin_client, now=NOON + 1)

    assert (before["scope"], after["scope"]) == ("openid", "openid admin:read")


def test_s09_suspended_user_refreshes_nothing(wiring):
    """The family does not move."""
    wiring.users.update(replace(ALICE, status="suspended"), expected_version=1, audit=audit_event("user.suspended"))

    assert refused(wiring, R1.text) == "invalid_grant"

    assert wiring.sessions.get("fam_one").counter == 1


def test_s28_key_trouble_costs_no_rotation(wiring):
    """Without a signature the family stays where it is, and the same token works afterwards."""
    wiring.aws.kms.disable()
    try:
        with pytest.raises(StoreUnavailable):
            refresh(wiring, R1.text)
    finally:
        wiring.aws.kms.enable()

    assert wiring.sessions.get("fam_one").counter == 1
    assert refresh(wiring, R1.text, now=NOON + 1)["token_type"] == "Bearer"


def test_refreshed_id_token_keeps_auth_time_and_has_no_nonce(wiring):
    """OpenID Connect Core section 12.2."""
    from joserfc import jwt
    from joserfc.jwk import KeySet

    answer = refresh(wiring, R1.text)

    claims = jwt.decode(answer["id_token"], KeySet.import_key_set(wiring.key_set.jwks()), algorithms=["RS256"]).claims
    assert claims["auth_time"] == NOON - 50
    assert "nonce" not in claims
    assert (claims["iss"], claims["sub"], claims["sid"]) == (ISSUER, ALICE.sub, "sid_one")


def test_missing_parameter_is_an_invalid_request(wiring):
    """RFC 6749 section 5.2."""
    assert refused(wiring, "") == "invalid_request"


def test_edited_successor_is_refused(wiring):
    """A row edited in the table opens nothing."""
    refresh(wiring, R1.text)
    stored = wiring.sessions.get("fam_one")
    wiring.sessions.rotate(
        replace(stored, sealed_successor=stored.sealed_successor[:-1] + b"x"), expected_counter=stored.counter
    )

    assert refused(wiring, R1.text, now=NOON + 1) == "invalid_grant"
    assert ids.digest(R1.secret) == wiring.sessions.get("fam_one").previous_hash
