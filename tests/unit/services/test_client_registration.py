"""What may be registered of a client, and what is refused before anything is written."""

from __future__ import annotations

from typing import Any

import pytest

from grantkeeper.errors import BadRequest
from grantkeeper.providers.catalog import Catalog
from grantkeeper.services.client_registration import (
    PUBLIC_SCOPES,
    ClientMetadata,
    check_origin,
    check_redirect_uri,
    check_resource,
)

BODY = {"client_name": "App", "redirect_uris": ["https://a.example/cb"]}
EC_KEY = {"kty": "EC", "crv": "P-256", "kid": "1", "x": "A" * 43, "y": "B" * 43}


def parse(**changes: Any) -> ClientMetadata:
    return ClientMetadata.parse({**BODY, **changes}, catalog=Catalog({}))


def test_a_name_and_a_redirect_uri_make_a_public_client() -> None:
    """Everything else has its default."""
    wanted = parse()
    assert (wanted.token_endpoint_auth_method, wanted.scopes) == ("none", PUBLIC_SCOPES)
    assert (wanted.services, wanted.providers, wanted.sign_up) == (("*",), ("*",), "open")


def test_lists_keep_their_order_and_lose_what_is_twice() -> None:
    """A repeated origin would be two writes of one item."""
    assert parse(origins=["https://b.example", "https://a.example", "https://b.example"]).origins == (
        "https://b.example",
        "https://a.example",
    )


@pytest.mark.parametrize("member", ["client_id", "status", "secret_hashes", "created_at", "role", "sub", "write_id"])
def test_t06_what_the_sender_may_not_say_is_refused(member: str) -> None:
    """Not passed over: whoever sends it believes that it does something."""
    with pytest.raises(BadRequest):
        parse(**{member: "x"})


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("client_name", ""), ("client_name", "   "), ("client_name", "a" * 101), ("client_name", "a\nb"),
        ("client_name", 7), ("redirect_uris", []), ("redirect_uris", "https://a.example/cb"), ("redirect_uris", [1]),
        ("redirect_uris", ["https://a.example/cb"] * 51), ("token_endpoint_auth_method", "tls_client_auth"),
        ("token_endpoint_auth_method", None), ("origins", ["*"]),
        ("origins", [f"https://{n}.example" for n in range(21)]),
        ("scopes", ["admin:everything"]), ("scopes", ["connections:token"]), ("scopes", {"openid": True}),
        ("services", ["gmial"]), ("providers", ["gogle"]), ("services", ["*", "gmail"]), ("sign_up", "anybody"),
        ("sign_up_domains", ["example.com"]), ("jwks", {"keys": []}), ("jwks", [{"kty": "oct", "k": "c2VjcmV0"}]),
        ("jwks", [{**EC_KEY, "d": "secret"}]), ("jwks", [{**EC_KEY, "crv": "P-384"}]), ("jwks", [EC_KEY] * 11),
        ("jwks", [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]), ("resources", ["api"]),
        ("id_token_signed_response_alg", "none"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_refused_by_name(member: str, value: Any) -> None:
    """The parameter is told, its value is not."""
    with pytest.raises(BadRequest) as refused:
        parse(**{member: value})
    assert refused.value.extensions["parameter"] == member


def test_a_client_that_signs_needs_a_key_and_one_by_domain_a_domain() -> None:
    """Without them nobody could ever sign in."""
    assert parse(token_endpoint_auth_method="private_key_jwt", jwks=[EC_KEY]).jwks == (EC_KEY,)
    assert parse(sign_up="domains", sign_up_domains=["example.com"]).sign_up_domains == ("example.com",)
    with pytest.raises(BadRequest, match="public key"):
        parse(token_endpoint_auth_method="private_key_jwt")
    with pytest.raises(BadRequest, match="sign_up_domains"):
        parse(sign_up="domains")


def test_a_confidential_client_may_read_tokens() -> None:
    """A public one may not, whatever it asks for."""
    wanted = parse(token_endpoint_auth_method="client_secret_basic", scopes=["connections:token"])
    assert wanted.scopes == ("connections:token",)


@pytest.mark.parametrize(
    "uri",
    [
        "http://a.example/cb", "https://a.example/cb#x", "https://a.example/cb#", "https://u@a.example/cb",
        "javascript:alert(1)", "https:///cb", "cb", "https://a.example\\@b.example/cb", "https://a.exa\tmple/cb",
        "http://localhost@b.example/cb", "http://u@localhost/cb", "https://a.example/ cb", "https://[", "",
        "https://a.example:99999/cb", "https://a.example/é", "https://a.example/" + "a" * 2048,
    ],
)  # fmt: skip
def test_w01_a_redirect_uri_that_could_mislead_is_refused(uri: str) -> None:
    """What two parsers might read differently as well."""
    with pytest.raises(BadRequest):
        check_redirect_uri(uri)


@pytest.mark.parametrize(
    "uri", ["https://a.example/cb", "http://127.0.0.1/cb", "com.example.app:/cb", "http://[::1]/c"]
)
def test_redirect_uris_of_web_and_native_apps_are_taken(uri: str) -> None:
    """RFC 8252 section 7."""
    check_redirect_uri(uri)


@pytest.mark.parametrize(
    "origin",
    ["https://a.example/", "https://a.example/x", "http://a.example", "null", "*", "https://u@a.example",
     "https://A.example", "https://", ""],
)  # fmt: skip
def test_w02_an_origin_is_exact(origin: str) -> None:
    """No path, no star, and as a browser sends it."""
    with pytest.raises(BadRequest):
        check_origin(origin)


@pytest.mark.parametrize(
    "resource",
    ["api", "http://api.example", "https://api.example#x", "https://u@api.example", "https://", "https://[", ""],
)
def test_a_resource_is_the_address_of_an_api(resource: str) -> None:
    """RFC 8707 section 2: an absolute URI without fragment."""
    with pytest.raises(BadRequest):
        check_resource(resource)
