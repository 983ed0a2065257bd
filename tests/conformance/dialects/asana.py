"""Asana, section 7 of the fact sheet."""

from __future__ import annotations

from typing import Any

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, Misspoken, answer, words


class Asana(Vendor):
    """The refresh token lasts and is not repeated; it alone can be revoked."""

    key = record_id = "asana"
    authorize_url = "https://app.asana.com/-/oauth_authorize"
    token_url = "https://app.asana.com/-/oauth_token"
    scopes = words(
        "default openid email profile tasks:read tasks:write tasks:delete projects:read projects:write users:read "
        "workspaces:read"
    )
    token_type = "bearer"
    answers_scope = False
    refresh_needs = words("redirect_uri")

    def routes(self) -> Any:
        return {
            ("POST", "app.asana.com/-/oauth_revoke"): self.revoke,
            ("GET", "app.asana.com/api/1.0/users/me"): self.api(self.me),
        }

    def check_trip(self, asked: dict[str, str], scopes: list[str], *, connecting: bool) -> None:
        if not scopes:
            raise Misspoken("an app with granular scopes must name them")

    def body(self, family: Family, *, access: str, refresh: str | None, first: bool) -> dict[str, Any]:
        person = family.person
        data = {"id": int(person.id), "gid": person.id, "name": person.name, "email": person.email}
        return super().body(family, access=access, refresh=refresh, first=first) | {"data": data}

    def revoke(self, call: Call) -> HttpResponse:
        """The refresh token; nobody has seen an access token work."""
        form = call.form()
        if call.basic or not self.authenticate(call, form):
            return self.bad_client()
        family = self.grants.by_refresh(form.get("token", ""))
        if family is None:
            raise Misspoken("this is no refresh token")
        self.end(family, form["token"])
        return answer({})

    def me(self, call: Call, family: Family) -> HttpResponse:
        """Everything sits under `data`, the rest where it is asked for."""
        person = family.person
        if "users:read" not in family.scopes and "default" not in family.scopes:
            return answer({"errors": [{"message": "forbidden"}]}, 403)
        data: dict[str, Any] = {"gid": person.id, "name": person.name, "email": person.email}
        if "photo" in call.query.get("opt_fields", ""):
            data["photo"] = {"image_128x128": person.avatar} if person.avatar else None
        return answer({"data": data})

    def unauthorized(self) -> HttpResponse:
        return answer({"errors": [{"message": "The bearer token has expired."}]}, 401)

    def expected_profile(self, person: Person) -> dict[str, Any]:
        return super().expected_profile(person) | {"email_verified": False}
