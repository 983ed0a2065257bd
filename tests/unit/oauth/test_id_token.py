"""ID tokens: OpenID Connect Core section 3.1.3.7, and everything that pretends."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from grantkeeper.errors import IdTokenRejected
from grantkeeper.oauth.id_token import key_id_of, validate_id_token
from grantkeeper.oauth.jwk import verification_keys
from grantkeeper.providers.google import GOOGLE
from grantkeeper.providers.microsoft import MICROSOFT
from grantkeeper.providers.record import Provider

NOW = 1_800_000_000
ISSUER = "https://op.example"
SECRET = "our-client-secret-our-client-secret"
PROVIDER = Provider("example", "Example", f"{ISSUER}/a", f"{ISSUER}/t", issuer=ISSUER)
ES256 = replace(PROVIDER, id_token_signed_response_alg="ES256")
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed-1"})
CLAIMS = {
    "iss": ISSUER,
    "sub": "user-1",
    "aud": "client-1",
    "exp": NOW + 3600,
    "iat": NOW,
    "nonce": "nonce-1",
}


def public(key, **changes):
    return key.as_dict(private=False) | changes


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims=CLAIMS, key=RSA, alg="RS256", **header):
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    header = {"alg": alg, "kid": key.kid} | header
    registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    registry.max_header_length = 10**6
    registry.max_payload_length = 10**6
    return jws.serialize_compact({k: v for k, v in header.items() if v is not None}, payload, key, registry=registry)


def raw(header, claims=CLAIMS, signature=b"\x00" * 256):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return f"{b64(header)}.{b64(json.dumps(claims).encode())}.{b64(signature)}"


def validate(token=None, provider=PROVIDER, keys=None, **changes):
    arguments = {"client_id": "client-1", "nonce": "nonce-1", "now": NOW} | changes
    keys = [public(RSA), public(EC), public(ED)] if keys is None else keys
    return validate_id_token(signed() if token is None else token, provider=provider, keys=keys, **arguments)


def reason(token=None, provider=PROVIDER, **changes):
    with pytest.raises(IdTokenRejected) as caught:
        validate(token, provider, **changes)
    return caught.value.extensions["reason"]


def with_claims(**changes):
    claims = {k: v for k, v in (CLAIMS | changes).items() if v is not ...}
    return signed(claims)


# --- what is accepted --------------------------------------------------------


def test_oidcc_client_test_a_good_token_gives_its_claims():
    """RS256, one audience, our nonce."""
    assert validate() == CLAIMS
    assert validate(signed(typ="JWT")) == CLAIMS


@pytest.mark.parametrize(("alg", "key"), [("ES256", EC), ("EdDSA", ED), ("PS256", RSA)])
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_every_algorithm_a_record_can_register_verifies(alg, key):
    """And only that one."""
    provider = replace(PROVIDER, id_token_signed_response_alg=alg)
    token = signed(key=key, alg=alg)

    assert validate(token, provider) == CLAIMS
    assert reason(token) == "algorithm"


# --- signature and header ----------------------------------------------------


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "", None, 7, ["RS256"], "RS384", "rs256", "RS256 "])
def test_c59_an_algorithm_that_is_not_the_registered_one_is_refused(alg):
    """With or without a signature: the record pins it."""
    assert reason(raw({"alg": alg, "kid": "rsa-1"})) == "algorithm"
    assert reason(raw({"kid": "rsa-1"})) == "algorithm"


def test_c59_a_token_without_signature_is_refused():
    """`alg: none` and its empty third segment."""
    header, payload, _ = raw({"alg": "RS256", "kid": "rsa-1"}).split(".")

    assert reason(f"{header}.{payload}.") == "malformed"
    assert reason(f"{header}.{payload}") == "malformed"


def test_c60_hs256_with_our_client_secret_is_refused():
    """The algorithm is not the token's to choose."""
    assert reason(signed(key=OctKey.import_key(SECRET, {"kid": "rsa-1"}), alg="HS256")) == "algorithm"


@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
def test_c61_hs256_with_the_public_key_as_secret_is_refused(form):
    """The oldest confusion there is."""
    material = {
        "pem": RSA.as_pem(private=False),
        "der": RSA.public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(public(RSA)).encode(),
    }[form]
    signing_input = raw({"alg": "HS256", "kid": "rsa-1"}).rpartition(".")[0]
    signature = hmac.digest(material, signing_input.encode(), "sha256")

    assert reason(f"{signing_input}.{b64(signature)}") == "algorithm"


