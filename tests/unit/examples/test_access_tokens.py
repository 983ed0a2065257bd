"""What the example's backend believes of an access token: RFC 9068 section 4, with our published keys alone."""

from __future__ import annotations

import base64
import json

import pytest
from joserfc import jwk, jws

from examples.backend.access_tokens import KEYS_LIVE, KEYS_REST, LEEWAY, AccessTokens, InsufficientScope, InvalidToken

NOW = 1_800_000_000
ISSUER, BACKEND = "https://auth.example.com", "https://api.example.com"
CLAIMS = {
    "iss": ISSUER,
    "aud": BACKEND,
    "sub": "usr_alice",
    "client_id": "spa",
    "scope": "openid connections:read",
    "jti": "jti_1",
    "iat": NOW - 10,
    "exp": NOW + 890,
}


class Issuer:
    """Signs, and publishes keys; says how often they were read."""

    def __init__(self):
        self.ec = jwk.ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": "ec"})
        self.rsa = jwk.RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": "rsa"})
        self.published = [self.ec, self.rsa]
        self.reads = 0
        self.down = False

    def keys(self):
        self.reads += 1
        if self.down:
            raise OSError("down")
        return {"keys": [key.as_dict(private=False) for key in self.published]}

    def sign(self, claims, *, key=None, **header):
        key = key or self.ec
        header = {"alg": key.alg, "kid": key.kid, "typ": "at+jwt"} | header
        return jws.serialize_compact(header, json.dumps(claims), key, algorithms=[header["alg"]])


@pytest.fixture(scope="module")
def keys():
    return Issuer()


@pytest.fixture
def issuer(keys):
    keys.published, keys.reads, keys.down = [keys.ec, keys.rsa], 0, False
    return keys


class Clock:
    now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tokens(issuer, clock):
    return AccessTokens(issuer=ISSUER, audience=BACKEND, fetch_keys=issuer.keys, clock=clock)


def refused(tokens, token):
    with pytest.raises(InvalidToken):
        tokens.verify(token, scope="connections:read")


def test_a_token_for_this_api_is_believed(tokens, issuer):
    """Its claims say who calls."""
    assert tokens.verify(issuer.sign(CLAIMS), scope="connections:read")["sub"] == "usr_alice"


def test_one_of_several_audiences_is_enough(tokens, issuer):
    """RFC 7519 section 4.1.3."""
    token = issuer.sign(CLAIMS | {"aud": ["https://other.example.com", BACKEND]})

    assert tokens.verify(token, scope="openid")["sub"] == "usr_alice"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ISSUER},  # Grantkeeper's own API
        {"aud": "spa"},  # the client
        {"aud": BACKEND + "/"},
        {"aud": ["https://other.example.com"]},
        {"aud": []},
        {"aud": None},
        {"iss": "https://staging.example.com"},
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"exp": NOW - LEEWAY},
        {"exp": NOW - 3600},
        {"exp": "never"},
        {"exp": None},
        {"nbf": NOW + LEEWAY + 1},
        {"iat": NOW + LEEWAY + 1},
        {"sub": None},
        {"sub": ""},
        {"client_id": None},
    ],
    ids=str,
)
def test_s05_s06_another_issuer_audience_or_time_is_refused(tokens, issuer, changes):
    """Also when it is signed by our key; None stands for a claim that is not there."""
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}

    refused(tokens, issuer.sign(claims))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "dpop+jwt", "", None])
def test_s02_a_token_of_another_type_is_refused(tokens, issuer, typ):
    """An ID token has our signature and may have any audience; it is no key to an API."""
    header = {"alg": "ES256", "kid": "ec"} | ({} if typ is None else {"typ": typ})
    token = jws.serialize_compact(header, json.dumps(CLAIMS), issuer.ec, algorithms=["ES256"])

    refused(tokens, token)


