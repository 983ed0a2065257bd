"""GitHub, section 2 of the fact sheet: OAuth Apps and GitHub Apps."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, Misspoken, answer


class GitHub(Vendor):
    """An OAuth App: tokens without an end, errors in a 200, commas in the answer's scope."""

    key = record_id = "github"
    authorize_url = "https://github.com/login/oauth/authorize"
    token_url = "https://github.com/login/oauth/access_token"
    callback_extra = (("iss", "https://github.com/login/oauth"),)
    scopes = frozenset({"read:user", "user:email", "repo", "read:org", "workflow", "gist", "notifications"})
    parameters = frozenset({"login", "allow_signup", "prompt"})
    token_type = "bearer"
    response_separator = ","
    lifetime: int | None = None
    refresh_token: Any = "never"
    reach = "token"

    def routes(self) -> Any:
        return {
            ("DELETE", "api.github.com/applications/{client_id}/token"): self.delete_token,
            ("DELETE", "api.github.com/applications/{client_id}/grant"): self.delete_grant,
            ("GET", "api.github.com/user"): self.api(self.user),
            ("GET", "api.github.com/user/emails"): self.api(self.emails),
        }

    def check_trip(self, asked: dict[str, str], scopes: list[str], *, connecting: bool) -> None:
        if asked.get("prompt", "select_account") != "select_account":
            raise Misspoken("prompt")

    def _token_endpoint(self, call: Call) -> HttpResponse:
        """Form-encoded unless JSON is asked for."""
        made = super()._token_endpoint(call)
        if made.status != 200 or "application/json" in (call.header("accept") or ""):
            return made
        text = urlencode(json.loads(made.body))
        return HttpResponse(200, {"content-type": "application/x-www-form-urlencoded"}, text.encode())

    def refused(self, error: str, description: str = "") -> HttpResponse:
        url = "https://docs.github.com/apps/managing-oauth-apps/troubleshooting"
        return answer({"error": error, "error_description": description or error, "error_uri": url})

    def bad_client(self) -> HttpResponse:
        return self.refused("incorrect_client_credentials")

    def bad_code(self) -> HttpResponse:
        return self.refused("bad_verification_code")

    def dead(self) -> HttpResponse:
        return self.refused("bad_refresh_token")

    def unauthorized(self) -> HttpResponse:
        return answer({"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}, 401)

    def throttled(self, retry_after: str) -> HttpResponse:
        return answer({"message": "You have exceeded a secondary rate limit."}, 429, retry_after=retry_after)

    def _our_app(self, call: Call) -> None:
        if call.basic != (self.client_id, self.client_secret) or call.path_parameters["client_id"] != self.client_id:
            raise Misspoken("Basic client authentication")
        if set(call.json()) != {"access_token"}:
            raise Misspoken("the body is one access_token")

    def delete_token(self, call: Call) -> HttpResponse:
        """This access token alone; it must be a live one."""
        self._our_app(call)
        token = call.json()["access_token"]
        family = self.grants.by_access(token)
        if family is None:
            return answer({"message": "Validation Failed"}, 422)
        self.end(family, token)
        return HttpResponse(204, {}, b"")

    def delete_grant(self, call: Call) -> HttpResponse:
        """Every token of the user at this app."""
        self._our_app(call)
        family = self.grants.by_access(call.json()["access_token"])
        if family is None:
            return answer({"message": "Validation Failed"}, 422)
        self.grants.end_person(family.person)
        return HttpResponse(204, {}, b"")

    def _polite(self, call: Call) -> None:
        if not call.header("user-agent"):
            raise Misspoken("the API refuses calls without a User-Agent")

    def user(self, call: Call, family: Family) -> HttpResponse:
        """`email` is null: it is private."""
        self._polite(call)
        person = family.person
        return answer(
            {"id": int(person.id), "login": person.login, "name": person.name, "email": None,
             "avatar_url": person.avatar}
        )  # fmt: skip

    def emails(self, call: Call, family: Family) -> HttpResponse:
        """The primary address is not the first."""
        self._polite(call)
        if not self.sees_emails(family):
            return answer({"message": "Resource not accessible by integration"}, 403)
        return answer(
            [
                {"email": "old@example.com", "primary": False, "verified": True, "visibility": None},
                {"email": family.person.email, "primary": True, "verified": family.person.email_verified,
                 "visibility": "private"},
            ]
        )  # fmt: skip

    def sees_emails(self, family: Family) -> bool:
        return "user:email" in family.scopes

    def expected_profile(self, person: Person) -> dict[str, Any]:
        expected = super().expected_profile(person)
        return expected if person.email_verified else expected | {"email": None, "email_verified": False}


class GitHubApp(GitHub):
    """A GitHub App: no scopes, and refresh tokens that take the old tokens with them at once."""

    key = record_id = "github-app"
    scope_parameter = None
    lifetime = 28800
    refresh_token = "rotated"
    previous = "dead"
    access_dies_on_refresh = True

    def body(self, family: Family, *, access: str, refresh: str | None, first: bool) -> dict[str, Any]:
        made = super().body(family, access=access, refresh=refresh, first=first)
        return made | {"scope": "", "refresh_token_expires_in": 15811200}

    def sees_emails(self, family: Family) -> bool:
        return True  # a permission of the app


class GitHubAppLasting(GitHubApp):
    """Expiry is a setting of the app; switched off there is neither an end nor a refresh token."""

    key = "github-app-lasting"
    lifetime = None
    refresh_token = "never"

    def body(self, family: Family, *, access: str, refresh: str | None, first: bool) -> dict[str, Any]:
        made = super().body(family, access=access, refresh=refresh, first=first)
        return {name: value for name, value in made.items() if name != "refresh_token_expires_in"}
