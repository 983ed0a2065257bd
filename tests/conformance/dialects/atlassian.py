"""Atlassian's authorization server: Jira and Confluence (section 9), and Trello's OAuth 2.0 (section 6a)."""

from __future__ import annotations

from typing import Any

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, answer, words


class _Atlassian(Vendor):
    """JSON, single-use refresh tokens, and 403 for a dead one. Nothing to revoke at."""

    authorize_url = "https://auth.atlassian.com/authorize"
    token_url = "https://auth.atlassian.com/oauth/token"
    encoding = "json"
    offline_scopes = words("offline_access")
    refresh_token = "rotated"
    previous = "dead"
    revocable = False

    def dead(self) -> HttpResponse:
        return answer({"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."}, 403)


class Atlassian(_Atlassian):
    """Jira and Confluence."""

    key = record_id = "atlassian"
    scopes = words(
        "read:me read:account offline_access read:jira-work write:jira-work read:jira-user manage:jira-project "
        "read:confluence-content.all read:confluence-content.summary read:confluence-space.summary "
        "write:confluence-content write:confluence-file search:confluence read:confluence-user"
    )
    parameters = words("audience prompt")
    connect_needs = (("audience", "api.atlassian.com"), ("prompt", "consent"))
    names_of_sites = ("example",)
    instead_of_sites: HttpResponse | None = None

    def routes(self) -> Any:
        return {
            ("GET", "api.atlassian.com/me"): self.api(self.me),
            ("GET", "api.atlassian.com/oauth/token/accessible-resources"): self.api(self.sites),
        }

    def sites(self, _: Call, family: Family) -> HttpResponse:
        """Where the token is good for something."""
        if self.instead_of_sites is not None:
            return self.instead_of_sites
        scopes = sorted(family.scopes)
        return answer([site | {"scopes": scopes, "avatarUrl": f"{site['url']}/a.png"} for site in self.all_sites()])

    def all_sites(self) -> list[dict[str, Any]]:
        """Sites of the account: a cloud id each."""
        return [
            {"id": f"11223344-{at}", "url": f"https://{name}.atlassian.net", "name": name}
            for at, name in enumerate(self.names_of_sites)
        ]

    def me(self, call: Call, family: Family) -> HttpResponse:
        """Who it is."""
        person = family.person
        if "read:me" not in family.scopes:
            return answer({"code": 403, "message": "Forbidden"}, 403)
        made = {"account_type": "atlassian", "account_id": f"712020:{person.id}", "email": person.email}
        return answer(made | {"name": person.name, "picture": person.avatar, "account_status": "active"})

    def expected_profile(self, person: Person) -> dict[str, Any]:
        identity = f"712020:{person.id}"
        return super().expected_profile(person) | {"provider_user_id": identity, "email_verified": False}


class Trello(_Atlassian):
    """Trello's own scopes, with PKCE."""

    key = record_id = "trello"
    scopes = words(
        "offline_access read:member:trello write:member:trello read:board:trello write:board:trello "
        "write:board:membership:trello read:organization:trello write:organization:trello "
        "write:organization:membership:trello read:enterprise:trello write:enterprise:trello"
    )
    parameters = words("prompt audience")
    pkce = "required"
    tells_language = True

    def routes(self) -> Any:
        return {("GET", "api.trello.com/1/members/me"): self.api(self.me)}

    def me(self, call: Call, family: Family) -> HttpResponse:
        """The fields that were asked for."""
        person = family.person
        made = {
            "id": f"5f{int(person.id):022x}",
            "username": person.login,
            "fullName": person.name,
            "email": person.email if "read:member:trello" in family.scopes else None,
            "avatarUrl": person.avatar and person.avatar.removesuffix(".png"),  # a size has to follow
            "prefs": {"locale": person.language},
        }
        wanted = words(call.query.get("fields", "").replace(",", " ")) | {"id"}
        return answer({name: value for name, value in made.items() if name in wanted})

    def unauthorized(self) -> HttpResponse:
        return answer({"message": "unauthorized"}, 401)

    def expected_profile(self, person: Person) -> dict[str, Any]:
        expected = super().expected_profile(person) | {"provider_user_id": f"5f{int(person.id):022x}"}
        avatar = person.avatar and person.avatar.removesuffix(".png") + "/170.png"
        return expected | {"email_verified": False, "avatar_url": avatar}
