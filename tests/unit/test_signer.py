"""Signing with keys of KMS, publishing them, and believing nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from grantkeeper import jws
from grantkeeper.errors import StoreUnavailable, Unauthenticated
from grantkeeper.ids import b64url, b64url_decode
from grantkeeper.key_maker import KmsKeyMaker
from grantkeeper.model import AuditEvent, SigningKey, SigningKeyRing
from grantkeeper.services.rotate_keys import ensure_keys, revoke_signing_key
from grantkeeper.signer import ACCESS_TOKEN_ALGORITHMS, KmsSigner, PublishedKeySet, check_claims, verify_jws
from grantkeeper.stores.branch_keys import DynamoBranchKeys
from grantkeeper.stores.signing_keys import DynamoSigningKeys
from tests.doubles.dynamodb import InMemoryDynamoDB
from tests.doubles.kms import VAULT_KEY_ARN, InMemoryKms
from tests.doubles.tables import create_tables

NOON = 1_800_000_000
ISSUER = "https://id.example.com"
CLAIMS = {
    "iss": ISSUER,
    "aud": ISSUER,
    "sub": "usr_a",
    "client_id": "cli_a",
    "jti": "jti_a",
    "iat": NOON,
    "exp": NOON + 900,
    "scope": "openid",
}


class World:
    def __init__(self) -> None:
        self.kms = InMemoryKms()
        self.dynamodb = InMemoryDynamoDB()
        create_tables(self.dynamodb)
        self.now = float(NOON)
        self.signing_keys = DynamoSigningKeys(self.dynamodb, "grants", "audit")

    def ensure(self) -> None:
        ensure_keys(
            key_maker=KmsKeyMaker(self.kms, VAULT_KEY_ARN),
            signing_keys=self.signing_keys,
            branch_keys=DynamoBranchKeys(self.dynamodb, "grants", "audit"),
            now=int(self.now),
        )

    def signer(self) -> KmsSigner:
        return KmsSigner(self.kms, VAULT_KEY_ARN, self.signing_keys, clock=lambda: self.now)

    def key_set(self) -> PublishedKeySet:
        return PublishedKeySet(self.signing_keys, clock=lambda: self.now)

    def reads(self) -> int:
        return self.dynamodb.faults.count("get_item")

    def kid(self, alg: str) -> str:
        return next(key.kid for key in self.signing_keys.public() if key.alg == alg)


@pytest.fixture(scope="module")
def shared() -> World:
    """A world with its first keys, for tests that only read it: RSA keys take a while to make."""
    world = World()
    world.ensure()
    return world


@pytest.fixture
def world() -> World:
    world = World()
    world.ensure()
    return world


@pytest.fixture(scope="module")
def token(shared: World) -> str:
    return shared.signer().sign(CLAIMS, alg="ES256", typ="at+jwt")


def segments(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    header, claims, signature = token.split(".")
    return json.loads(b64url_decode(header)), json.loads(b64url_decode(claims)), b64url_decode(signature)


def encode(value: Any) -> str:
    return b64url(json.dumps(value).encode())


def verify(token: str, world: World) -> Mapping[str, Any]:
    return verify_jws(token, key_set=world.key_set(), algorithms=ACCESS_TOKEN_ALGORITHMS, typ="at+jwt")[1]


def refuses(token: str, world: World) -> bool:
    with pytest.raises(Unauthenticated) as caught:
        verify(token, world)
    assert caught.value.extensions["error"] == "invalid_token"
    return True


# --- signing ---


@pytest.mark.parametrize(("alg", "typ"), [("ES256", "at+jwt"), ("ES256", "JWT"), ("RS256", "JWT")])
def test_what_we_sign_verifies_with_what_we_publish(shared, alg, typ):
    """Both algorithms, both types; the kid is the active key's, the claims come back as they were."""
    token = shared.signer().sign(CLAIMS, alg=alg, typ=typ)

    header, claims = verify_jws(token, key_set=shared.key_set(), algorithms=(alg,), typ=typ)

    assert header == {"alg": alg, "kid": shared.kid(alg), "typ": typ}
    assert claims == CLAIMS


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_an_independent_library_accepts_our_tokens(shared, alg):
    """joserfc verifies them from the published JWK Set alone."""
    joserfc_jwt = pytest.importorskip("joserfc.jwt")
    jwk = pytest.importorskip("joserfc.jwk")
    keys = jwk.KeySet.import_key_set(shared.key_set().jwks())

    decoded = joserfc_jwt.decode(shared.signer().sign(CLAIMS, alg=alg, typ="JWT"), keys, algorithms=[alg])

    assert decoded.claims == CLAIMS


