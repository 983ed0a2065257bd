"""The token endpoint and what belongs to a session, through the handler."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus

import pytest

from grantkeeper import ids, jws
from grantkeeper.model import AuthorizationCode
from grantkeeper.oauth.pkce import code_challenge
from tests.doubles.deployment import (
    ALICE,
    CONFIDENTIAL_CLIENT,
    ISSUER,
    ORIGIN,
    PUBLIC_CLIENT,
    REDIRECT_URI,
    SECRET,
    VERIFIER,
    actions,
    audit_event,
    deployment,
    provision,
    register,
)
from tests.support.functions import Answer, Function

EXCHANGE = {
    "grant_type": "authorization_code",
    "code": "the-code",
    "redirect_uri": REDIRECT_URI,
    "code_verifier": VERIFIER,
    "client_id": "spa",
}
BASIC = {
    "authorization": "Basic " + base64.b64encode(f"backend:{quote_plus(SECRET)}".encode()).decode(),
}
FROM_PAGE = {"origin": ORIGIN}


@pytest.fixture
def wiring() -> Any:
    wiring = deployment()
    provision(wiring)
    return wiring


@pytest.fixture
def session(wiring) -> Function:
    return Function("session", wiring)


def put_code(wiring: Any, **changes: Any) -> None:
    code = AuthorizationCode(
        code_hash=ids.digest("the-code"),
        client_id="spa",
        redirect_uri=REDIRECT_URI,
        code_challenge=code_challenge(VERIFIER),
        sub=ALICE.sub,
        scopes=("openid", "profile", "email"),
        provider="example",
        expires_at=int(time.time()) + 60,
        family=ids.new_id("fam"),
    )
    wiring.codes.put(replace(code, **changes))


def signed_in(wiring: Any, session: Function, **changes: Any) -> dict[str, Any]:
    put_code(wiring, **changes)
    answer = session("POST /oauth2/token", form=EXCHANGE)
    assert answer.status == 200, answer.body
    return answer.json


def refresh(session: Function, token: str) -> Answer:
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "spa"}
    return session("POST /oauth2/token", form=form)


def test_code_is_exchanged(wiring, session):
    """The token response, never stored by anybody on the way, readable for the registered page."""
    put_code(wiring)

    answer = session("POST /oauth2/token", form=EXCHANGE, headers=FROM_PAGE)

    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert set(answer.json) == {"access_token", "token_type", "expires_in", "scope", "id_token", "refresh_token"}


def test_confidential_client_exchanges_with_basic(wiring, session):
    """A secret with every awkward character, form-encoded as RFC 6749 section 2.3.1 says."""
    put_code(wiring, client_id="backend")
    form = {name: value for name, value in EXCHANGE.items() if name != "client_id"}

    assert session("POST /oauth2/token", form=form, headers=BASIC).status == 200


def test_refresh_goes_on(wiring, session):
    """Each answer's refresh token buys the next one."""
    token = signed_in(wiring, session)["refresh_token"]

    for _ in range(3):
        answer = refresh(session, token)
        assert answer.status == 200
        token = answer.json["refresh_token"]


@pytest.mark.parametrize(
    ("request_parts", "status", "error"),
    [
        ({"form": {}}, 400, "invalid_request"),
        ({"form": EXCHANGE | {"grant_type": "password"}}, 400, "unsupported_grant_type"),
        ({"form": EXCHANGE | {"grant_type": "client_credentials"}}, 400, "unsupported_grant_type"),
        ({"form": EXCHANGE | {"client_id": "unknown"}}, 401, "invalid_client"),
        ({"form": EXCHANGE | {"client_secret": "x"}}, 401, "invalid_client"),
        ({"form": EXCHANGE, "headers": BASIC}, 400, "invalid_request"),
        ({"form": EXCHANGE | {"code": "wrong"}}, 400, "invalid_grant"),
        ({"form": "grant_type=authorization_code&code=a&code=b&client_id=spa"}, 400, "invalid_request"),
        ({"form": "&".join(f"a{n}=1" for n in range(100))}, 400, "invalid_request"),
        ({"form": "grant_type=%ff%fe"}, 400, "invalid_request"),
        ({"form": {"grant_type": "refresh_token", "client_id": "spa"}}, 400, "invalid_request"),
        ({"form": {"grant_type": "refresh_token", "client_id": "spa", "refresh_token": "x"}}, 400, "invalid_grant"),
    ],
)
def test_errors_have_the_form_of_rfc_6749(session, request_parts, status, error):
    """Section 5.2; the page that called may read them (W-18: nothing of the request is echoed)."""
    request_parts = {**request_parts, "headers": {**FROM_PAGE, **request_parts.get("headers", {})}}

    answer = session("POST /oauth2/token", **request_parts)

    assert (answer.status, answer.json["error"]) == (status, error)
    assert set(answer.json) <= {"error", "error_description"}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert ("www-authenticate" in answer.headers) == (status == 401)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json"},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded; charset=utf-7"},
        {"content-encoding": "gzip"},
    ],
)
def test_w04_w12_other_bodies_are_refused(session, headers):
    """A form in UTF-8, nothing else."""
    assert session("POST /oauth2/token", form=EXCHANGE, headers=headers).status == 415