def test_c62_a_bad_rs256_signature_is_refused():
    """One bit; too short; of other claims."""
    head, payload, signature = signed().split(".")
    data = bytearray(base64.urlsafe_b64decode(signature + "=="))
    data[10] ^= 1

    assert reason(f"{head}.{payload}.{b64(bytes(data))}") == "signature"
    assert reason(f"{head}.{payload}.{signature[:-8]}") == "signature"
    assert reason(f"{head}.{payload}.!!!") == "signature"
    assert reason(f"{head}.{b64(json.dumps(CLAIMS | {'sub': 'other'}).encode())}.{signature}") == "signature"


def test_c62_a_bad_es256_signature_is_refused():
    """Zeros, DER, truncated."""
    head, payload, signature = signed(key=EC, alg="ES256").split(".")
    assert validate(f"{head}.{payload}.{signature}", ES256) == CLAIMS
    der = EC.private_key.sign(f"{head}.{payload}".encode(), ECDSA(SHA256()))
    for bad in (b"\x00" * 64, der, b"\x01" * 63, b"", b"\x01"):
        assert reason(f"{head}.{payload}.{b64(bad)}", ES256) in ("signature", "malformed")


@pytest.mark.parametrize("extra", ["jwk", "jku", "x5u", "x5c"])
def test_c63_a_key_that_comes_with_the_token_is_not_looked_at(extra):
    """CVE-2026-27962: an attacker's key inside the header."""
    attacker = RSAKey.generate_key(2048, {"kid": "rsa-1"})
    value = {
        "jwk": public(attacker),
        "jku": "https://evil.example/jwks",
        "x5u": "https://evil.example/cert",
        "x5c": [b64(b"cert")],
    }[extra]

    assert reason(signed(key=attacker, **{extra: value})) == "signature"
    assert reason(signed(key=attacker, kid=None, **{extra: value}), keys=[public(RSA)]) == "signature"


@pytest.mark.parametrize(
    "extra", [{"crit": ["foo"], "foo": 1}, {"crit": []}, {"b64": False}, {"b64": True}, {"zip": "DEF"}]
)
def test_c64_an_extension_of_the_header_is_refused(extra):
    """What we do not understand may change what was signed."""
    assert reason(raw({"alg": "RS256", "kid": "rsa-1"} | extra)) == "header"


@pytest.mark.parametrize("typ", ["at+jwt", "logout+jwt", "secevent+jwt", 7, ["JWT"]])
def test_another_kind_of_token_is_refused(typ):
    """RFC 8725 section 3.11: an access token is no ID token."""
    assert reason(raw({"alg": "RS256", "kid": "rsa-1", "typ": typ})) == "header"


@pytest.mark.parametrize("kid", ["../../etc/passwd", "' OR 1=1 --", "rsa-1\u200b", "RSA-1", "x" * 4000])
def test_c65_a_kid_is_an_exact_string_in_a_list(kid):
    """No path, no query, no look-alike."""
    assert reason(signed(kid=kid)) == "key_unknown"


@pytest.mark.parametrize("kid", [["rsa-1"], 1, {"a": 1}, "", True])
def test_c65_a_kid_of_another_type_is_refused(kid):
    """Before any look-up."""
    assert reason(raw({"alg": "RS256", "kid": kid})) == "header"
    assert key_id_of(raw({"alg": "RS256", "kid": kid})) is None


def test_c66_a_duplicated_kid_is_told_apart_by_kind_and_use():
    """Keys for encryption are never tried; two that fit are one too many."""
    other = RSAKey.generate_key(2048)
    others = [
        public(EC, kid="rsa-1"),
        public(other, kid="rsa-1", use="enc"),
        public(other, kid="rsa-1", alg="PS256"),
        public(other, kid="rsa-1", key_ops=["encrypt"]),
    ]

    assert validate(keys=[*others, public(RSA, use="sig", alg="RS256")]) == CLAIMS
    assert reason(keys=others) == "key_unknown"
    assert reason(keys=[public(RSA), public(other, kid="rsa-1")]) == "key_ambiguous"


def test_c67_oidcc_client_test_kid_absent():
    """One key will do, of several none is tried."""
    token = signed(kid=None)

    assert validate(token, keys=[public(RSA)]) == CLAIMS
    assert validate(token, keys=[public(RSA), public(EC)]) == CLAIMS, "the other is of another kind"
    assert reason(token, keys=[public(RSA), public(RSAKey.generate_key(2048), kid="b")]) == "key_ambiguous"
    assert reason(token, keys=[]) == "key_unknown"


def test_c69_what_is_too_large_or_encrypted_is_refused_at_once():
    """In so many milliseconds of the processor that nothing of it was decoded."""
    huge = "a" * 30_000_000
    tokens = {
        f"{huge}.{huge}.{huge}": "too_large",
        ".".join(["abcd"] * 5): "malformed",
        "." * 60_000: "malformed",
        raw({"alg": "RS256", "x": "a" * 9000}): "too_large",
        raw({"alg": "RS256", "kid": "rsa-1"}, CLAIMS | {"x": "a" * 60_000}): "too_large",
    }
    for token, expected in tokens.items():
        started = time.process_time()
        assert reason(token) == expected
        assert time.process_time() - started < 0.1


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "!.!.!", "é.é.é", "e30.e30.e30", "W10.e30.AA", "bnVsbA.e30.AA"])
def test_garbage_is_refused(token):
    """With a typed error, whatever it is."""
    assert reason(token) in ("malformed", "algorithm")


