"""Who calls: one credential, believed only when every check passes."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from grantkeeper import ids
from grantkeeper.api_key_format import ApiKeyText, new_api_key
from grantkeeper.edge import key_principals
from grantkeeper.edge.http import Request
from grantkeeper.edge.principals import (
    PrincipalCache,
    authenticate,
    require_live_session,
    require_recent_sign_in,
    require_scope,
)
from grantkeeper.errors import BadRequest, GrantkeeperError, InsufficientScope, StoreUnavailable, Unauthenticated
from grantkeeper.model import ApiKey, Principal, Session
from grantkeeper.services.rotate_api_key import rotated
from tests.doubles.deployment import ALICE, ISSUER, PUBLIC_CLIENT, audit_event, deployment, provision, register
from tests.doubles.provider import NOON

CLAIMS = {
    "iss": ISSUER,
    "sub": ALICE.sub,
    "aud": ISSUER,
    "client_id": "spa",
    "scope": "openid connections:read",
    "sid": "sid_token",
    "jti": "jti_one",
    "iat": NOON,
    "exp": NOON + 900,
    "auth_time": NOON - 60,
}


@pytest.fixture
def wiring():
    wiring = deployment()
    provision(wiring)
    open_session(wiring, family="fam_token", sid="sid_token")
    return wiring


def request(**headers: str) -> Request:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("GET /v1/connections", "GET", "/v1/connections", {}, {}, sent, {}, b"", "192.0.2.1", "r")


def who(wiring: Any, *, now: int = NOON, cache: PrincipalCache | None = None, **headers: str) -> Any:
    return authenticate(
        request(**headers),
        issuer=ISSUER,
        key_set=wiring.key_set,
        api_keys=wiring.api_keys,
        clients=wiring.clients,
        sessions=wiring.sessions,
        users=wiring.users,
        now=now,
        cache=cache or PrincipalCache(),
    )


def token(wiring: Any, *, alg: str = "ES256", typ: str = "at+jwt", **changes: Any) -> str:
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    return wiring.signer.sign(claims, alg=alg, typ=typ)


def make_key(wiring: Any, **changes: Any) -> ApiKeyText:
    text = new_api_key()
    key = ApiKey(
        key_id=text.key_id,
        secret_hash=text.secret_hash,
        scopes=("connections:read", "connections:token"),
        created_at=NOON - 10,
        expires_at=NOON + 1000,
        client_id="backend",
    )
    wiring.api_keys.put(replace(key, **changes), audit=audit_event("api_key.created"))
    return text


def test_access_token_names_a_user_at_a_client(wiring):
    """Scopes, session and time of authentication come from the token."""
    principal = who(wiring, authorization=f"Bearer {token(wiring)}")

    assert (principal.kind, principal.sub, principal.client_id) == ("user", ALICE.sub, "spa")
    assert principal.scopes == {"openid", "connections:read"}
    assert (principal.sid, principal.auth_time, principal.role) == ("sid_token", NOON - 60, "user")
    assert principal.actor == f"user:{ALICE.sub}"


def test_scheme_is_case_insensitive(wiring):
    """RFC 9110 section 11.1."""
    assert who(wiring, authorization=f"bEARER {token(wiring)}").sub == ALICE.sub


@pytest.mark.parametrize("header", ["x_api_key", "authorization"])
def test_api_key_names_a_client(wiring, header):
    """By X-API-Key or as a Bearer token."""
    key = make_key(wiring)
    value = key.text if header == "x_api_key" else f"Bearer {key.text}"

    principal = who(wiring, **{header: value})

    assert (principal.kind, principal.client_id, principal.key_id) == ("api_key", "backend", key.key_id)
    assert principal.scopes == {"connections:read", "connections:token"}
    assert principal.sub is None


def test_operators_key_never_reaches_tokens(wiring):
    """Admin scopes only, whatever is written on it."""
    key = make_key(wiring, client_id=None, scopes=("admin:read", "connections:token", "account:write"))

    assert who(wiring, x_api_key=key.text).scopes == {"admin:read"}


def test_k10_two_credentials_are_refused(wiring):
    """Even when both are right."""
    key = make_key(wiring)

    with pytest.raises(BadRequest):
        who(wiring, x_api_key=key.text, authorization=f"Bearer {token(wiring)}")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Basic YTpi"},
        {"authorization": "Bearer a.b"},
        {"authorization": "Bearer a.b.c.d.e"},
        {"authorization": "Bearer " + "a" * 9000},
        {"authorization": "Bearer é.é.é"},
        {"authorization": "Bearer a b"},
        {"x_api_key": ""},
        {"x_api_key": "gk_"},
        {"x_api_key": "gk_" + "a" * 9000},
        {"x_api_key": "gk_" + "a" * 16 + "_" + "b" * 46},
        {"x_api_key": "gk_\0"},
        {"x_api_key": "١" * 40},  # noqa: RUF001 - Arabic digits
        {"authorization": "Bearer gk_nonsense"},
    ],
)
def test_k11_malformed_credentials_cost_no_read(wiring, headers):
    """401 before the table is asked."""
    wiring.key_set.jwks()
    reads = len(wiring.aws.dynamodb.faults.calls)

    with pytest.raises(Unauthenticated):
        who(wiring, **headers)

    assert len(wiring.aws.dynamodb.faults.calls) == reads


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://staging.example.com"}, {"iss": ISSUER + "/"}, {"iss": None},
        {"aud": "spa"}, {"aud": "https://reports.example.com"}, {"aud": None}, {"aud": ["x"]},
        {"exp": NOON}, {"exp": NOON - 1}, {"exp": None}, {"exp": str(NOON + 900)}, {"exp": True},
        {"iat": NOON + 61}, {"iat": None}, {"nbf": NOON + 61},
        {"sub": None}, {"sub": ""}, {"sub": 7}, {"client_id": None}, {"jti": None},
        {"client_id": "unknown"},
    ],
)  # fmt: skip
def test_s05_s06_s07_wrong_claims_are_refused(wiring, changes):
    """Another issuer, audience, time, or a claim missing."""
    with pytest.raises(Unauthenticated):
        who(wiring, authorization=f"Bearer {token(wiring, **changes)}")


@pytest.mark.parametrize(("alg", "typ"), [("RS256", "at+jwt"), ("ES256", "JWT"), ("RS256", "JWT"), ("ES256", "AT+JWT")])
def test_s01_s02_other_kinds_of_our_own_tokens_are_refused(wiring, alg, typ):
    """An ID token is no access token, although we signed it."""
    with pytest.raises(Unauthenticated):
        who(wiring, authorization=f"Bearer {token(wiring, alg=alg, typ=typ)}")


def test_s01_foreign_signatures_are_refused(wiring):
    """alg none, HS256 with our public key, and somebody else's key under our kid."""
    published = next(key for key in wiring.key_set.jwks()["keys"] if key["alg"] == "ES256")
    header = {"alg": "ES256", "kid": published["kid"], "typ": "at+jwt"}
    foreign = jwt.encode(header, CLAIMS, ECKey.generate_key("P-256"))
    confused = jwt.encode(
        header | {"alg": "HS256"}, CLAIMS, OctKey.import_key(json.dumps(published).encode()), algorithms=["HS256"]
    )
    unsigned = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in (header | {"alg": "none"}, CLAIMS)
    )

    for forged in (foreign, confused, unsigned + "."):
        with pytest.raises(Unauthenticated):
            who(wiring, authorization=f"Bearer {forged}")