@pytest.mark.story
def test_s29_every_es256_signature_is_64_bytes_and_verifies():
    """A hundred thousand signatures, short r and s among them, are all 64 bytes and all verify."""
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key()
    short = 0
    for number in range(100_000):
        data = number.to_bytes(4)
        signature = jws._sign(data, private)
        assert len(signature) == 64
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
        short += r < 2**248 or s < 2**248
        public.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))

    assert short > 500  # one in 128: the padding was put to the test


def test_s29_coordinates_with_leading_zeros_are_padded():
    """A public key whose x or y is short still has 32-byte coordinates (RFC 7518 section 6.2.1.2)."""
    shorts = 0
    for _ in range(2000):
        jwk = jws.public_jwk(ec.generate_private_key(ec.SECP256R1()).public_key())
        x, y = b64url_decode(jwk["x"]), b64url_decode(jwk["y"])
        assert len(x) == len(y) == 32
        shorts += 0 in {x[0], y[0]}

    assert shorts > 0


def test_the_thumbprint_is_that_of_rfc_7638():
    """The example of section 3.1."""
    jwk = {
        "e": "AQAB",
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB"
        "ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8"
        "KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
        "xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    }

    assert jws.thumbprint(jwk) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_a_private_half_is_opened_once_for_many_signatures(world):
    """Signing costs a tenth of a millisecond, not a call of KMS; after 5 minutes the key is opened again."""
    signer = world.signer()
    for _ in range(100):
        signer.sign(CLAIMS, alg="ES256", typ="at+jwt")
    assert world.kms.faults.count("decrypt") == 1

    world.now += 301
    signer.sign(CLAIMS, alg="ES256", typ="at+jwt")
    assert world.kms.faults.count("decrypt") == 2


def test_s28_kms_down_issues_nothing_and_verification_goes_on(world):
    """503 with Retry-After for a token; those already out keep working."""
    token = world.signer().sign(CLAIMS, alg="ES256", typ="at+jwt")
    world.kms.disable()

    with pytest.raises(StoreUnavailable) as caught:
        world.signer().sign(CLAIMS, alg="ES256", typ="at+jwt")
    assert caught.value.retry_after > 0
    assert verify(token, world) == CLAIMS


def test_before_the_first_key_nothing_is_signed():
    """A deployment in its first minute says 503, not 500."""
    world = World()

    with pytest.raises(StoreUnavailable):
        world.signer().sign(CLAIMS, alg="ES256", typ="at+jwt")
    assert world.key_set().jwks() == {"keys": []}


def stored(world: World, **changes: Any) -> None:
    ring = world.signing_keys.load()
    event = AuditEvent(f"evt_{ring.version}", NOON, "test", "system:test")
    assert world.signing_keys.replace(replace(ring, version=ring.version + 1, **changes), audit=event)


def test_a_private_half_that_is_not_the_published_keys_signs_nothing(world):
    """Two wrapped halves of one algorithm change places: nothing is signed under a kid that will not verify."""
    _, wrapped = KmsKeyMaker(world.kms, VAULT_KEY_ARN).signing_pair("ES256")
    ring = world.signing_keys.load()
    stored(world, wrapped={**ring.wrapped, world.kid("ES256"): wrapped})

    with pytest.raises(StoreUnavailable):
        world.signer().sign(CLAIMS, alg="ES256", typ="at+jwt")


def test_a_damaged_private_half_is_unavailable(world):
    """A flipped bit in the table is trouble of ours, not of a grant."""
    ring = world.signing_keys.load()
    stored(world, wrapped={kid: half[:-1] + bytes((half[-1] ^ 1,)) for kid, half in ring.wrapped.items()})

    with pytest.raises(StoreUnavailable):
        world.signer().sign(CLAIMS, alg="RS256", typ="JWT")


def test_the_signing_context_is_the_purpose_and_nothing_personal(world):
    """The session function's policy allows purpose=signing; CloudTrail shows no more than that."""
    world.signer().sign(CLAIMS, alg="RS256", typ="JWT")

    assert world.kms.contexts()[-1] == {"purpose": "signing", "alg": "RS256"}


# --- publishing ---


def test_s27_the_jwks_holds_public_keys_only(shared):
    """`use`, `alg`, a unique kid that is the thumbprint, and not one private member."""
    keys = shared.key_set().jwks()["keys"]

    assert {key["alg"]: set(key) for key in keys} == {
        "ES256": {"kty", "crv", "x", "y", "kid", "use", "alg"},
        "RS256": {"kty", "n", "e", "kid", "use", "alg"},
    }
    for key in keys:
        required = {name: key[name] for name in key.keys() - {"kid", "use", "alg"}}
        assert key["kid"] == jws.thumbprint(required)
        assert key["use"] == "sig"
    assert len({key["kid"] for key in keys}) == len(keys)


def test_the_private_halves_are_not_even_read_to_publish(world):
    """`public` asks for the keys alone."""
    world.signing_keys.public()

    _, request = world.dynamodb.faults.calls[-1]
    assert request["ProjectionExpression"] == "#keys"


def test_the_key_set_is_read_once_in_five_minutes(world):
    """A warm function verifies without reading."""
    key_set, kid = world.key_set(), world.kid("ES256")
    before = world.reads()
    for _ in range(100):
        assert key_set.find(kid)["kid"] == kid
        assert len(key_set.jwks()["keys"]) == 2
    assert world.reads() == before + 1

    world.now += 301
    key_set.jwks()
    assert world.reads() == before + 2


def test_s03_an_unknown_kid_costs_at_most_one_read_in_thirty_seconds(world):
    """A flood of invented kids does not become a flood of reads."""
    key_set = world.key_set()
    key_set.jwks()
    before = world.reads()

    for number in range(1000):
        assert key_set.find(f"{number:043d}") is None
    assert world.reads() == before

    world.now += 31
    for number in range(1000):
        assert key_set.find(f"{number:043d}") is None
    assert world.reads() == before + 1


def test_a_new_key_is_found_by_a_warm_container(world):
    """A kid that was published after our last read is looked up again."""
    key_set = world.key_set()
    key_set.jwks()
    world.now += 90 * 86_400
    world.ensure()
    newest = max(world.signing_keys.public(), key=lambda key: key.active_from)
    world.now += 31

    assert key_set.find(newest.kid)["kid"] == newest.kid


def test_s26_a_revoked_key_verifies_nothing_five_minutes_later(world):
    """Warm containers included; it is out of the JWK Set, and the next tokens come from another key."""
    signer, key_set = world.signer(), world.key_set()
    token = signer.sign(CLAIMS, alg="ES256", typ="at+jwt")
    verify_jws(token, key_set=key_set, algorithms=ACCESS_TOKEN_ALGORITHMS, typ="at+jwt")
    kid = world.kid("ES256")

    revoke_signing_key(kid, signing_keys=world.signing_keys, now=int(world.now))
    world.ensure()
    world.now += 300

    with pytest.raises(Unauthenticated):
        verify_jws(token, key_set=key_set, algorithms=ACCESS_TOKEN_ALGORITHMS, typ="at+jwt")
    assert kid not in {key["kid"] for key in key_set.jwks()["keys"]}
    fresh = signer.sign(CLAIMS, alg="ES256", typ="at+jwt")
    assert segments(fresh)[0]["kid"] != kid
    verify_jws(fresh, key_set=key_set, algorithms=ACCESS_TOKEN_ALGORITHMS, typ="at+jwt")


def test_s25_no_token_is_refused_over_a_rotation(world):
    """Two containers with caches of their own, a token every three minutes over 94 days: each one verifies at once."""
    signer, key_set = world.signer(), world.key_set()
    kids = set()
    world.now += 88 * 86_400
    for _ in range(6 * 480):
        if int(world.now) % 3600 < 180:
            world.ensure()
        token = signer.sign({"iat": int(world.now)}, alg="ES256", typ="at+jwt")
        kids.add(segments(token)[0]["kid"])
        verify_jws(token, key_set=key_set, algorithms=ACCESS_TOKEN_ALGORITHMS, typ="at+jwt")
        world.now += 180

    assert len(kids) == 2


@pytest.mark.story
def test_s25_ten_thousand_requests_over_a_rotation_meet_no_refusal(world):
    """
    Three environments that sign and five that verify, each with caches of its own age, from the day on which the next
    key is published until well after it took over. Tokens are presented until the end of their fifteen minutes.
    """
    rng = random.Random(25)
    world.now += 89 * 86_400
    signers, key_sets = [world.signer() for _ in range(3)], [world.key_set() for _ in range(5)]
    alive: list[tuple[float, str]] = []
    kids, checked, swept = set(), 0, 0.0
    while checked < 10_000:
        if world.now - swept >= 60:
            world.ensure()  # the sweeper's minute
            swept = world.now
        expires_at = int(world.now) + 900
        token = rng.choice(signers).sign({"exp": expires_at}, alg="ES256", typ="at+jwt")
        kids.add(segments(token)[0]["kid"])
        alive = [(end, old) for end, old in alive if end > world.now] + [(expires_at, token)]
        for _, old in (alive[0], rng.choice(alive), alive[-1]):
            verify_jws(old, key_set=rng.choice(key_sets), algorithms=ACCESS_TOKEN_ALGORITHMS, typ="at+jwt")
            checked += 1
        world.now += rng.choice((1, 10, 60, 100))

    takes_over = max(key.active_from for key in world.signing_keys.public())
    assert len(kids) == 2, "the next key took over on the way"
    assert world.now > takes_over + 3600


def test_a_key_set_is_shared_by_threads(world):
    """Thirty threads of a cold container read it once."""
    key_set, kid = world.key_set(), world.kid("ES256")
    before = world.reads()
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(key_set.find(kid))) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert [jwk["kid"] for jwk in found] == [kid] * 30
    assert world.reads() == before + 1


