"""Discord, section 9 of the fact sheet."""

from __future__ import annotations

import hashlib
from typing import Any

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, Misspoken, answer, words


def _hash(picture: str) -> str:
    """What the address of a picture is computed from, beside the id."""
    return hashlib.md5(picture.encode(), usedforsecurity=False).hexdigest()


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
    tells_language = True

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
            "avatar": _hash(person.avatar) if person.avatar else None,
            "locale": person.language,
        }
        if "email" in family.scopes:
            made |= {"email": person.email, "verified": person.email_verified}
        return answer(made)

    def throttled(self, retry_after: str) -> HttpResponse:
        return answer({"message": "You are being rate limited.", "retry_after": 97.0}, 429, retry_after=retry_after)

    def unauthorized(self) -> HttpResponse:
        return answer({"message": "401: Unauthorized", "code": 0}, 401)

    def expected_profile(self, person: Person) -> dict[str, Any]:
        avatar = person.avatar and f"https://cdn.discordapp.com/avatars/{person.id}/{_hash(person.avatar)}.png"
        return super().expected_profile(person) | {"avatar_url": avatar}