def test_c84_a_weak_key_is_no_key():
    """RSA under 2048 bits or with exponent 1, P-192, symmetric keys."""
    short = public(RSA) | {"n": b64(b"\xff" * 128)}
    for key in (
        short,
        public(RSA, e="AQ"),
        public(RSA, e=""),
        public(EC, crv="P-192"),
        {"kty": "oct", "k": "c2VjcmV0"},
    ):
        assert verification_keys({"keys": [key]}) == []
        assert reason(keys=[key | {"kid": "rsa-1"}]) == "key_unknown"


def test_c90_a_key_with_private_parts_is_left_out():
    """Whoever publishes it has lost it."""
    assert verification_keys({"keys": [RSA.as_dict(private=True), public(EC)]}) == [public(EC)]


@pytest.mark.parametrize("document", [None, [], "", {}, {"keys": None}, {"keys": {}}, {"keys": [None, 1, "a", [], {}]}])
def test_a_key_set_of_any_shape_is_read(document):
    """Total: no keys rather than an exception."""
    assert verification_keys(document) == []


def test_c88_at_most_100_keys_are_read():
    """Of ten thousand."""
    assert len(verification_keys({"keys": [public(EC, kid=str(i)) for i in range(10_000)]})) == 100


# --- claims ------------------------------------------------------------------


@pytest.mark.parametrize(
    "issuer", [ISSUER + "/", "https://OP.example", "http://op.example", "", None, 7, [ISSUER], ...]
)
def test_c70_oidcc_client_test_invalid_iss(issuer):
    """Exact, from a closed list."""
    assert reason(with_claims(iss=issuer)) == "issuer"


def test_c70_googles_two_spellings_and_no_third():
    """The record's alias."""
    for issuer in ("https://accounts.google.com", "accounts.google.com"):
        assert validate(with_claims(iss=issuer), GOOGLE)["iss"] == issuer
    assert reason(with_claims(iss="http://accounts.google.com"), GOOGLE) == "issuer"


TID = "9188040d-6c67-4c5b-b112-36a304b66dad"


def test_c71_microsofts_issuer_repeats_the_tenant_claim():
    """Template filled from `tid`."""
    issuer = f"https://login.microsoftonline.com/{TID}/v2.0"
    assert validate(with_claims(iss=issuer, tid=TID), MICROSOFT)["tid"] == TID
    for tid in ("other", f"{TID}/v2.0/../x", "", None, 7, ...):
        assert reason(with_claims(iss=issuer, tid=tid), MICROSOFT) == "issuer"
    template = "https://login.microsoftonline.com/{tenantid}/v2.0"
    assert reason(with_claims(iss=template, tid="{tenantid}"), MICROSOFT) == "issuer"


def test_c71_a_single_tenant_record_accepts_no_other_tenant():
    """The allow-list is the issuer itself."""
    single = replace(MICROSOFT, issuer=f"https://login.microsoftonline.com/{TID}/v2.0", issuer_template=None)
    other = TID.replace("9", "8")

    assert validate(with_claims(iss=single.issuer, tid=TID), single)
    assert reason(with_claims(iss=f"https://login.microsoftonline.com/{other}/v2.0", tid=other), single) == "issuer"


@pytest.mark.parametrize(
    "audience",
    [..., None, "", "client-2", ["client-1", "client-2"], ["client-2"], [], [["client-1"]], 7, {"client-1": 1}],
)
def test_c72_oidcc_client_test_invalid_aud(audience):
    """Ours alone: a second audience could replay the token here."""
    assert reason(with_claims(aud=audience)) == "audience"


def test_c72_an_array_with_only_ours_is_accepted():
    """FAPI valid-aud-as-array."""
    assert validate(with_claims(aud=["client-1"]))


def test_c73_azp_is_ours_when_present():
    """Stricter than errata 2."""
    assert validate(with_claims(azp="client-1"))
    for azp in ("client-2", None, "", ["client-1"]):
        assert reason(with_claims(azp=azp)) == "authorized_party"


@pytest.mark.parametrize(
    "exp", [NOW - 1, NOW, NOW - 10**6, ..., None, str(NOW + 60), 1e300, float("inf"), float("nan"), True, [NOW + 60]]
)
def test_c74_an_expired_or_odd_exp_is_refused(exp):
    """Without leeway: the token was made a moment ago."""
    assert reason(with_claims(exp=exp)) == "expired"