# --- believing ---


def test_a_token_of_ours_is_believed(shared, token):
    """The control: without it every refusal below would prove nothing."""
    assert verify(token, shared) == CLAIMS


def private_key(world: World, alg: str) -> Any:
    ring = world.signing_keys.load()
    key = ring.active(alg, now=NOON)
    return world.signer()._private(key, ring.wrapped[key.kid])


def resigned(header: Mapping[str, Any], key: Any, claims: Any = CLAIMS) -> str:
    """A token of an attacker's own making, signed with a key of his."""
    data = f"{encode(header)}.{encode(claims)}"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        signature = jws._sign(data.encode(), key)
    elif isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(data.encode(), padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        signature = key.sign(data.encode())
    else:
        signature = hmac.digest(key, data.encode(), hashlib.sha256)
    return f"{data}.{b64url(signature)}"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", "HS256", "RS256", "ES384", "EdDSA", "es256", "ES256K"])
def test_s01_any_other_algorithm_is_refused(shared, token, alg):
    """Also with the right signature left in place, with none at all, and signed by a key of that kind."""
    header = {"alg": alg, "kid": shared.kid("ES256"), "typ": "at+jwt"}
    _, claims, signature = token.split(".")
    public = json.dumps(shared.key_set().find(shared.kid("ES256"))).encode()

    assert refuses(f"{encode(header)}.{claims}.{signature}", shared)
    assert refuses(f"{encode(header)}.{claims}.", shared)
    assert refuses(resigned(header, public), shared)
    assert refuses(resigned(header, ed25519.Ed25519PrivateKey.generate()), shared)


def test_s01_our_own_rs256_key_does_not_sign_access_tokens(shared):
    """A token signed by our ID-token key is genuine, and no access token."""
    assert refuses(shared.signer().sign(CLAIMS, alg="RS256", typ="at+jwt"), shared)


def test_s01_a_kid_of_another_algorithm_is_refused(shared):
    """`alg` and key must agree: an RS256 kid under ES256, and an ES256 kid under RS256."""
    own = ec.generate_private_key(ec.SECP256R1())
    header = {"alg": "ES256", "kid": shared.kid("RS256"), "typ": "at+jwt"}
    assert refuses(resigned(header, own), shared)

    token = resigned({**header, "alg": "RS256", "kid": shared.kid("ES256")}, own)
    with pytest.raises(Unauthenticated):
        verify_jws(token, key_set=shared.key_set(), algorithms=("ES256", "RS256"), typ="at+jwt")


def test_s01_a_genuine_rs256_signature_under_es256_is_refused(shared):
    """Our RSA key signed it, the header says ES256: a key serves its own algorithm and no other."""
    private = private_key(shared, "RS256")
    header = {"alg": "ES256", "kid": shared.kid("RS256"), "typ": "at+jwt"}

    assert refuses(resigned(header, private), shared)


@pytest.mark.parametrize("alg", [None, 1, ["ES256"], {"ES256": 1}, True])
def test_s01_an_algorithm_that_is_no_string_is_refused_not_a_crash(shared, alg):
    """Also when the caller lists its algorithms in a set."""
    token = resigned({"alg": alg, "kid": shared.kid("ES256"), "typ": "at+jwt"}, b"k")
    assert refuses(token, shared)
    with pytest.raises(Unauthenticated):
        verify_jws(token, key_set=shared.key_set(), algorithms={"ES256"}, typ="at+jwt")


@pytest.mark.parametrize(
    "extra",
    [
        {"jwk": {"kty": "EC"}},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/x5u"},
        {"x5c": ["AAAA"]},
        {"x5t": "AAAA"},
        {"crit": ["b64"]},
        {"b64": False},
        {"zip": "DEF"},
        {"cty": "JWT"},
        {"typ": "JWT"},
        {"typ": "application/at+jwt"},
        {"typ": "AT+JWT"},
        {"typ": None},
        {"typ": "rt+jwt"},
    ],
    ids=str,
)
def test_s02_any_header_but_our_own_is_refused(shared, extra):
    """No key or rule ever comes out of a token, even one that our own key signed."""
    private = private_key(shared, "ES256")
    header = {"alg": "ES256", "kid": shared.kid("ES256"), "typ": "at+jwt"}

    assert verify(resigned(header, private), shared) == CLAIMS
    assert refuses(resigned(header | extra, private), shared)


@pytest.mark.parametrize("missing", ["alg", "kid", "typ"])
def test_s02_a_header_with_a_member_missing_is_refused(shared, token, missing):
    """Nothing is taken for granted."""
    header, claims, signature = token.split(".")
    short = {k: v for k, v in json.loads(b64url_decode(header)).items() if k != missing}

    assert refuses(f"{encode(short)}.{claims}.{signature}", shared)


class NeverAsked:
    """A key set that must not be read."""

    def jwks(self) -> Mapping[str, Any]:
        raise AssertionError("read")

    def find(self, kid: str) -> Mapping[str, Any] | None:
        raise AssertionError(kid)


@pytest.mark.parametrize(
    "kid",
    ["", "../../etc/passwd", "x" * 42, "x" * 44, "x" * 43 + "\n", "é" * 43, "k' OR 1=1", None, 7, ["k"], {"k": 1}],
    ids=str,
)
def test_s03_a_kid_that_is_no_thumbprint_is_not_even_looked_up(kid):
    """Paths, queries, other types: refused on sight."""
    token = resigned({"alg": "ES256", "kid": kid, "typ": "at+jwt"}, ec.generate_private_key(ec.SECP256R1()))

    with pytest.raises(Unauthenticated):
        verify_jws(token, key_set=NeverAsked(), algorithms=ACCESS_TOKEN_ALGORITHMS, typ="at+jwt")


def test_s03_an_unknown_kid_is_refused_without_a_call(world):
    """The published keys were read a moment ago."""
    key_set = world.key_set()
    key_set.jwks()
    before = len(world.dynamodb.faults.calls)
    token = resigned({"alg": "ES256", "kid": "x" * 43, "typ": "at+jwt"}, ec.generate_private_key(ec.SECP256R1()))

    with pytest.raises(Unauthenticated):
        verify_jws(token, key_set=key_set, algorithms=ACCESS_TOKEN_ALGORITHMS, typ="at+jwt")
    assert len(world.dynamodb.faults.calls) == before


def test_s03_another_deployments_key_is_refused(shared, world):
    """Same issuer text, same claims, other keys."""
    assert refuses(world.signer().sign(CLAIMS, alg="ES256", typ="at+jwt"), shared)


def test_s03_a_retired_key_is_refused(world):
    """Once its last token has expired, a key is nobody's any more."""
    token = world.signer().sign(CLAIMS, alg="ES256", typ="at+jwt")
    key_set = world.key_set()
    key = next(key for key in world.signing_keys.public() if key.alg == "ES256")
    keys = tuple(replace(k, retire_at=NOON + 60) if k.kid == key.kid else k for k in world.signing_keys.public())
    stored(world, keys=keys)
    verify_jws(token, key_set=key_set, algorithms=ACCESS_TOKEN_ALGORITHMS, typ="at+jwt")

    world.now += 60  # and it goes on time, though the copy in memory is younger than 5 minutes
    with pytest.raises(Unauthenticated):
        verify_jws(token, key_set=key_set, algorithms=ACCESS_TOKEN_ALGORITHMS, typ="at+jwt")


N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def test_s04_signatures_of_another_shape_are_refused(shared, token):
    """Psychic zeros, r or s out of range, DER, 63 and 65 bytes, none."""
    head, _, _ = token.rpartition(".")
    signature = segments(token)[2]
    r, s = signature[:32], signature[32:]
    der = encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
    forged = [
        bytes(64),
        bytes(32) + s,
        r + bytes(32),
        N.to_bytes(32) * 2,
        r + (int.from_bytes(s) + N).to_bytes(33),
        b"\xff" * 64,
        (1).to_bytes(32) * 2,
        der,
        signature[:63],
        signature + b"\0",
        b"\0" + signature,
        b"",
        s + r,
    ]

    for fake in forged:
        assert refuses(f"{head}.{b64url(fake)}", shared)


def test_s04_a_signature_without_its_leading_zero_is_refused(shared):
    """63 bytes that are the same two numbers: the length itself is part of the format."""
    head = ".".join(signed_text(shared, json.dumps(CLAIMS).encode()).split(".")[:2])
    private = private_key(shared, "ES256")
    signature = b""
    while signature[32:33] != b"\0":  # one in 256 has a short s
        signature = jws._sign(head.encode(), private)

    assert verify(f"{head}.{b64url(signature)}", shared) == CLAIMS
    assert refuses(f"{head}.{b64url(signature[:32] + signature[33:])}", shared)


def test_a_genuine_token_over_four_kilobytes_is_refused(shared):
    """The cap comes before anything is decoded; ours are far below."""
    assert verify(signed_text(shared, json.dumps({"a": "x" * 2500}).encode()), shared)
    assert refuses(signed_text(shared, json.dumps({"a": "x" * 3000}).encode()), shared)


def test_s04_a_signature_has_one_spelling(shared, token):
    """Padding, the other alphabet, white space and stray low bits in the last character are refused."""
    head, _, signature = token.rpartition(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(signature[-1])
    twin = signature[:-1] + alphabet[last ^ 1]
    assert base64.urlsafe_b64decode(twin + "==") == base64.urlsafe_b64decode(signature + "==")

    for spelling in (twin, signature + "==", signature + "\n", " " + signature, signature.replace("-", "+") + "+"):
        assert refuses(f"{head}.{spelling}", shared)


def test_s08_edited_claims_are_refused(shared, token):
    """A wider scope or another user, in a re-encoded token with the old signature."""
    header, _, signature = token.split(".")
    for edit in ({"scope": "openid admin:write"}, {"sub": "usr_b"}, {"role": "admin"}, {"exp": NOON + 10**6}):
        assert refuses(f"{header}.{encode(CLAIMS | edit)}.{signature}", shared)


def signed_text(world: World, claims: bytes, header: bytes | None = None) -> str:
    """A token whose bytes are exactly these, with a genuine signature."""
    head = header or json.dumps({"alg": "ES256", "kid": world.kid("ES256"), "typ": "at+jwt"}).encode()
    data = f"{b64url(head)}.{b64url(claims)}"
    return f"{data}.{b64url(jws._sign(data.encode(), private_key(world, 'ES256')))}"


@pytest.mark.parametrize(
    "claims",
    [
        b'{"sub":"usr_a","sub":"usr_b"}',
        b'{"a":{"b":1,"b":2}}',
        b'{"exp":NaN}',
        b'{"exp":Infinity}',
        b"[]",
        b'"text"',
        b"null",
        b"7",
        b"",
        b"{",
        b'{"a":"\xff"}',
        '{"a":1}'.encode("utf-16"),
        "\ufeff{}".encode(),
        b"[" * 1200 + b"]" * 1200,
    ],
    ids=lambda b: b[:12],
)
def test_claims_that_two_readers_could_read_differently_are_refused(shared, claims):
    """Even with a genuine signature: duplicate keys, NaN, other encodings, no object."""
    token = signed_text(shared, claims)

    assert len(token) <= jws.MAX_TOKEN
    assert refuses(token, shared)


def test_a_header_with_a_repeated_member_is_refused(shared):
    """The first `alg` for one reader, the second for another."""
    kid = shared.kid("ES256")
    header = f'{{"alg":"none","alg":"ES256","kid":"{kid}","typ":"at+jwt"}}'

    assert refuses(signed_text(shared, json.dumps(CLAIMS).encode(), header.encode()), shared)


def test_texts_that_are_no_token_are_refused(shared, token):
    """Wrong number of parts, empty parts, too long, not ASCII: one answer, no crash."""
    head, claims, signature = token.split(".")
    texts = [
        "",
        ".",
        "..",
        "...",
        head,
        f"{head}.{claims}",
        f"{token}.{signature}",
        f"{head}..{signature}",
        f".{claims}.{signature}",
        f" {token}",
        f"{token}\n",
        token.replace("e", "é", 1),
        "a" * 100_000,
        f"{head}.{'A' * jws.MAX_TOKEN}.{signature}",
        "\ud800.a.b",
    ]

    for text in texts:
        assert refuses(text, shared)


@given(text=st.text(max_size=300))
def test_no_text_crashes_the_verifier(shared, text):
    """Whatever stands in the Authorization header, the answer is 401."""
    assert refuses(text, shared)


def test_every_flipped_bit_of_a_token_is_refused(shared, token):
    """Header, claims and signature: every character counts."""
    for at in range(len(token)):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert refuses(changed, shared)


def test_refusals_say_the_same_words(shared, token):
    """A caller does not learn which check refused."""
    head, claims, signature = token.split(".")
    answers = set()
    for text in ("x", f"{head}.{claims}.{b64url(bytes(64))}", f"{encode({})}.{claims}.{signature}"):
        with pytest.raises(Unauthenticated) as caught:
            verify(text, shared)
        answers.add((str(caught.value), str(caught.value.extensions)))

    assert len(answers) == 1


# --- claims ---


def check(claims: Mapping[str, Any], *, now: int = NOON) -> None:
    check_claims(claims, issuer=ISSUER, audience=ISSUER, now=now)


def test_claims_of_ours_pass_until_they_expire():
    """From issue to the last second."""
    check(CLAIMS)
    check(CLAIMS, now=NOON + 899)
    check(CLAIMS, now=NOON - 30)
    check(CLAIMS | {"aud": ["https://other.example", ISSUER]})
    check(CLAIMS | {"nbf": NOON + 30})


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://staging.example.com"},
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"aud": "https://api.example.com"},
        {"aud": [ISSUER + "/x"]},
        {"aud": []},
        {"aud": {ISSUER: 1}},
        {"aud": None},
        {"aud": ISSUER[:-1]},
    ],
    ids=str,
)
def test_s05_another_issuer_or_audience_is_refused(change):
    """A token of staging, of a neighbour, or for another API of the team."""
    with pytest.raises(Unauthenticated):
        check(CLAIMS | change)