def test_w13_large_body_is_refused_before_it_is_read(session):
    """Over 64 KiB."""
    assert session("POST /oauth2/token", form="a=" + "x" * 70_000).status == 413


def test_credentials_in_the_url_count_for_nothing(wiring, session):
    """Only the body is read (RFC 6749 section 2.3.1)."""
    put_code(wiring)

    answer = session("POST /oauth2/token", query=EXCHANGE, form={"grant_type": "authorization_code"})

    assert answer.json["error"] == "invalid_client"


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_s24_revocation_ends_the_session(wiring, session, kind):
    """Either token: the refresh token is dead at once, and so is userinfo (RFC 7009)."""
    tokens = signed_in(wiring, session)

    answer = session("POST /oauth2/revoke", form={"token": tokens[kind], "client_id": "spa"}, headers=FROM_PAGE)

    assert (answer.status, answer.json, answer.headers["content-type"]) == (200, {}, "application/json")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert refresh(session, tokens["refresh_token"]).json["error"] == "invalid_grant"
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    assert session("GET /oauth2/userinfo", headers=bearer).status == 401
    assert "session.revoked" in actions(wiring)


def test_revoking_twice_and_revoking_nothing_are_successes(wiring, session):
    """RFC 7009 section 2.2."""
    token = signed_in(wiring, session)["refresh_token"]

    for text in (token, token, "gkr_fam_none_" + "a" * 43, "nonsense", "a.b.c"):
        assert session("POST /oauth2/revoke", form={"token": text, "client_id": "spa"}).status == 200


def test_other_clients_token_is_not_revoked(wiring, session):
    """And the client is told (RFC 7009 section 2.1)."""
    tokens = signed_in(wiring, session)

    answer = session("POST /oauth2/revoke", form={"token": tokens["refresh_token"]}, headers=BASIC)

    assert answer.json["error"] == "invalid_grant"
    assert refresh(session, tokens["refresh_token"]).status == 200


def test_revocation_needs_a_client_and_a_token(session):
    """RFC 7009 section 2.1."""
    assert session("POST /oauth2/revoke", form={"token": "x"}).json["error"] == "invalid_client"
    assert session("POST /oauth2/revoke", form={"client_id": "spa"}).json["error"] == "invalid_request"


def introspected(session: Function, token: str, headers: dict[str, str] = BASIC, **form: str) -> Answer:
    return session("POST /oauth2/introspect", form={"token": token, **form}, headers=headers)


def test_introspection_tells_a_client_of_its_own_tokens(wiring, session):
    """Active while the session lives, and not a moment longer (RFC 7662)."""
    put_code(wiring, client_id="backend")
    form = {name: value for name, value in EXCHANGE.items() if name != "client_id"}
    tokens = session("POST /oauth2/token", form=form, headers=BASIC).json

    access = introspected(session, tokens["access_token"]).json
    refresh_token = introspected(session, tokens["refresh_token"]).json
    session("POST /oauth2/revoke", form={"token": tokens["refresh_token"]}, headers=BASIC)

    assert (access["active"], access["sub"], access["client_id"]) == (True, ALICE.sub, "backend")
    assert (refresh_token["active"], refresh_token["sub"]) == (True, ALICE.sub)
    assert introspected(session, tokens["access_token"]).json == {"active": False}
    assert introspected(session, tokens["refresh_token"]).json == {"active": False}


def test_introspection_is_for_confidential_clients_about_their_own(wiring, session):
    """A public client learns nothing, a confidential one nothing of others; garbage is merely inactive."""
    tokens = signed_in(wiring, session)

    public = session("POST /oauth2/introspect", form={"token": tokens["access_token"], "client_id": "spa"})

    assert (public.status, public.json["error"]) == (401, "invalid_client")
    for token in (tokens["access_token"], tokens["refresh_token"], tokens["id_token"], "garbage", "é"):
        assert introspected(session, token).json == {"active": False}


