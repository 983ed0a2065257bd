"""Google, section 1 of the fact sheet."""

from __future__ import annotations

from typing import Any

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, Misspoken, answer, words

API = "https://www.googleapis.com/auth/"


class Google(Vendor):
    """Never rotates; answers scopes spelled out; one revocation ends all the user gave to the project."""

    key = record_id = "google"
    authorize_url = "https://accounts.google.com/o/oauth2/v2/auth"
    token_url = "https://oauth2.googleapis.com/token"
    jwks_url = "https://www.googleapis.com/oauth2/v3/certs"
    issuer = "https://accounts.google.com"
    oidc = True
    client_auth = frozenset({"post", "basic"})
    scopes = frozenset({"openid", "email", "profile", "https://mail.google.com/"}) | {
        API + name
        for name in words(
            "gmail.readonly gmail.metadata gmail.send gmail.compose gmail.modify drive.readonly "
            "drive.metadata.readonly drive.file drive calendar.readonly calendar.events.readonly "
            "calendar.events calendar youtube.readonly youtube youtube.upload youtube.force-ssl"
        )
    }
    parameters = frozenset({"access_type", "prompt", "include_granted_scopes", "login_hint"})
    connect_needs = (("access_type", "offline"), ("prompt", "consent"))
    callback_extra = (("iss", "https://accounts.google.com"), ("authuser", "0"), ("prompt", "consent"))
    lifetime = 3599
    refresh_token = "kept"
    previous = "valid"
    reach = "person"

    def routes(self) -> Any:
        return {
            ("POST", "oauth2.googleapis.com/revoke"): self.revoke,
            ("GET", "openidconnect.googleapis.com/v1/userinfo"): self.api(
                lambda _, family: answer(self.claims(family.person))
            ),
        }

    def check_trip(self, asked: dict[str, str], scopes: list[str], *, connecting: bool) -> None:
        if not connecting and asked.get("access_type") == "offline":
            raise Misspoken("each offline sign-in mints a refresh token, and the 101st pushes out a stored one")

    def grants_refresh(self, trip: Any) -> bool:
        return trip.asked.get("access_type") == "offline" and "consent" in trip.asked.get("prompt", "")

    def shown_scopes(self, scopes: Any) -> list[str]:
        long = {"email": API + "userinfo.email", "profile": API + "userinfo.profile"}
        return [long.get(scope, scope) for scope in reversed(list(scopes))]

    def claims(self, person: Person) -> dict[str, Any]:
        return super().claims(person) | {"picture": person.avatar}

    def token_issuer(self) -> str:
        return "accounts.google.com" if len(self.grants.families) % 2 == 0 else "https://accounts.google.com"

    def dead(self) -> HttpResponse:
        return self.refused("invalid_grant", "Token has been expired or revoked.")

    def revoke(self, call: Call) -> HttpResponse:
        """One token, no client authentication."""
        form = call.form()
        if set(form) - {"token", "token_type_hint"} or call.header("authorization"):
            raise Misspoken("the revocation takes a token and nothing else")
        family = self.grants.by_token(form.get("token", ""))
        if family is None or family.ended:
            return self.refused("invalid_token", "Token expired or revoked")
        self.end(family, form["token"])
        return answer({})
