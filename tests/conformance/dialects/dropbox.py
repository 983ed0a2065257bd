"""Dropbox, section 8 of the fact sheet."""

from __future__ import annotations

from typing import Any

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, Misspoken, answer, words

API = "api.dropboxapi.com"


class Dropbox(Vendor):
    """The refresh token lasts; a live access token revokes itself and its family."""

    key = record_id = "dropbox"
    authorize_url = "https://www.dropbox.com/oauth2/authorize"
    token_url = f"https://{API}/oauth2/token"
    client_auth = frozenset({"post", "basic"})
    scopes = words(
        "account_info.read openid email profile files.metadata.read files.metadata.write files.content.read "
        "files.content.write sharing.read sharing.write"
    )
    parameters = words("token_access_type include_granted_scopes force_reapprove require_role locale prompt")
    connect_needs = (("token_access_type", "offline"),)
    longest_state = 500
    token_type = "bearer"
    lifetime = 14400
    tells_language = True

    def routes(self) -> Any:
        return {
            ("POST", f"{API}/2/auth/token/revoke"): self.api(self.token_revoke),
            ("POST", f"{API}/2/users/get_current_account"): self.api(self.account),
        }

    def grants_refresh(self, trip: Any) -> bool:
        return trip.asked.get("token_access_type") == "offline"

    def body(self, family: Family, *, access: str, refresh: str | None, first: bool) -> dict[str, Any]:
        made = super().body(family, access=access, refresh=refresh, first=first)
        return made | {"uid": family.person.id, "account_id": f"dbid:{family.person.id}"} if first else made

    def _without_body(self, call: Call) -> None:
        if call.request.body or call.media_type not in ("", "application/json"):
            raise Misspoken("this call has no body")
        if call.media_type == "application/json":
            raise Misspoken("an empty body is no JSON")

    def token_revoke(self, call: Call, family: Family) -> HttpResponse:
        """The Bearer token itself."""
        self._without_body(call)
        self.end(family, call.bearer or "")
        return answer(None)

    def account(self, call: Call, family: Family) -> HttpResponse:
        """POST without a body."""
        self._without_body(call)
        if "account_info.read" not in family.scopes:
            return answer({"error_summary": "missing_scope/.", "error": {".tag": "missing_scope"}}, 401)
        person = family.person
        made = {
            "account_id": f"dbid:{person.id}",
            "name": {"display_name": person.name, "given_name": person.name.split()[0]},
            "email": person.email,
            "email_verified": person.email_verified,
            "locale": person.language,
        }
        return answer(made | ({"profile_photo_url": person.avatar} if person.avatar else {}))

    def unauthorized(self) -> HttpResponse:
        return answer({"error_summary": "invalid_access_token/.", "error": {".tag": "invalid_access_token"}}, 401)

    def throttled(self, retry_after: str) -> HttpResponse:
        body = {"error_summary": "too_many_requests/..", "error": {".tag": "too_many_requests"}}
        return answer(body, 429, retry_after=retry_after)

    def expected_profile(self, person: Person) -> dict[str, Any]:
        return super().expected_profile(person) | {"provider_user_id": f"dbid:{person.id}"}