def test_s08_edited_claims_are_refused(wiring):
    """Scope and role are signed."""
    head, body, signature = token(wiring).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    edited = base64.urlsafe_b64encode(json.dumps(claims | {"role": "admin"}).encode()).rstrip(b"=").decode()

    with pytest.raises(Unauthenticated):
        who(wiring, authorization=f"Bearer {head}.{edited}.{signature}")


def test_unknown_scopes_in_a_token_count_for_nothing(wiring):
    """Only scopes there are."""
    assert who(wiring, authorization=f"Bearer {token(wiring, scope='openid root')}").scopes == {"openid"}


def test_disabled_client_speaks_no_more(wiring):
    """Neither its users nor its keys."""
    key = make_key(wiring, client_id="spa")
    register(wiring, replace(PUBLIC_CLIENT, status="disabled"))

    for headers in ({"x_api_key": key.text}, {"authorization": f"Bearer {token(wiring)}"}):
        with pytest.raises(Unauthenticated):
            who(wiring, **headers)


@pytest.mark.parametrize("changes", [{"status": "revoked"}, {"expires_at": NOON}, {"client_id": "unknown"}])
def test_k06_k08_k16_dead_keys_are_refused(wiring, changes):
    """Revoked, expired by our clock, or of a client that is gone."""
    with pytest.raises(Unauthenticated):
        who(wiring, x_api_key=make_key(wiring, **changes).text)


