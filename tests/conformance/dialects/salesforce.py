"""Salesforce, section 9 of the fact sheet."""

from __future__ import annotations

from typing import Any

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, Misspoken, answer, words

LOGIN = "login.salesforce.com/services/oauth2"
ORG = "00D50000000IZ3Z"


class Salesforce(Vendor):
    """No lifetime in the answer; `sub` is a URL; an address of the API comes with the tokens."""

    key = record_id = "salesforce"
    authorize_url = f"https://{LOGIN}/authorize"
    token_url = f"https://{LOGIN}/token"
    jwks_url = "https://login.salesforce.com/id/keys"
    issuer = "https://login.salesforce.com"
    oidc = True
    client_auth = frozenset({"post", "basic"})
    scopes = words("openid email profile api refresh_token offline_access web full id")
    offline_scopes = words("refresh_token offline_access")
    parameters = words("prompt login_hint display")
    lifetime = None

    def routes(self) -> Any:
        return {
            ("POST", f"{LOGIN}/revoke"): self.revoke,
            ("GET", f"{LOGIN}/userinfo"): self.api(lambda _, family: answer(self.claims(family.person))),
        }

    def _subject(self, person: Person) -> str:
        return f"https://login.salesforce.com/id/{ORG}/005{person.id}"

    def body(self, family: Family, *, access: str, refresh: str | None, first: bool) -> dict[str, Any]:
        made = super().body(family, access=access, refresh=refresh, first=first)
        extra = {"instance_url": "https://example.my.salesforce.com", "id": self._subject(family.person)}
        return made | extra | {"issued_at": str(self.clock() * 1000), "signature": "c2ln"}

    def claims(self, person: Person) -> dict[str, Any]:
        ids = {"sub": self._subject(person), "user_id": f"005{person.id}", "organization_id": ORG}
        return super().claims(person) | ids | {"picture": person.avatar}

    def dead(self) -> HttpResponse:
        return self.refused("invalid_grant", "expired access/refresh token")

    def unauthorized(self) -> HttpResponse:
        return answer([{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}], 401)

    def revoke(self, call: Call) -> HttpResponse:
        """A token of either kind."""
        form = call.form()
        family = self.grants.by_token(form.get("token", ""))
        if not form.get("token"):
            raise Misspoken("no token")
        if family is None:
            return answer({"error": "unsupported_token_type", "error_description": "this token type"}, 400)
        self.end(family, form["token"])
        return HttpResponse(200, {}, b"")

    def expected_profile(self, person: Person) -> dict[str, Any]:
        return super().expected_profile(person) | {"provider_user_id": self._subject(person)}
