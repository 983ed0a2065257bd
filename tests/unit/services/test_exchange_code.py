"""Codes are good once, for whom and what they were issued to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from grantkeeper import ids
from grantkeeper.errors import OAuthError, StoreUnavailable
from grantkeeper.model import AuthorizationCode
from grantkeeper.oauth.pkce import code_challenge
from grantkeeper.services.exchange_code import exchange_code
from grantkeeper.services.refresh_session import refresh_session
from tests.doubles.deployment import (
    ALICE,
    CONFIDENTIAL_CLIENT,
    ISSUER,
    PUBLIC_CLIENT,
    REDIRECT_URI,
    VERIFIER,
    actions,
    deployment,
    provision,
    trail,
)
from tests.doubles.provider import NOON

FORM = {"code": "the-code", "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}
CODE = AuthorizationCode(
    code_hash=ids.digest("the-code"),
    client_id="spa",
    redirect_uri=REDIRECT_URI,
    code_challenge=code_challenge(VERIFIER),
    sub=ALICE.sub,
    scopes=("openid", "email", "connections:token", "admin:write"),
    provider="example",
    expires_at=NOON + 60,
    family="fam_one",
    nonce="n-1",
    auth_time=NOON - 100,
)


@pytest.fixture
def wiring():
    wiring = deployment()
    provision(wiring)
    return wiring


def exchange(wiring: Any, form: dict[str, str] | None = None, *, client=PUBLIC_CLIENT, now: int = NOON) -> Any:
    return exchange_code(
        FORM if form is None else form,
        client=client,
        codes=wiring.codes,
        sessions=wiring.sessions,
        users=wiring.users,
        signer=wiring.signer,
        issuer=ISSUER,
        now=now,
        request_id="r-1",
    )


def refresh(wiring: Any, token: str, *, now: int = NOON) -> Any:
    return refresh_session(
        {"refresh_token": token},
        client=PUBLIC_CLIENT,
        sessions=wiring.sessions,
        users=wiring.users,
        signer=wiring.signer,
        issuer=ISSUER,
        now=now,
        request_id="r-2",
    )


def claims_of(wiring: Any, token: str, *, alg: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Verified by an independent implementation."""
    decoded = jwt.decode(token, KeySet.import_key_set(wiring.key_set.jwks()), algorithms=[alg])
    return decoded.header, decoded.claims


def test_code_buys_an_access_token_an_id_token_and_a_refresh_token(wiring):
    """The token response is that of RFC 6749 section 5.1 and OpenID Connect Core section 3.1.3.3."""
    wiring.codes.put(CODE)

    answer = exchange(wiring)

    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 900
    header, access = claims_of(wiring, answer["access_token"], alg="ES256")
    assert header["typ"] == "at+jwt"
    assert (access["iss"], access["aud"], access["sub"]) == (ISSUER, ISSUER, ALICE.sub)
    assert (access["client_id"], access["iat"], access["exp"]) == ("spa", NOON, NOON + 900)
    assert access["auth_time"] == NOON - 100
    _, identity = claims_of(wiring, answer["id_token"], alg="RS256")
    assert (identity["aud"], identity["azp"], identity["nonce"]) == ("spa", "spa", "n-1")
    assert identity["sid"] == access["sid"]
    assert "email" not in identity
    assert wiring.sessions.get("fam_one").current_hash == ids.digest(answer["refresh_token"][-43:])
    assert "user.signed_in" in actions(wiring)


def test_s30_access_token_is_small_and_says_nothing_about_the_person(wiring):
    """No claim but the sub points at a person, and the token stays under 1 KB."""
    wiring.codes.put(CODE)

    answer = exchange(wiring)

    _, access = claims_of(wiring, answer["access_token"], alg="ES256")
    assert set(access) == {"iss", "sub", "aud", "client_id", "scope", "sid", "jti", "iat", "exp", "auth_time"}
    assert len(answer["access_token"]) < 1024


def test_at_hash_binds_the_id_token_to_the_access_token(wiring):
    """OpenID Connect Core section 3.1.3.6: the left half of the SHA-256 of the access token."""
    import base64
    import hashlib

    wiring.codes.put(CODE)

    answer = exchange(wiring)

    _, identity = claims_of(wiring, answer["id_token"], alg="RS256")
    half = hashlib.sha256(answer["access_token"].encode()).digest()[:16]
    assert identity["at_hash"] == base64.urlsafe_b64encode(half).rstrip(b"=").decode()


def test_scopes_are_requested_and_the_clients_and_the_roles(wiring):
    """A public client never gets connections:token, a user never an admin scope."""
    wiring.codes.put(CODE)
    wiring.codes.put(replace(CODE, code_hash=ids.digest("c2"), client_id="backend", family="fam_two"))

    public = exchange(wiring)
    confidential = exchange(wiring, FORM | {"code": "c2"}, client=CONFIDENTIAL_CLIENT)

    assert public["scope"] == "openid email"
    assert confidential["scope"] == "openid email connections:token"


