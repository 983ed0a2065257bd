"""X, section 9 of the fact sheet."""

from __future__ import annotations

from typing import Any

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, answer, words


class X(Vendor):
    """PKCE always; an address only when it is confirmed; refresh tokens are single use."""

    key = record_id = "x"
    authorize_url = "https://x.com/i/oauth2/authorize"
    token_url = "https://api.x.com/2/oauth2/token"
    client_auth = frozenset({"basic"})
    pkce = "required"
    scopes = words(
        "users.read tweet.read tweet.write offline.access users.email like.read like.write follows.read "
        "follows.write bookmark.read bookmark.write dm.read dm.write list.read media.write"
    )
    offline_scopes = words("offline.access")
    token_type = "bearer"
    lifetime = 7200
    refresh_token = "rotated"
    previous = "dead"

    def routes(self) -> Any:
        return {
            ("POST", "api.x.com/2/oauth2/revoke"): self.revoke,
            ("GET", "api.x.com/2/users/me"): self.api(self.me),
        }

    def revoked(self) -> HttpResponse:
        return answer({"revoked": True})

    def me(self, call: Call, family: Family) -> HttpResponse:
        """More than id, name and username has to be asked for."""
        person = family.person
        data: dict[str, Any] = {"id": person.id, "name": person.name, "username": person.login}
        wanted = call.query.get("user.fields", "").split(",")
        if "profile_image_url" in wanted and person.avatar:
            data["profile_image_url"] = person.avatar
        if "confirmed_email" in wanted and "users.email" in family.scopes and person.email_verified:
            data["confirmed_email"] = person.email
        return answer({"data": data})

    def unauthorized(self) -> HttpResponse:
        return answer({"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}, 401)

    def dead(self) -> HttpResponse:
        return self.refused("invalid_grant", "Value passed for the token was invalid.")

    def expected_profile(self, person: Person) -> dict[str, Any]:
        expected = super().expected_profile(person)
        return expected if person.email_verified else expected | {"email": None, "email_verified": False}