def test_k04_wrong_secret_and_unknown_key_read_the_same(wiring):
    """A valid checksum proves nothing."""
    key = make_key(wiring)
    wrong, unknown = replace(key, secret="x" * 40), new_api_key()

    told = []
    for text in (wrong.text, unknown.text):
        with pytest.raises(Unauthenticated) as error:
            who(wiring, x_api_key=text)
        told.append((str(error.value), error.value.extensions))

    assert told[0] == told[1]


def test_users_own_key_names_him_and_no_session(wiring):
    """What his client and his role still allow of its scopes; a public client's never reaches tokens (K-14)."""
    scopes = ("connections:read", "connections:token", "admin:read")
    key = make_key(wiring, sub=ALICE.sub, client_id="spa", scopes=scopes)
    elsewhere = make_key(wiring, sub=ALICE.sub, scopes=scopes)

    principal = who(wiring, x_api_key=key.text)

    assert (principal.kind, principal.sub, principal.client_id, principal.sid) == ("user", ALICE.sub, "spa", None)
    assert (principal.scopes, principal.actor) == ({"connections:read"}, f"user_key:{key.key_id}")
    assert who(wiring, x_api_key=elsewhere.text).scopes == {"connections:read", "connections:token"}


@pytest.mark.parametrize("sub", ["usr_erased", ""])
def test_k16_key_of_a_user_who_is_gone_is_refused(wiring, sub):
    """401, not 500."""
    with pytest.raises(Unauthenticated):
        who(wiring, x_api_key=make_key(wiring, sub=sub).text)


def test_k07_both_secrets_are_good_until_the_old_one_ends(wiring):
    """By our clock, also where the key was remembered before."""
    cache, old = PrincipalCache(), make_key(wiring)
    stored = wiring.api_keys.get(old.key_id)
    text, following = rotated(stored, days=None, now=NOON)
    following = replace(following, old_secret_ends_at=NOON + 20)
    assert wiring.api_keys.rotate(following, replaces=stored, audit=audit_event("api_key.rotated"))

    for now, secrets in ((NOON, (old, text)), (NOON + 19, (old, text)), (NOON + 20, (text,))):
        for secret in secrets:
            assert who(wiring, cache=cache, now=now, x_api_key=secret.text).key_id == old.key_id
    with pytest.raises(Unauthenticated):
        who(wiring, cache=cache, now=NOON + 20, x_api_key=old.text)


def test_k04_wrong_secret_costs_the_reads_of_an_unknown_id(wiring):
    """One, and one more a second where it was remembered: time tells nothing of which ids there are."""
    counts = []
    for text in (replace(make_key(wiring), secret="x" * 40).text, new_api_key().text):
        cache = PrincipalCache()
        before = len(wiring.aws.dynamodb.faults.calls)
        for now in (NOON, NOON, NOON + 1, NOON + 1, NOON + 2):
            with pytest.raises(Unauthenticated):
                who(wiring, cache=cache, now=now, x_api_key=text)
        counts.append(len(wiring.aws.dynamodb.faults.calls) - before)

    assert counts == [3, 3]


def test_k04_every_key_is_compared_with_two_hashes(wiring, monkeypatch):
    """Unknown, wrong, right and rotated alike: the comparison says nothing about what is stored."""
    compared = []
    monkeypatch.setattr(key_principals.ids, "same", lambda a, b: compared.append(1) or hmac.compare_digest(a, b))
    counts = []
    for text in (make_key(wiring).text, replace(make_key(wiring), secret="x" * 40).text, new_api_key().text):
        compared.clear()
        with contextlib.suppress(Unauthenticated):
            who(wiring, x_api_key=text)
        counts.append(len(compared))

    assert counts[1:] == [4, 4]  # once as remembered, once as looked up again
    assert counts[0] == 2


def test_k08_revocation_is_seen_after_thirty_seconds_at_most(wiring):
    """A warm container asks again when what it knows is 30 s old."""
    cache = PrincipalCache()
    key = make_key(wiring)
    assert who(wiring, cache=cache, x_api_key=key.text)
    stored = wiring.api_keys.get(key.key_id)
    wiring.api_keys.put(replace(stored, status="revoked"), audit=audit_event("api_key.revoked"))

    assert who(wiring, cache=cache, now=NOON + 29, x_api_key=key.text)
    with pytest.raises(Unauthenticated):
        who(wiring, cache=cache, now=NOON + 30, x_api_key=key.text)


