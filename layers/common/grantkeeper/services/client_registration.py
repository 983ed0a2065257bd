"""
What may be registered of a client: one judge for the CLI and for the API (metadata names of RFC 7591).

What the sender may not say, such as an id, a status or a hash of a secret, is refused and not passed over (T-06).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from grantkeeper.errors import BadRequest, UnknownProvider, UnknownService
from grantkeeper.model import ALL_SCOPES, AuthMethod
from grantkeeper.oauth.jwk import verification_keys
from grantkeeper.providers.catalog import Catalog

PUBLIC_SCOPES = ("openid", "profile", "email", "offline_access", "connections:read", "connections:write")
METHODS = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")
MAX_NAME = 100
MAX_URI = 2048
MAX_URIS = 50
MAX_ORIGINS = 20  # each is an item of its own in the transaction that stores a client
MAX_NAMES = 200
MAX_KEYS = 10
LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class ClientMetadata:
    """What whoever registers a client decides, judged."""

    client_name: str
    redirect_uris: tuple[str, ...]
    token_endpoint_auth_method: AuthMethod
    origins: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    providers: tuple[str, ...]
    services: tuple[str, ...]
    scopes: tuple[str, ...]
    sign_up: Literal["open", "invited", "domains"]
    sign_up_domains: tuple[str, ...]
    id_token_signed_response_alg: Literal["RS256", "ES256"]
    jwks: tuple[Mapping[str, Any], ...]
    resources: tuple[str, ...]

    @classmethod
    def parse(cls, body: Mapping[str, Any], *, catalog: Catalog) -> ClientMetadata:
        """
        Judge a JSON body; what is left out has its default.

        Args:
            body: `client_name` and `redirect_uris` at least.
            catalog: What services and providers there are; a misspelt one would silently allow nothing.

        Raises:
            BadRequest: A member is missing, unknown, of the wrong type, or says what is not allowed; `parameter` names
                it.
        """
        if set(body) - {field.name for field in fields(cls)}:  # not named: it is the sender's text
            raise BadRequest("The body has a member that is not known here.")
        method = _one_of(body, "token_endpoint_auth_method", METHODS)
        scopes = _texts(body, "scopes", PUBLIC_SCOPES, most=len(ALL_SCOPES), check=check_scope)
        if method == "none" and "connections:token" in scopes:
            raise BadRequest("connections:token is never issued to a public client.", parameter="scopes")
        return cls(
            client_name=_name(body),
            redirect_uris=_required(_texts(body, "redirect_uris", check=check_redirect_uri), "redirect_uris"),
            token_endpoint_auth_method=cast("AuthMethod", method),
            origins=_texts(body, "origins", most=MAX_ORIGINS, check=check_origin),
            post_logout_redirect_uris=_texts(body, "post_logout_redirect_uris", check=check_redirect_uri),
            providers=_known(body, "providers", catalog.get),
            services=_known(body, "services", catalog.service),
            scopes=scopes,
            sign_up=(sign_up := cast("Any", _one_of(body, "sign_up", ("open", "invited", "domains")))),
            sign_up_domains=_domains(body, needed=sign_up == "domains"),
            id_token_signed_response_alg=cast("Any", _one_of(body, "id_token_signed_response_alg", ("RS256", "ES256"))),
            jwks=_jwks(body, needed=method == "private_key_jwt"),
            resources=_texts(body, "resources", check=check_resource),
        )


def check_redirect_uri(uri: str) -> None:
    """
    Accept https, http on loopback addresses, and private-use schemes in reverse-DNS form (RFC 8252 section 7).

    Raises:
        BadRequest: Anything else.
    """
    parts = _parts(uri)
    if "#" in uri:
        raise BadRequest("has a fragment (RFC 6749 section 3.1.2 forbids it)")
    if parts.scheme == "https" and parts.hostname and "@" not in parts.netloc:
        return
    if parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS and "@" not in parts.netloc:
        return
    if "." in parts.scheme:
        return
    raise BadRequest("must be https, http on a loopback address, or a reverse-DNS scheme")


def check_origin(origin: str) -> None:
    """
    Accept scheme, host and port as a browser sends them, and nothing after.

    Raises:
        BadRequest: It is something else.
    """
    parts = _parts(origin)
    exact = f"{parts.scheme}://{parts.netloc}" == origin == origin.lower() and parts.hostname and "@" not in origin
    if not exact or (parts.scheme != "https" and parts.hostname not in LOOPBACK_HOSTS):
        raise BadRequest("is not an https origin such as https://app.example.com")


def check_resource(resource: str) -> None:
    """
    Accept an absolute URI without fragment (RFC 8707 section 2); ours is an API's address.

    Raises:
        BadRequest: It is none.
    """
    parts = _parts(resource)
    local = parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS
    if "#" in resource or "@" in parts.netloc or not parts.hostname or not (parts.scheme == "https" or local):
        raise BadRequest("is not the https address of an API, such as https://api.example.com")


def check_scope(scope: str) -> None:
    """
    Accept one of our scopes.

    Raises:
        BadRequest: It is none.
    """
    if scope not in ALL_SCOPES:
        raise BadRequest(f"is none of {', '.join(ALL_SCOPES)}")


def _parts(uri: str) -> Any:
    # urlsplit drops tabs and line breaks, and browsers read a backslash as a slash: no URI of ours has either.
    if not uri.isascii() or not uri.isprintable() or " " in uri or "\\" in uri or len(uri) > MAX_URI:
        raise BadRequest("is not a URI")
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError:
        raise BadRequest("is not a URI") from None
    return parts


def _name(body: Mapping[str, Any]) -> str:
    name = body.get("client_name")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= len(name) <= MAX_NAME or not name.isprintable():
        raise BadRequest("client_name is 1 to 100 printable characters.", parameter="client_name")
    return name


def _one_of(body: Mapping[str, Any], name: str, allowed: Sequence[str]) -> str:
    """One of some words; the first is the default."""
    value = body.get(name, allowed[0])
    if not isinstance(value, str) or value not in allowed:
        raise BadRequest(f"{name} is one of {', '.join(allowed)}.", parameter=name)
    return value


def _texts(
    body: Mapping[str, Any],
    name: str,
    default: tuple[str, ...] = (),
    *,
    most: int = MAX_URIS,
    check: Callable[[str], None],
) -> tuple[str, ...]:
    """A list of different texts, each judged."""
    value = body.get(name, list(default))
    if not isinstance(value, list) or len(value) > most or not all(isinstance(each, str) for each in value):
        raise BadRequest(f"{name} is a list of at most {most} strings.", parameter=name)
    for number, each in enumerate(value, 1):
        try:
            check(each)
        except BadRequest as refused:
            raise BadRequest(f"{name}, entry {number}: {refused.detail}.", parameter=name) from None
    return tuple(dict.fromkeys(value))


def _required(values: tuple[str, ...], name: str) -> tuple[str, ...]:
    if not values:
        raise BadRequest(f"{name} needs an entry.", parameter=name)
    return values


def _known(body: Mapping[str, Any], name: str, find: Callable[[str], Any]) -> tuple[str, ...]:
    """`*`, or names that the catalog has."""

    def check(value: str) -> None:
        try:
            find(value)
        except (UnknownProvider, UnknownService):
            raise BadRequest("is not known here") from None

    if body.get(name, ["*"]) in (["*"], []):
        return ("*",)
    return _texts(body, name, most=MAX_NAMES, check=check)


def _domains(body: Mapping[str, Any], *, needed: bool) -> tuple[str, ...]:
    def check(domain: str) -> None:
        if not domain or len(domain) > 253 or not domain.isascii() or set(domain) - _DOMAIN or domain != domain.lower():
            raise BadRequest("is not a domain or the id of a tenant, in lower case")

    domains = _texts(body, "sign_up_domains", check=check)
    if needed:
        return _required(domains, "sign_up_domains")
    if domains:
        raise BadRequest("sign_up_domains goes with sign_up domains only.", parameter="sign_up_domains")
    return ()


def _jwks(body: Mapping[str, Any], *, needed: bool) -> tuple[Mapping[str, Any], ...]:
    """Public keys that an assertion of ours may be verified with (RFC 7523): RSA, or the curve P-256."""
    value = body.get("jwks", [])
    keys = verification_keys({"keys": value})
    fitting = [key for key in keys if key["kty"] == "RSA" or key.get("crv") == "P-256"]
    if not isinstance(value, list) or len(value) > MAX_KEYS or len(fitting) != len(value):
        raise BadRequest(
            "jwks is a list of at most 10 public keys for signatures: RSA of 2048 bits, or P-256.", parameter="jwks"
        )
    if needed and not value:
        raise BadRequest("private_key_jwt needs a public key.", parameter="jwks")
    return tuple(fitting)


_DOMAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-")