def test_client_may_ask_for_es256_id_tokens(wiring):
    """The algorithm is the client's registered one."""
    wiring.codes.put(CODE)

    answer = exchange(wiring, client=replace(PUBLIC_CLIENT, id_token_signed_response_alg="ES256"))

    claims_of(wiring, answer["id_token"], alg="ES256")


def test_resource_becomes_the_audience(wiring):
    """RFC 8707: a token for a team's API is for that API alone."""
    wiring.codes.put(replace(CODE, resource="https://reports.example.com"))

    answer = exchange(wiring, FORM | {"resource": "https://reports.example.com"})

    _, access = claims_of(wiring, answer["access_token"], alg="ES256")
    assert access["aud"] == "https://reports.example.com"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code": "another"}, "invalid_grant"),
        ({"code": "x" * 9000}, "invalid_grant"),
        ({"redirect_uri": REDIRECT_URI + "/"}, "invalid_grant"),
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_request"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"redirect_uri": ""}, "invalid_request"),
        ({"code": ""}, "invalid_request"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
    ],
)
def test_code_is_bound_to_its_request(wiring, change, error):
    """Anything else than what the code was issued to buys nothing and opens no session."""
    wiring.codes.put(CODE)

    with pytest.raises(OAuthError) as refused:
        exchange(wiring, FORM | change)

    assert refused.value.error == error
    assert wiring.sessions.get("fam_one") is None


def test_code_of_another_client_buys_nothing(wiring):
    """A code stolen by another client of ours is spent, not honoured."""
    wiring.codes.put(CODE)

    with pytest.raises(OAuthError, match="another client"):
        exchange(wiring, client=CONFIDENTIAL_CLIENT)

    with pytest.raises(OAuthError):
        exchange(wiring)


def test_malformed_request_does_not_cost_the_code(wiring):
    """A client that forgot its verifier may send the same code again."""
    wiring.codes.put(CODE)
    with pytest.raises(OAuthError):
        exchange(wiring, {"code": "the-code", "redirect_uri": REDIRECT_URI})

    assert exchange(wiring)["token_type"] == "Bearer"


def test_code_expires_after_a_minute_by_our_clock(wiring):
    """TTL is not trusted: the item is still there."""
    wiring.codes.put(CODE)

    with pytest.raises(OAuthError, match="expired"):
        exchange(wiring, now=NOON + 60)


def test_second_use_of_a_code_revokes_what_the_first_got(wiring):
    """RFC 6749 section 4.1.2."""
    wiring.codes.put(CODE)
    first = exchange(wiring)

    with pytest.raises(OAuthError, match="used already"):
        exchange(wiring)

    assert wiring.sessions.get("fam_one").status == "revoked"
    with pytest.raises(OAuthError):
        refresh(wiring, first["refresh_token"])
    assert "code_used_twice" in [entry.get("reason") for entry in trail(wiring)]


def test_second_use_that_overtakes_the_first_leaves_it_without_a_session(wiring):
    """The second use arrives when the first has redeemed the code and not yet stored its session."""
    wiring.codes.put(CODE)

    class Overtaken:
        def create(self, session, *, audit):
            if session.status == "active":
                with pytest.raises(OAuthError, match="used already"):
                    exchange(wiring)
            return wiring.sessions.create(session, audit=audit)

    with pytest.raises(OAuthError, match="used already"):
        exchange_code(
            FORM,
            client=PUBLIC_CLIENT,
            codes=wiring.codes,
            sessions=Overtaken(),
            users=wiring.users,
            signer=wiring.signer,
            issuer=ISSUER,
            now=NOON,
            request_id="r-1",
        )

    assert wiring.sessions.get("fam_one").status == "revoked"


def test_thirty_two_simultaneous_exchanges_leave_no_session(wiring):
    """However they interleave, at most one is answered, and what it got is dead."""
    wiring.codes.put(CODE)

    def attempt(_: int) -> str | None:
        try:
            return exchange(wiring)["refresh_token"]
        except OAuthError:
            return None

    with ThreadPoolExecutor(8) as pool:
        answers = [token for token in pool.map(attempt, range(32)) if token]

    assert len(answers) <= 1
    assert wiring.sessions.get("fam_one").status == "revoked"


def test_suspended_user_gets_no_session(wiring):
    """Suspension counts from the next exchange on."""
    wiring.codes.put(CODE)
    from tests.doubles.deployment import audit_event

    assert wiring.users.update(
        replace(ALICE, status="suspended"), expected_version=1, audit=audit_event("user.suspended")
    )

    with pytest.raises(OAuthError, match="may not sign in"):
        exchange(wiring)

    assert wiring.sessions.get("fam_one") is None


def test_s28_no_signing_key_issues_nothing(wiring):
    """Issuing fails closed: no session is opened for tokens that could not be signed."""
    wiring.codes.put(CODE)
    wiring.aws.kms.disable()
    try:
        with pytest.raises(StoreUnavailable):
            exchange(wiring)
    finally:
        wiring.aws.kms.enable()

    assert wiring.sessions.get("fam_one") is None