def test_key_that_was_read_is_not_read_again(wiring):
    """A warm container answers a busy key from memory, and notes its day once (K-12)."""
    cache = PrincipalCache()
    key = make_key(wiring)
    who(wiring, cache=cache, x_api_key=key.text)
    calls = len(wiring.aws.dynamodb.faults.calls)

    for _ in range(10):
        who(wiring, cache=cache, x_api_key=key.text)

    assert len(wiring.aws.dynamodb.faults.calls) == calls


def test_k04_guessing_one_id_costs_one_read(wiring):
    """Unknown ids are remembered as well."""
    cache = PrincipalCache()
    guess = new_api_key()
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            who(wiring, cache=cache, x_api_key=guess.text)

    reads = [call for call in wiring.aws.dynamodb.faults.calls if guess.key_id in repr(call)]
    assert len(reads) == 1


def test_cache_is_bounded():
    """However many names are asked for."""
    cache = PrincipalCache()
    store = object()
    for index in range(5000):
        cache.get(store, str(index), now=NOON, read=lambda: None)

    assert len(cache._kept) <= 1024


def test_store_trouble_is_not_a_refusal(wiring):
    """503: nobody is told that his key is wrong because we could not look."""
    key = make_key(wiring)
    wiring.aws.dynamodb.faults.unreachable("get_item", times=50)

    with pytest.raises(StoreUnavailable):
        who(wiring, x_api_key=key.text)


def test_missing_scope_is_named(wiring):
    """RFC 6750 section 3.1."""
    principal = who(wiring, authorization=f"Bearer {token(wiring)}")

    require_scope(principal, "connections:read")
    with pytest.raises(InsufficientScope) as error:
        require_scope(principal, "connections:write")
    assert error.value.extensions["scope"] == "connections:write"


def test_l06_refusals_quote_no_credential(wiring):
    """Whatever was sent, the answer does not hold it."""
    key = make_key(wiring)
    for headers in ({"x_api_key": replace(key, secret="y" * 40).text}, {"authorization": "Bearer a.b.c"}):
        with pytest.raises(GrantkeeperError) as error:
            who(wiring, **headers)
        assert "y" * 40 not in repr(error.value) + str(error.value.extensions)
        assert ids.digest("y" * 40) not in repr(error.value)


USER = Principal("user", frozenset({"account:write"}), client_id="spa", sub=ALICE.sub, sid="sid_one")
KEY = Principal("api_key", frozenset({"account:write"}), client_id="backend", key_id="k")


def open_session(wiring: Any, *, age: int = 0, family: str = "fam_one", sid: str = "sid_one") -> None:
    session = Session(
        family=family,
        sid=sid,
        sub=ALICE.sub,
        client_id="spa",
        scopes=("openid",),
        provider="example",
        created_at=NOON - age,
        expires_at=NOON + 1000,
        idle_expires_at=NOON + 1000,
        current_hash="h",
    )
    assert wiring.sessions.create(session, audit=audit_event("user.signed_in"))


def test_s09_s24_revoked_session_is_refused_at_once(wiring):
    """Where a route looks it up, although the token still verifies."""
    open_session(wiring)
    assert require_live_session(USER, sessions=wiring.sessions, now=NOON).sid == "sid_one"
    wiring.sessions.revoke("fam_one", audit=audit_event("session.revoked"))

    with pytest.raises(Unauthenticated):
        require_live_session(USER, sessions=wiring.sessions, now=NOON)


def test_session_of_another_client_does_not_count(wiring):
    """A sid is one client's."""
    open_session(wiring)

    with pytest.raises(Unauthenticated):
        require_live_session(replace(USER, client_id="backend"), sessions=wiring.sessions, now=NOON)


def test_api_key_has_no_session(wiring):
    """Nothing to look up."""
    assert require_live_session(KEY, sessions=wiring.sessions, now=NOON) is None


def test_t11_sensitive_actions_need_a_recent_sign_in(wiring):
    """Fifteen minutes, and never by a key."""
    open_session(wiring, age=900)
    require_recent_sign_in(USER, sessions=wiring.sessions, now=NOON)

    for principal, now in ((USER, NOON + 1), (KEY, NOON)):
        with pytest.raises(Unauthenticated) as error:
            require_recent_sign_in(principal, sessions=wiring.sessions, now=now)
        assert error.value.extensions["error"] == "reauthentication_required"
