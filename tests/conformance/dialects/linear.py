"""Linear, section 9 of the fact sheet."""

from __future__ import annotations

from typing import Any

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, Misspoken, answer, words

API = "api.linear.app"


class Linear(Vendor):
    """Commas between scopes; a GraphQL query for who it is; the token revokes itself."""

    key = record_id = "linear"
    authorize_url = "https://linear.app/oauth/authorize"
    token_url = f"https://{API}/oauth/token"
    scope_separator = ","
    scopes = words("read write issues:create comments:create timeSchedule:write admin")
    parameters = words("actor prompt")
    lifetime = 86_399
    refresh_token = "rotated"
    previous = "dead"

    def routes(self) -> Any:
        return {
            ("POST", f"{API}/oauth/revoke"): self.api(self.token_revoke),
            ("POST", f"{API}/graphql"): self.api(self.graphql),
        }

    def token_revoke(self, call: Call, family: Family) -> HttpResponse:
        """The Bearer token itself."""
        self.end(family, call.bearer or "")
        return answer({})

    def graphql(self, call: Call, family: Family) -> HttpResponse:
        """The query says which fields."""
        query = call.json()["query"]
        if "viewer" not in query:
            raise Misspoken("nobody is asked for")
        person = family.person
        viewer = {"id": f"a0b1-{person.id}", "name": person.name, "email": person.email, "avatarUrl": person.avatar}
        return answer({"data": {"viewer": {name: value for name, value in viewer.items() if name in query}}})

    def unauthorized(self) -> HttpResponse:
        errors = [{"message": "Authentication required", "extensions": {"code": "AUTHENTICATION_ERROR"}}]
        return answer({"errors": errors}, 401)

    def expected_profile(self, person: Person) -> dict[str, Any]:
        expected = super().expected_profile(person)
        return expected | {"provider_user_id": f"a0b1-{person.id}", "email_verified": False}
