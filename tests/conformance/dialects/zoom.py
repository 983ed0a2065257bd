"""Zoom, section 9 of the fact sheet."""

from __future__ import annotations

from typing import Any

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, answer, words


class Zoom(Vendor):
    """Basic; scopes are the application's; refresh tokens are single use."""

    key = record_id = "zoom"
    authorize_url = "https://zoom.us/oauth/authorize"
    token_url = "https://zoom.us/oauth/token"
    client_auth = frozenset({"basic", "post"})
    scopes = words(
        "user:read:user user:read:email meeting:read:meeting meeting:read:list_meetings meeting:write:meeting "
        "cloud_recording:read:list_user_recordings"
    )
    lifetime = 3599
    refresh_token = "rotated"
    previous = "dead"
    tells_language = True

    def routes(self) -> Any:
        return {
            ("POST", "zoom.us/oauth/revoke"): self.revoke,
            ("GET", "api.zoom.us/v2/users/me"): self.api(self.me),
        }

    def revoked(self) -> HttpResponse:
        return answer({"status": "success"})

    def me(self, call: Call, family: Family) -> HttpResponse:
        """`verified` is a number."""
        person = family.person
        made = {"id": f"KDcuGIm1QgePTO8{person.id}", "email": person.email, "verified": int(person.email_verified)}
        made |= {"display_name": person.name, "first_name": person.name.split()[0], "language": person.language}
        return answer(made | ({"pic_url": person.avatar} if person.avatar else {}))

    def unauthorized(self) -> HttpResponse:
        return answer({"code": 124, "message": "Invalid access token."}, 401)

    def refused(self, error: str, description: str = "") -> HttpResponse:
        return answer({"reason": description or error, "error": error}, 401 if error == "invalid_client" else 400)

    def expected_profile(self, person: Person) -> dict[str, Any]:
        return super().expected_profile(person) | {"provider_user_id": f"KDcuGIm1QgePTO8{person.id}"}
