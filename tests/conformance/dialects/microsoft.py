"""Microsoft identity platform, section 3 of the fact sheet."""

from __future__ import annotations

from typing import Any

from grantkeeper.ports import HttpResponse
from tests.conformance.grants import Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Misspoken, answer, words

LOGIN = "https://login.microsoftonline.com/common"
TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
GRAPH = "https://graph.microsoft.com/"


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

    def routes(self) -> Any:
        return {
            ("GET", "graph.microsoft.com/oidc/userinfo"): self.api(lambda _, f: answer(self.claims(f.person))),
            ("GET", "graph.microsoft.com/v1.0/me"): self.api(
                lambda _, f: answer({"id": self._oid(f.person), "displayName": f.person.name, "mail": f.person.email})
            ),
        }

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

    def expected_profile(self, person: Person) -> dict[str, Any]:
        # the picture needs the token to be read: it is no URL to show
        identity = f"{TENANT}:{self._oid(person)}"
        return super().expected_profile(person) | {"provider_user_id": identity, "avatar_url": None}
