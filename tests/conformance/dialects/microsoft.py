"""Microsoft identity platform, section 3 of the fact sheet."""

from __future__ import annotations

from typing import Any

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, Misspoken, answer, words

LOGIN = "https://login.microsoftonline.com/common"
TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
GRAPH = "https://graph.microsoft.com/"
SIZES = words("48x48 64x64 96x96 120x120 240x240 360x360 432x432 504x504 648x648")


class Microsoft(Vendor):
    """A templated issuer, qualified scopes in odd case, a new refresh token each time beside the old one."""

    key = record_id = "microsoft"
    authorize_url = f"{LOGIN}/oauth2/v2.0/authorize"
    token_url = f"{LOGIN}/oauth2/v2.0/token"
    jwks_url = f"{LOGIN}/discovery/v2.0/keys"
    issuer = "https://login.microsoftonline.com/{tenantid}/v2.0"
    oidc = True
    client_auth = frozenset({"post", "basic"})
    scopes = words(
        "openid profile email offline_access User.Read Mail.Read Mail.ReadWrite Mail.Send Calendars.Read "
        "Calendars.ReadWrite Team.ReadBasic.All Channel.ReadBasic.All Chat.Read ChannelMessage.Read.All "
        "ChannelMessage.Send ChatMessage.Send Chat.ReadWrite"
    )
    offline_scopes = frozenset({"offline_access"})
    parameters = frozenset({"response_mode", "prompt", "login_hint", "domain_hint"})
    lifetime = 4500
    refresh_token = "rotated"
    previous = "valid"
    revocable = False
    tells_language = True
    bears_pictures = True
    instead_of_picture: HttpResponse | None = None

    def routes(self) -> Any:
        return {
            ("GET", "graph.microsoft.com/oidc/userinfo"): self.api(self.userinfo),
            ("GET", "graph.microsoft.com/v1.0/me"): self.api(self.me),
            ("GET", "graph.microsoft.com/v1.0/me/photo/$value"): self.api(self.photo),
            ("GET", "graph.microsoft.com/v1.0/me/photos/{size}/$value"): self.api(self.photo),
        }

    def userinfo(self, call: Call, family: Family) -> HttpResponse:
        """A part of the ID token; the picture is an address that wants the token."""
        names = ("sub", "name", "email")
        told = {name: value for name, value in self.claims(family.person).items() if name in names}
        return answer(told | {"picture": f"{GRAPH}v1.0/me/photo/$value"})

    def me(self, call: Call, family: Family) -> HttpResponse:
        """The fields that were asked for, to who may read them."""
        if "User.Read" not in family.scopes:
            return answer({"error": {"code": "Authorization_RequestDenied"}}, 403)
        person = family.person
        made = {"id": self._oid(person), "displayName": person.name, "mail": person.email}
        made |= {"userPrincipalName": person.email, "preferredLanguage": person.language}
        wanted = words(call.query["$select"].replace(",", " "))
        return answer({name: value for name, value in made.items() if name in wanted})

    def photo(self, call: Call, family: Family) -> HttpResponse:
        """Bytes, or 404 when there is none."""
        if "User.Read" not in family.scopes:
            return answer({"error": {"code": "ErrorAccessDenied"}}, 403)
        if call.path_parameters.get("size", "96x96") not in SIZES:
            raise Misspoken("no such size")
        if self.instead_of_picture is not None:
            return self.instead_of_picture
        picture = self.picture(family.person)
        if picture is None:
            return answer({"error": {"code": "ImageNotFound"}}, 404)
        return HttpResponse(200, {"content-type": "image/jpeg"}, picture)

    def picture(self, person: Person) -> bytes | None:
        """What the bytes are."""
        return b"\xff\xd8\xff\xe0" + person.avatar.encode() if person.avatar else None

    def check_trip(self, asked: dict[str, str], scopes: list[str], *, connecting: bool) -> None:
        if asked.get("response_mode", "query") != "query":
            raise Misspoken("response_mode")
        if asked.get("prompt", "login") not in ("login", "none", "consent", "select_account"):
            raise Misspoken("prompt takes one value")
        if "openid" in scopes and "profile" not in scopes:
            raise Misspoken("oid comes with profile only")

    def shown_scopes(self, scopes: Any) -> list[str]:
        plain = {"openid", "profile", "email"}
        return [s if s in plain else GRAPH + s.swapcase() for s in scopes if s != "offline_access"]

    def _oid(self, person: Person) -> str:
        return f"00000000-0000-0000-0000-{int(person.id):012d}"

    def claims(self, person: Person) -> dict[str, Any]:
        # the admin of any tenant writes what he likes into `email`; only xms_edov says that the domain is his
        return {
            "sub": f"pairwise-{person.id}",
            "tid": TENANT,
            "oid": self._oid(person),
            "email": person.email,
            "name": person.name,
            "preferred_username": person.email,
            "xms_edov": True if person.email_verified else None,
            "ver": "2.0",
        }

    def token_issuer(self) -> str:
        return f"https://login.microsoftonline.com/{TENANT}/v2.0"

    def refused(self, error: str, description: str = "", code: int = 0) -> HttpResponse:
        body = {
            "error": error,
            "error_description": f"AADSTS{code}: {description or error} Trace ID: 1 Correlation ID: 2",
            "error_codes": [code],
            "trace_id": "1",
            "correlation_id": "2",
        }
        return answer(body, 401 if error == "invalid_client" else 400)

    def bad_client(self) -> HttpResponse:
        return self.refused("invalid_client", "Invalid client secret provided.", 7000215)

    def bad_code(self) -> HttpResponse:
        return self.refused("invalid_grant", "The code has expired.", 70008)

    def dead(self) -> HttpResponse:
        return self.refused("invalid_grant", "The grant was revoked.", 50173)

    def looping(self) -> HttpResponse:
        """Throttling in the words of a dead grant."""
        return self.refused("invalid_grant", "The server terminated a loop.", 50196)

    def expected_later(self, connected_as: Person, now: Person) -> dict[str, Any]:
        # only the ID token says that an address is verified, and it spoke of the one at that time
        same = connected_as.email == now.email and connected_as.email_verified
        return self.expected_profile(now) | {"email_verified": same}

    def expected_profile(self, person: Person) -> dict[str, Any]:
        # the picture needs the token to be read: it is no URL to show
        identity = f"{TENANT}:{self._oid(person)}"
        return super().expected_profile(person) | {"provider_user_id": identity, "avatar_url": None}
