"""Figma, section 9 of the fact sheet."""

from __future__ import annotations

from typing import Any

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Family, Person, Trip
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, Misspoken, answer, words


class Figma(Vendor):
    """Refreshes at an address of their own; one live token per user and application; nothing to revoke at."""

    key = record_id = "figma"
    authorize_url = "https://www.figma.com/oauth"
    token_url = "https://api.figma.com/v1/oauth/token"
    refresh_url = "https://api.figma.com/v1/oauth/refresh"
    client_auth = frozenset({"basic"})
    scopes = words(
        "current_user:read file_content:read file_metadata:read file_comments:read file_comments:write "
        "file_versions:read projects:read"
    )
    answers_scope = False
    lifetime = 7_776_000
    revocable = False

    def routes(self) -> Any:
        return {("GET", "api.figma.com/v1/me"): self.api(self.me)}

    def read_scopes(self, asked: dict[str, str]) -> list[str]:
        """Spaces or commas, not both."""
        text = asked.get("scope", "")
        if "," in text and " " in text:
            raise Misspoken("two separators")
        return super().read_scopes({"scope": text.replace(",", " ")})

    def open_families(self, trip: Trip) -> list[Family]:
        for family in self.grants.families:
            if family.person.id == trip.person.id:
                family.access.clear()  # one active token
        return super().open_families(trip)

    def me(self, call: Call, family: Family) -> HttpResponse:
        """Who it is."""
        person = family.person
        if "current_user:read" not in family.scopes:
            return answer({"status": 403, "err": "Invalid scope"}, 403)
        return answer({"id": person.id, "email": person.email, "handle": person.name, "img_url": person.avatar})

    def expected_profile(self, person: Person) -> dict[str, Any]:
        return super().expected_profile(person) | {"email_verified": False}
