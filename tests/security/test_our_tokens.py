"""
Our own tokens, as strangers bring them: for another API, of another kind, guessed, with a proof nobody asked for; at
every function that believes one. And what a sign-in makes: always a new session.
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from grantkeeper import ids
from grantkeeper.edge import principals
from grantkeeper.edge.http import Request
from grantkeeper.errors import OAuthError, Unauthenticated
from grantkeeper.model import ALL_SCOPES, AuthorizationCode, Session
from grantkeeper.oauth.pkce import code_challenge
from grantkeeper.services.issue_tokens import RefreshToken, parse_refresh_token, sign_tokens
from grantkeeper.services.refresh_session import refresh_session
from tests.doubles.deployment import (
    ALICE,
    CONFIDENTIAL_CLIENT,
    ISSUER,
    PUBLIC_CLIENT,
    REDIRECT_URI,
    VERIFIER,
    deployment,
    provision,
    register,
)
from tests.support.functions import Function

REPORTS = "https://reports.example.com"
GUESSES = 100_000
SCOPES = ("openid", "profile", "connections:read", "connections:write", "account:write")
# One route of every function that believes an access token.
ROUTES = [
    ("account", "GET /v1/profile", {}),
    ("account", "DELETE /v1/sessions", {}),
    ("connections", "GET /v1/connections", {}),
    ("refresh", "GET /v1/connections/{id}/token", {"id": "con_unknown"}),
    ("admin_stats", "GET /metrics", {}),
    ("session", "GET /oauth2/userinfo", {}),
]


@pytest.fixture
def wiring(monkeypatch) -> Any:
    monkeypatch.setattr(principals, "_SHARED", principals.PrincipalCache())
    wiring = deployment()
    register(wiring, replace(PUBLIC_CLIENT, id_token_signed_response_alg="ES256"))
    provision(wiring)
    return wiring


def sign_in(wiring: Any, code: str = "the-code", **changes: Any) -> dict[str, Any]:
    """The token endpoint's answer to a code."""
    stored = AuthorizationCode(
        code_hash=ids.digest(code), client_id="spa", redirect_uri=REDIRECT_URI, sub=ALICE.sub, scopes=SCOPES,
        code_challenge=code_challenge(VERIFIER), provider="example", expires_at=int(time.time()) + 60,
        family=ids.new_id("fam"),
    )  # fmt: skip
    wiring.codes.put(replace(stored, **changes))
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, "client_id": "spa",
        "code_verifier": VERIFIER,
    }  # fmt: skip
    answer = Function("session", wiring)("POST /oauth2/token", form=form)
    assert answer.status == 200, answer.body
    return answer.json


def status(wiring: Any, route: tuple[str, str, dict[str, str]], headers: dict[str, str]) -> int:
    function, key, path = route
    return Function(function, wiring)(key, path_parameters=path or None, headers=headers).status


@pytest.mark.parametrize("route", [r for r in ROUTES if r[0] != "session"], ids=lambda route: route[1])
def test_s05_a_token_for_another_api_of_the_team_is_refused_at_v1(wiring, route):
    """RFC 8707: its audience is what it was asked for, and not us; userinfo alone takes it, for its `openid`."""
    tokens = sign_in(wiring, resource=REPORTS)

    assert status(wiring, route, {"authorization": f"Bearer {tokens['access_token']}"}) == 401


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route[1])
@pytest.mark.parametrize("kind", ["refresh_token", "id_token"])
def test_s07_no_other_token_of_ours_is_an_access_token(wiring, route, kind):
    """An ID token of the very same key and algorithm, and a refresh token, in either header."""
    token = sign_in(wiring)[kind]

    assert status(wiring, route, {"authorization": f"Bearer {token}"}) == 401
    assert status(wiring, route, {"x-api-key": token}) == 401


@pytest.mark.parametrize("kind", ["access_token", "id_token"])
def test_s07_an_access_or_id_token_refreshes_nothing(wiring, kind):
    """And costs the session nothing."""
    tokens = sign_in(wiring)
    session = Function("session", wiring)
    form = {"grant_type": "refresh_token", "client_id": "spa"}

    refused = session("POST /oauth2/token", form=form | {"refresh_token": tokens[kind]})

    assert (refused.status, refused.json["error"]) == (400, "invalid_grant")
    assert session("POST /oauth2/token", form=form | {"refresh_token": tokens["refresh_token"]}).status == 200


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route[1])
def test_s23_a_token_is_a_bearer_token_and_no_other_scheme_is_taken(wiring, route):
    """DPoP is not offered (RFC 9449): a proof beside a bearer token changes nothing, the scheme is refused."""
    tokens = sign_in(wiring)
    token = tokens["access_token"]

    assert tokens["token_type"] == "Bearer"
    assert status(wiring, route, {"authorization": f"DPoP {token}", "dpop": token}) == 401
    plain = status(wiring, route, {"authorization": f"Bearer {token}"})
    principals._SHARED._kept.clear()
    assert status(wiring, route, {"authorization": f"Bearer {token}", "dpop": "not-a-proof"}) in (plain, 401)


