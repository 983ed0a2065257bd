"""Notion, section 5 of the fact sheet."""

from __future__ import annotations

from typing import Any

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, Misspoken, answer, words

WORKSPACE = "3f5e6f0e-27f1-4a3f-9f3a-0d8a0a3b4b5c"
API = "api.notion.com/v1"


class Notion(Vendor):
    """Basic with a JSON body, no scopes, no lifetime, and a new pair at each refresh."""

    key = record_id = "notion"
    authorize_url = f"https://{API}/oauth/authorize"
    token_url = f"https://{API}/oauth/token"
    client_auth = frozenset({"basic"})
    encoding = "json"
    scope_parameter = None
    parameters = words("owner")
    connect_needs = (("owner", "user"),)
    pkce = "refused"
    token_type = "bearer"
    lifetime = None
    refresh_token: Any = "rotated"
    previous = "dead"

    def routes(self) -> Any:
        return {
            ("POST", f"{API}/oauth/revoke"): self.revoke,
            ("GET", f"{API}/users/me"): self.api(self.me),
        }

    def check_token_call(self, call: Call, fields: dict[str, str]) -> None:
        if "client_id" in fields:
            raise Misspoken("the client is named in the header alone")

    def _owner(self, person: Person) -> dict[str, Any]:
        user = {"object": "user", "id": f"user-{person.id}", "name": person.name, "avatar_url": person.avatar}
        return {"type": "user", "user": user | {"type": "person", "person": {"email": person.email}}}

    def body(self, family: Family, *, access: str, refresh: str | None, first: bool) -> dict[str, Any]:
        workspace = {"workspace_id": WORKSPACE, "workspace_name": "Example", "workspace_icon": None}
        rest = {"owner": self._owner(family.person), "duplicated_template_id": None, "request_id": "r"}
        made = super().body(family, access=access, refresh=refresh, first=first)
        return made | {"bot_id": f"bot-{family.person.id}"} | workspace | rest

    def revoke(self, call: Call) -> HttpResponse:
        """As RFC 7009, in JSON."""
        if call.basic != (self.client_id, self.client_secret):
            return self.bad_client()
        token = call.json().get("token", "")
        family = self.grants.by_token(token)
        if family is not None:
            self.end(family, token)
        return answer({"request_id": "r"})

    def me(self, call: Call, family: Family) -> HttpResponse:
        """The bot, and who owns it."""
        if not call.header("notion-version"):
            raise Misspoken("no Notion-Version")
        return answer({"object": "user", "type": "bot", "bot": {"owner": self._owner(family.person)}})

    def unauthorized(self) -> HttpResponse:
        return self._error(401, "unauthorized")

    def throttled(self, retry_after: str) -> HttpResponse:
        limited = self._error(429, "rate_limited")
        return HttpResponse(429, {**limited.headers, "retry-after": retry_after}, limited.body)

    def down(self) -> HttpResponse:
        return self._error(503, "service_unavailable")

    def _error(self, status: int, code: str) -> HttpResponse:
        return answer({"object": "error", "status": status, "code": code, "message": code}, status)

    def expected_profile(self, person: Person) -> dict[str, Any]:
        identity = f"user-user-{person.id}_workspace-{WORKSPACE}"
        return super().expected_profile(person) | {"provider_user_id": identity, "email_verified": False}


class NotionWithoutRefresh(Notion):
    """`refresh_token` may be null: then users/me is asked whether a refused token is dead."""

    key = "notion-null"
    refresh_token = "never"

    def body(self, family: Family, *, access: str, refresh: str | None, first: bool) -> dict[str, Any]:
        return super().body(family, access=access, refresh=None, first=first) | {"refresh_token": None}
