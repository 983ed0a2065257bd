"""Spotify, section 9 of the fact sheet."""

from __future__ import annotations

from typing import Any

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, answer, words


class Spotify(Vendor):
    """The refresh token lasts for a confidential client; nothing to revoke at; addresses are not verified."""

    key = record_id = "spotify"
    authorize_url = "https://accounts.spotify.com/authorize"
    token_url = "https://accounts.spotify.com/api/token"
    client_auth = frozenset({"basic", "post"})
    scopes = words(
        "user-read-email user-read-private playlist-read-private playlist-read-collaborative playlist-modify-private "
        "playlist-modify-public user-library-read user-library-modify user-read-recently-played user-top-read "
        "user-read-playback-state user-modify-playback-state user-read-currently-playing user-follow-read"
    )
    parameters = words("show_dialog")
    revocable = False

    def routes(self) -> Any:
        return {("GET", "api.spotify.com/v1/me"): self.api(self.me)}

    def me(self, call: Call, family: Family) -> HttpResponse:
        """The address with its scope only."""
        person = family.person
        images = [{"url": person.avatar, "height": 64, "width": 64}] if person.avatar else []
        made = {"id": person.id, "display_name": person.name, "images": images, "type": "user"}
        return answer(made | ({"email": person.email} if "user-read-email" in family.scopes else {}))

    def unauthorized(self) -> HttpResponse:
        return answer({"error": {"status": 401, "message": "Invalid access token"}}, 401)

    def expected_profile(self, person: Person) -> dict[str, Any]:
        return super().expected_profile(person) | {"email_verified": False}