def test_s23_metadata_promises_no_proof_of_possession(wiring):
    """No `dpop_signing_alg_values_supported`, no certificate-bound tokens."""
    metadata = Function("discovery", wiring)("GET /.well-known/openid-configuration").json

    assert not [name for name in metadata if "dpop" in name or "certificate" in name]


@pytest.mark.story
def test_s20_a_hundred_thousand_guesses_find_nothing_and_write_nothing(wiring):
    """Each is one read by its own family; what stands in the tables is as it was."""
    token = parse_refresh_token(sign_in(wiring)["refresh_token"])
    assert token is not None
    assert len(token.secret) * 6 >= 256  # bits, base64url
    before = wiring.aws.dynamodb.dump("requests")
    faults = wiring.aws.dynamodb.faults
    faults.calls.clear()

    for _ in range(GUESSES):
        guess = RefreshToken(ids.new_id("fam"), ids.new_secret())
        with pytest.raises(OAuthError):
            refresh_session(
                {"refresh_token": guess.text}, client=PUBLIC_CLIENT, sessions=wiring.sessions, users=wiring.users,
                signer=wiring.signer, issuer=ISSUER, now=int(time.time()), request_id="r",
            )  # fmt: skip

    assert {operation for operation, _ in faults.calls} == {"get_item"}
    assert len(faults.calls) == GUESSES
    assert wiring.aws.dynamodb.dump("requests") == before


def test_s22_every_sign_in_is_a_new_session_whatever_the_browser_brings(wiring):
    """Nothing of an earlier session, planted or not, becomes a part of it (session fixation)."""
    planted = sign_in(wiring, "planted")
    cookies = {"__Host-gk_browser": "x" * 43, "sid": "sid_planted", "session": planted["refresh_token"]}
    again = AuthorizationCode(
        code_hash=ids.digest("again"), client_id="spa", redirect_uri=REDIRECT_URI, sub=ALICE.sub, scopes=SCOPES,
        code_challenge=code_challenge(VERIFIER), provider="example", expires_at=int(time.time()) + 60,
        family=ids.new_id("fam"),
    )  # fmt: skip
    wiring.codes.put(again)
    form = {
        "grant_type": "authorization_code", "code": "again", "redirect_uri": REDIRECT_URI, "client_id": "spa",
        "code_verifier": VERIFIER, "refresh_token": planted["refresh_token"], "sid": "sid_planted",
    }  # fmt: skip
    fresh = Function("session", wiring)("POST /oauth2/token", form=form, cookies=cookies).json

    old, new = (parse_refresh_token(answer["refresh_token"]) for answer in (planted, fresh))
    assert old.family != new.family
    sids = {session.sid for session in wiring.sessions.list(ALICE.sub)}
    assert len(sids) == 2
    assert "sid_planted" not in sids


def test_s30_the_largest_access_token_is_under_a_kilobyte(wiring):
    """Every scope, a role, a resource and an issuer as long as an API of AWS has them, a client id as we make them."""
    client = replace(CONFIDENTIAL_CLIENT, client_id=ids.new_id("cli"), scopes=ALL_SCOPES)
    now = int(time.time())
    session = Session(
        family=ids.new_id("fam"), sid=ids.new_id("sid"), sub=ids.new_id("usr"), client_id=client.client_id,
        scopes=ALL_SCOPES, provider="example", created_at=now, expires_at=now + 9_000_000,
        idle_expires_at=now + 9000, current_hash="h", auth_time=now, resource="https://" + "r" * 72,
    )  # fmt: skip
    admin = replace(ALICE, sub=session.sub, role="admin")

    issuer = "https://abcdefghij.execute-api.ap-northeast-1.amazonaws.com"
    answer = sign_tokens(
        session, user=admin, client=client, requested=ALL_SCOPES, issuer=issuer, signer=wiring.signer, now=now
    )

    assert set(answer["scope"].split()) == set(ALL_SCOPES)
    assert len(answer["access_token"]) <= 1024


def test_s03_invented_kids_cost_no_read_and_no_kms(wiring):
    """A flood of tokens with kids of nobody's: the published keys were read once."""
    token = sign_in(wiring)["access_token"]
    _, claims, signature = token.split(".")
    request = Request("GET /v1/profile", "GET", "/v1/profile", {}, {}, {}, {}, b"", "192.0.2.1", "r")
    wiring.key_set.jwks()
    kms = wiring.aws.kms.faults
    before = (len(wiring.aws.dynamodb.faults.calls), len(kms.calls))

    for number in range(1000):
        forged = base64.urlsafe_b64encode(
            json.dumps({"alg": "ES256", "kid": f"{number:043d}", "typ": "at+jwt"}).encode()
        ).rstrip(b"=")
        bearer = replace(request, headers={"authorization": f"Bearer {forged.decode()}.{claims}.{signature}"})
        with pytest.raises(Unauthenticated):
            principals.authenticate(
                bearer, issuer=ISSUER, key_set=wiring.key_set, api_keys=wiring.api_keys, clients=wiring.clients,
                sessions=wiring.sessions, users=wiring.users, now=int(time.time()),
            )  # fmt: skip

    assert (len(wiring.aws.dynamodb.faults.calls), len(kms.calls)) == before