def segment(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
def test_s01_a_token_without_signature_is_refused(tokens, issuer, alg):
    """However it spells it, with and without the signature of a good one."""
    good = issuer.sign(CLAIMS).rpartition(".")[2]

    for signature in ("", good):
        refused(tokens, f"{segment({'alg': alg, 'kid': 'ec', 'typ': 'at+jwt'})}.{segment(CLAIMS)}.{signature}")


def test_s01_a_token_signed_with_our_public_key_as_a_secret_is_refused(tokens, issuer):
    """HS256 over what everybody can read."""
    for published in (issuer.ec, issuer.rsa):
        secret = jwk.OctKey.import_key(json.dumps(published.as_dict(private=False)))
        refused(tokens, issuer.sign(CLAIMS, key=secret, alg="HS256", kid=published.kid))


def test_s01_our_key_for_id_tokens_signs_no_access_token(tokens, issuer):
    """RS256 is good at other places."""
    refused(tokens, issuer.sign(CLAIMS, key=issuer.rsa))
    refused(tokens, issuer.sign(CLAIMS, kid="rsa"))


def test_s02_a_key_that_the_token_brings_along_is_refused(tokens, issuer):
    """Neither under our `kid` nor as a `jwk` of its own."""
    own = jwk.ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": "ec"})

    refused(tokens, issuer.sign(CLAIMS, key=own))
    refused(tokens, issuer.sign(CLAIMS, key=own, jwk=own.as_dict(private=False)))
    refused(tokens, issuer.sign(CLAIMS, key=own, kid="other"))


def test_s08_a_changed_token_is_refused(tokens, issuer):
    """The signature is over header and claims."""
    header, _, signature = issuer.sign(CLAIMS).split(".")

    refused(tokens, f"{header}.{segment(CLAIMS | {'sub': 'usr_bob'})}.{signature}")


@pytest.mark.parametrize("signature", [bytes(64), bytes(63), bytes(65), b"\xff" * 64, b""], ids=len)
def test_s04_a_signature_that_is_none_is_refused(tokens, issuer, signature):
    """Zeros above all, and lengths that ES256 does not have."""
    signed = issuer.sign(CLAIMS).rpartition(".")[0]

    refused(tokens, f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}")


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "é", "x" * 100_000, "e30.e30.e30", "e30.W10.e30", "a.b.c.d.e"]
)
def test_what_is_no_token_is_refused(tokens, token):
    """By the same answer."""
    refused(tokens, token)


def test_a_token_without_the_scope_may_not(tokens, issuer):
    """A part of a scope's name is not the scope."""
    for scope in ("connections:write", "connections", "connections:read openid", ""):
        with pytest.raises(InsufficientScope):
            tokens.verify(issuer.sign(CLAIMS), scope=scope)


def test_keys_are_read_once_and_again_when_they_are_old(tokens, issuer, clock):
    """A key that was withdrawn is believed for five minutes at most."""
    token = issuer.sign(CLAIMS)
    for _ in range(3):
        tokens.verify(token, scope="openid")
    assert issuer.reads == 1

    issuer.published = [issuer.rsa]
    clock.now += KEYS_LIVE
    refused(tokens, token)


def test_a_new_key_is_found_at_once(tokens, issuer, clock):
    """A token may name a key that was made since."""
    tokens.verify(issuer.sign(CLAIMS), scope="openid")
    new = jwk.ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": "new"})
    issuer.published = [issuer.ec, new]
    clock.now += KEYS_REST

    assert tokens.verify(issuer.sign(CLAIMS, key=new), scope="openid")


def test_s03_tokens_with_invented_keys_make_us_ask_no_more_than_every_ten_seconds(tokens, issuer, clock):
    """Else anybody could load the issuer through us."""
    for number in range(50):
        refused(tokens, issuer.sign(CLAIMS, kid=f"invented-{number}"))
    assert issuer.reads == 1

    clock.now += KEYS_REST
    refused(tokens, issuer.sign(CLAIMS, kid="invented"))
    assert issuer.reads == 2


def test_while_the_keys_cannot_be_read_old_ones_are_not_believed(tokens, issuer, clock):
    """It is said that nothing can be said, which is no 401."""
    tokens.verify(issuer.sign(CLAIMS), scope="openid")
    issuer.down = True
    clock.now += KEYS_LIVE

    for _ in range(2):
        with pytest.raises(OSError, match="down"):
            tokens.verify(issuer.sign(CLAIMS), scope="openid")