@pytest.mark.parametrize(
    "change",
    [
        {"exp": NOON - 1},
        {"exp": NOON},
        {"exp": str(NOON + 900)},
        {"exp": NOON + 900.5},
        {"exp": True},
        {"exp": -1},
        {"exp": 2**53},
        {"nbf": NOON + 31},
        {"nbf": "now"},
        {"iat": NOON + 31},
        {"iat": None},
        {"sub": ""},
        {"sub": 7},
        {"client_id": None},
        {"jti": []},
    ],
    ids=str,
)
def test_s06_expired_future_or_malformed_claims_are_refused(change):
    """`exp` has no leeway, `nbf` and `iat` thirty seconds."""
    with pytest.raises(Unauthenticated):
        check(CLAIMS | change)


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "iat", "sub", "client_id", "jti"])
def test_s06_every_claim_must_be_there(claim):
    """RFC 9068 section 2.2."""
    with pytest.raises(Unauthenticated):
        check({name: value for name, value in CLAIMS.items() if name != claim})


def test_a_leeway_over_thirty_seconds_is_a_programming_error():
    """Nobody widens it by accident."""
    with pytest.raises(ValueError):
        check_claims(CLAIMS, issuer=ISSUER, audience=ISSUER, now=NOON, leeway=31)


def test_s07_tokens_of_another_kind_are_refused(shared):
    """An ID token is no access token, and the reverse, though one key signed both."""
    id_token = shared.signer().sign(CLAIMS, alg="ES256", typ="JWT")
    access_token = shared.signer().sign(CLAIMS, alg="ES256", typ="at+jwt")

    assert refuses(id_token, shared)
    with pytest.raises(Unauthenticated):
        verify_jws(access_token, key_set=shared.key_set(), algorithms=("ES256",), typ="JWT")


