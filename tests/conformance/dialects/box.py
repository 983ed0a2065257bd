"""Box, section 9 of the fact sheet."""

from __future__ import annotations

from typing import Any

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, Misspoken, answer, words


class Box(Vendor):
    """Single-use refresh tokens, scopes from the application's settings, the address under `login`."""

    key = record_id = "box"
    authorize_url = "https://account.box.com/api/oauth2/authorize"
    token_url = "https://api.box.com/oauth2/token"
    pkce = "refused"  # not documented
    scopes = words("root_readwrite root_readonly manage_managed_users")
    token_type = "bearer"
    answers_scope = False
    lifetime = 4184
    refresh_token = "rotated"
    previous = "dead"
    tells_language = True

    def routes(self) -> Any:
        return {
            ("POST", "api.box.com/oauth2/revoke"): self.revoke,
            ("GET", "api.box.com/2.0/users/me"): self.api(self.me),
        }

    def revoke(self, call: Call) -> HttpResponse:
        """Credentials in the form."""
        if call.basic:
            raise Misspoken("credentials go into the form")
        return super().revoke(call)

    def body(self, family: Family, *, access: str, refresh: str | None, first: bool) -> dict[str, Any]:
        return super().body(family, access=access, refresh=refresh, first=first) | {"restricted_to": []}

    def me(self, call: Call, family: Family) -> HttpResponse:
        """Who it is."""
        person = family.person
        made = {"type": "user", "id": person.id, "name": person.name, "login": person.email}
        return answer(made | {"language": person.language, "avatar_url": person.avatar or ""})

    def unauthorized(self) -> HttpResponse:
        return HttpResponse(401, {"www-authenticate": 'Bearer error="invalid_token"'}, b"")

    def expected_profile(self, person: Person) -> dict[str, Any]:
        return super().expected_profile(person) | {"email_verified": False}
