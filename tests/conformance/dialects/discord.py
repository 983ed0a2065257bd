"""Discord, section 9 of the fact sheet."""

from __future__ import annotations

from typing import Any

from grantkeeper.ports import HttpResponse
from tests.conformance.grants import Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, Misspoken, answer, words


class Discord(Vendor):
    """Forms only; a picture that is computed; a revocation takes the whole authorization."""

    key = record_id = "discord"
    authorize_url = "https://discord.com/oauth2/authorize"
    token_url = "https://discord.com/api/oauth2/token"
    client_auth = frozenset({"post", "basic"})
    scopes = words("identify email guilds guilds.members.read connections messages.read bot")
    parameters = words("prompt permissions")
    lifetime = 604800
    refresh_token = "rotated"
    previous = "dead"
    reach = "person"

    def routes(self) -> Any:
        return {
            ("POST", "discord.com/api/oauth2/token/revoke"): self.revoke,
            ("GET", "discord.com/api/users/@me"): self.api(self.me),
        }

    def check_trip(self, asked: dict[str, str], scopes: list[str], *, connecting: bool) -> None:
        if asked.get("prompt", "none") not in ("none", "consent"):
            raise Misspoken("prompt")

    def me(self, call: Call, family: Family) -> HttpResponse:
        """The address with its scope only."""
        person = family.person
        made: dict[str, Any] = {
            "id": person.id,
            "username": person.login,
            "global_name": person.name,
            "avatar": "8342729096ea3675442027381ff50dfe" if person.avatar else None,
            "locale": "en-US",
        }
        if "email" in family.scopes:
            made |= {"email": person.email, "verified": person.email_verified}
        return answer(made)

    def throttled(self, retry_after: str) -> HttpResponse:
        return answer({"message": "You are being rate limited.", "retry_after": 97.0}, 429, retry_after=retry_after)

    def unauthorized(self) -> HttpResponse:
        return answer({"message": "401: Unauthorized", "code": 0}, 401)

    def expected_profile(self, person: Person) -> dict[str, Any]:
        avatar = f"https://cdn.discordapp.com/avatars/{person.id}/8342729096ea3675442027381ff50dfe.png"
        return super().expected_profile(person) | {"avatar_url": avatar if person.avatar else None}