def test_the_algorithm_is_named_in_one_place():
    """`ES256` for access tokens is a literal of its own; loosening it shows in a diff."""
    assert ACCESS_TOKEN_ALGORITHMS == ("ES256",)


# --- the ring ---


def test_the_active_key_is_the_last_to_have_become_active():
    """Not the newest published, nor a revoked or retired one."""

    def key(kid: str, active_from: int, **more: Any) -> SigningKey:
        return SigningKey(kid, "ES256", {}, created_at=0, active_from=active_from, **more)

    ring = SigningKeyRing(
        1,
        (
            key("next", NOON + 1),
            key("now", NOON),
            key("before", NOON - 100, retire_at=NOON + 50),
            key("revoked", NOON - 1, state="revoked"),
            key("retired", NOON - 2, retire_at=NOON),
        ),
    )

    assert ring.active("ES256", now=NOON).kid == "now"
    assert ring.active("ES256", now=NOON + 1).kid == "next"
    assert ring.active("ES256", now=NOON - 1).kid == "retired"
    assert [key.kid for key in ring.live("ES256", now=NOON)] == ["before", "now", "next"]
    assert ring.active("RS256", now=NOON) is None


def test_the_default_clock_is_the_wall_clock(shared):
    """`time.monotonic` stands still while an execution environment is frozen."""
    assert KmsSigner(shared.kms, VAULT_KEY_ARN, shared.signing_keys)._clock is time.time
    assert PublishedKeySet(shared.signing_keys)._clock is time.time


def test_signing_imports_no_jose_library():
    """The modules of this part stay light: cryptography and nothing else."""
    import grantkeeper.signer as module

    for path in (module.__file__, jws.__file__):
        source = Path(path).read_text(encoding="utf-8")
        assert re.search(r"^\s*(from|import) (joserfc|authlib|jwt|jose)\b", source, re.MULTILINE) is None