def test_introspection_by_the_api_a_token_is_for(wiring, session):
    """A resource server that registered the resource may ask about tokens for it."""
    tokens = signed_in(wiring, session, resource="https://reports.example.com")

    assert introspected(session, tokens["access_token"]).json["aud"] == "https://reports.example.com"


def test_s24_a_token_of_a_client_that_was_disabled_is_good_for_nobody(wiring, session):
    """Neither for the API it is for, which asks another client's name, nor at userinfo: both at once."""
    tokens = signed_in(wiring, session, resource="https://reports.example.com")
    assert introspected(session, tokens["access_token"]).json["active"]
    register(wiring, replace(PUBLIC_CLIENT, status="disabled"))

    assert introspected(session, tokens["access_token"]).json == {"active": False}
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    assert session("GET /oauth2/userinfo", headers=bearer).status == 401


def test_s09_introspection_sees_a_suspended_user(wiring, session):
    """At once."""
    put_code(wiring, client_id="backend")
    form = {name: value for name, value in EXCHANGE.items() if name != "client_id"}
    tokens = session("POST /oauth2/token", form=form, headers=BASIC).json
    wiring.users.update(replace(ALICE, status="suspended"), expected_version=1, audit=audit_event("user.suspended"))

    assert introspected(session, tokens["access_token"]).json == {"active": False}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_userinfo_tells_by_scope(wiring, session, method):
    """profile and email each open their claims (OpenID Connect Core section 5.4)."""
    tokens = signed_in(wiring, session)

    answer = session(
        f"{method} /oauth2/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}", **FROM_PAGE}
    )

    assert answer.json == {
        "sub": ALICE.sub,
        "name": "Alice Example",
        "updated_at": ALICE.updated_at,
        "email": "alice@example.com",
        "email_verified": True,
    }
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_userinfo_without_scopes_is_the_sub(wiring, session):
    """Nothing more than was granted."""
    tokens = signed_in(wiring, session, scopes=("openid",))

    answer = session("GET /oauth2/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})

    assert answer.json == {"sub": ALICE.sub}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer nonsense", "Basic YTpi", "Bearer a.b.c"])
def test_userinfo_needs_a_token_of_ours(session, header):
    """401 in the form of RFC 6750 section 3."""
    answer = session("GET /oauth2/userinfo", headers={"authorization": header} if header else {})

    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_userinfo_takes_no_token_from_the_url_and_no_id_token(wiring, session):
    """RFC 6750 section 2.3 is not offered; an ID token is not an access token (S-07)."""
    tokens = signed_in(wiring, session)

    assert session("GET /oauth2/userinfo", query={"access_token": tokens["access_token"]}).status == 401
    bearer = {"authorization": f"Bearer {tokens['id_token']}"}
    assert session("GET /oauth2/userinfo", headers=bearer).status == 401


def test_userinfo_tells_the_bearer_of_a_token_for_an_api_of_the_team(wiring, session):
    """It takes what an authentication request got (OpenID Connect Core 5.3.1), whatever `resource` that named."""
    tokens = signed_in(wiring, session, resource="https://reports.example.com")

    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    assert session("GET /oauth2/userinfo", headers=bearer).json["sub"] == ALICE.sub


@pytest.mark.parametrize("aud", ["https://other.example.com", ISSUER, ["https://reports.example.com"], None])
def test_s05_userinfo_refuses_an_audience_that_its_session_never_had(wiring, session, aud):
    """Also one that is otherwise whole and signed by us."""
    tokens = signed_in(wiring, session, resource="https://reports.example.com")
    _, claims = jws.verify_jws(
        tokens["access_token"], key_set=wiring.key_set, algorithms=("ES256",), typ=jws.ACCESS_TOKEN_TYPE
    )
    claims = {**claims, "aud": aud}
    forged = wiring.signer.sign(claims, alg="ES256", typ="at+jwt")

    assert session("GET /oauth2/userinfo", headers={"authorization": f"Bearer {forged}"}).status == 401


def test_end_session_by_id_token(wiring, session):
    """The session ends and the browser goes where the client registered, with its state."""
    tokens = signed_in(wiring, session)

    answer = session(
        "GET /oauth2/end-session",
        query={
            "id_token_hint": tokens["id_token"],
            "post_logout_redirect_uri": "https://app.example.com/bye",
            "state": "a b&c",
        },
    )

    assert (answer.status, answer.location) == (303, "https://app.example.com/bye?state=a%20b%26c")
    assert refresh(session, tokens["refresh_token"]).json["error"] == "invalid_grant"


def test_end_session_without_a_hint_ends_nothing(wiring, session):
    """A page on another site can send the browser here; it must not sign anybody out."""
    tokens = signed_in(wiring, session)

    answer = session("GET /oauth2/end-session", query={"client_id": "spa"})

    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert refresh(session, tokens["refresh_token"]).status == 200


@pytest.mark.parametrize(
    "uri", ["https://evil.example", "//evil.example", "https://app.example.com/bye/", "javascript:alert(1)"]
)
def test_w01_end_session_is_no_open_redirector(wiring, session, uri):
    """Only a registered URI is followed, and nothing is ended on the way."""
    tokens = signed_in(wiring, session)
    hint = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": uri}

    answer = session("GET /oauth2/end-session", query=hint)

    assert answer.status == 400
    assert "location" not in answer.headers
    assert refresh(session, tokens["refresh_token"]).status == 200


def test_w01_a_disabled_clients_pages_are_followed_no_more(wiring, session):
    """Who switches a client off wants no browser sent there."""
    register(wiring, replace(PUBLIC_CLIENT, status="disabled"))
    query = {"client_id": "spa", "post_logout_redirect_uri": PUBLIC_CLIENT.post_logout_redirect_uris[0]}

    answer = session("GET /oauth2/end-session", query=query)

    assert answer.status == 400
    assert "location" not in answer.headers


def test_end_session_believes_no_foreign_hint(wiring, session):
    """An access token, garbage, or another client's hint is none."""
    tokens = signed_in(wiring, session)

    for hint in (tokens["access_token"], "garbage", tokens["id_token"][:-4] + "AAAA"):
        session("GET /oauth2/end-session", query={"id_token_hint": hint})
    mixed = session("GET /oauth2/end-session", query={"id_token_hint": tokens["id_token"], "client_id": "backend"})

    assert mixed.status == 400
    assert refresh(session, tokens["refresh_token"]).status == 200


@pytest.mark.parametrize("path", ["token", "revoke"])
def test_w03_preflight(session, path):
    """POST from the registered origin, and nothing from others."""
    allowed = session(f"OPTIONS /oauth2/{path}", headers=FROM_PAGE)
    refused = session(f"OPTIONS /oauth2/{path}", headers={"origin": "https://evil.example"})

    assert (allowed.status, allowed.headers["access-control-allow-methods"]) == (204, "POST")
    assert not [name for name in refused.headers if name.startswith("access-control")]


def test_introspection_has_no_cors(session):
    """It is for servers."""
    answer = session("POST /oauth2/introspect", form={"token": "x"}, headers={**BASIC, **FROM_PAGE})

    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert session("OPTIONS /oauth2/introspect", headers=FROM_PAGE).status == 405


def test_s28_key_trouble_is_a_503(wiring, session, capsys):
    """With a time to come back, and no tokens; the operator's alarm hears of it."""
    wiring.env["POWERTOOLS_METRICS_NAMESPACE"] = "Grantkeeper"
    put_code(wiring)
    wiring.aws.kms.disable()
    try:
        answer = session("POST /oauth2/token", form=EXCHANGE, headers=FROM_PAGE)
    finally:
        wiring.aws.kms.enable()

    assert answer.status == 503
    assert answer.headers["retry-after"]
    assert "access_token" not in answer.body
    assert '"KmsRefused":[1.0]' in capsys.readouterr().out


def test_l02_a_bug_is_logged_without_values(wiring, session, caplog):
    """500 with nothing in the body; the log has type and place, not the message that quotes a token."""

    class Broken:
        def get(self, _):
            raise RuntimeError("CANARY-secret-value")

    wiring.__dict__["clients"] = Broken()
    answer = session("POST /oauth2/introspect", form={"token": "CANARY-token", "client_id": "spa"})

    logged = "".join(repr(record.__dict__) for record in caplog.records)
    assert answer.status == 500
    assert "RuntimeError" in logged
    assert "test_session.py" in logged
    assert "CANARY" not in logged + answer.body


def test_disabled_client_gets_nothing(wiring, session):
    """Its sessions stop refreshing."""
    tokens = signed_in(wiring, session)
    register(wiring, replace(PUBLIC_CLIENT, status="disabled"))

    assert refresh(session, tokens["refresh_token"]).json["error"] == "invalid_client"


def test_constant_hash_is_the_registered_one():
    """The fixture's secret is stored as a hash."""
    assert CONFIDENTIAL_CLIENT.secret_hashes == (ids.digest(SECRET),)