def test_c74_a_numeric_date_may_have_a_fraction():
    """RFC 7519 section 2."""
    assert validate(with_claims(exp=NOW + 0.5, iat=NOW - 0.5))


@pytest.mark.parametrize("iat", [..., None, NOW + 61, NOW - 601, NOW - 2 * 86_400, str(NOW), True])
def test_c75_oidcc_client_test_missing_iat_and_odd_ones(iat):
    """Required, not from the future, not older than 10 minutes."""
    assert reason(with_claims(iat=iat)) == "issued_at"


@pytest.mark.parametrize("iat", [NOW + 10, NOW + 60, NOW - 600])
def test_c75_a_clock_may_be_a_minute_ahead(iat):
    """FAPI 2 section 5.3.2.1."""
    assert validate(with_claims(iat=iat))


def test_c76_nbf_in_the_future_is_refused():
    """By more than a minute."""
    assert validate(with_claims(nbf=NOW + 60))
    for nbf in (NOW + 61, "0", None):
        assert reason(with_claims(nbf=nbf)) == "not_yet_valid"


@pytest.mark.parametrize("nonce", [..., None, "", "nonce-2", ["nonce-1"], 7])
def test_c77_c82_oidcc_client_test_nonce_invalid(nonce):
    """A token of another trip."""
    assert reason(with_claims(nonce=nonce)) == "nonce"


def test_c77_forgetting_the_nonce_is_a_bug_of_the_caller():
    """Except where the record says that there is none."""
    with pytest.raises(ValueError, match="nonce"):
        validate(nonce=None)
    assert validate(with_claims(nonce=...), replace(PROVIDER, nonce=False), nonce=None)


@pytest.mark.parametrize("sub", [..., None, "", "x" * 256, "a\x00b", "a\nb", 12345, ["user-1"], True])
def test_c78_oidcc_client_test_missing_sub_and_odd_ones(sub):
    """A number is refused, not turned into a string."""
    assert reason(with_claims(sub=sub)) == "subject"


def test_c79_oidcc_client_test_invalid_athash():
    """The left half of the access token's hash, when the token has one."""
    good = b64(hashlib.sha256(b"at-1").digest()[:16])

    assert validate(with_claims(at_hash=good), access_token="at-1")
    assert validate(with_claims(at_hash="anything")), "there is nothing to compare with"
    for bad in ("", "wrong", None, good + "=", [good]):
        assert reason(with_claims(at_hash=bad), access_token="at-1") == "at_hash"
    assert reason(with_claims(at_hash=good), access_token="at-2") == "at_hash"


def test_c79_a_wrong_c_hash_is_refused():
    """When the token has one."""
    good = b64(hashlib.sha256(b"code-1").digest()[:16])

    assert validate(with_claims(c_hash=good), code="code-1")
    assert reason(with_claims(c_hash=good), code="code-2") == "c_hash"


def test_c80_auth_time_is_required_and_recent_when_max_age_was_asked():
    """With the minute clocks may differ."""
    assert validate(with_claims(auth_time=NOW - 300), max_age=300)
    for auth_time in (..., None, str(NOW), NOW - 361, NOW + 61, True):
        assert reason(with_claims(auth_time=auth_time), max_age=300) == "auth_time"
    assert validate(with_claims(auth_time=NOW - 10**6)), "nobody asked"
    assert reason(with_claims(auth_time="yesterday")) == "auth_time"


@pytest.mark.parametrize(
    "claims",
    [
        b'{"sub":"a","sub":"b"}',
        json.dumps(CLAIMS).encode()[:-1] + b',"sub":"user-1"}',
        json.dumps(CLAIMS).encode()[:-1] + b',"x":{"a":1,"a":1}}',
        b"\xef\xbb\xbf" + json.dumps(CLAIMS).encode(),
        b"[]",
        b"null",
        b"",
        b"\xff",
    ],
)
def test_c83_claims_with_duplicate_keys_or_no_object_are_refused(claims):
    """Although the signature is right."""
    assert reason(signed(claims)) == "malformed"


def test_c83_a_header_with_duplicate_keys_is_refused():
    """The first might say what the last takes back."""
    assert reason(raw(b'{"alg":"RS256","alg":"RS256","kid":"rsa-1"}')) == "malformed"


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(token=st.text() | st.binary().map(lambda data: f"{b64(data)}.{b64(data)}.{b64(data)}"))
def test_no_text_is_taken_for_a_token(token):
    """Always the typed error; the kid of it is read without harm."""
    assert reason(token)
    assert key_id_of(token) is None or isinstance(key_id_of(token), str)


def test_the_kid_is_read_without_believing_it():
    """To know whether keys must be fetched."""
    assert key_id_of(signed()) == "rsa-1"
    assert key_id_of(signed(kid=None)) is None
    assert key_id_of("x" * 10**6) is None
