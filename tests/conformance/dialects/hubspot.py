"""HubSpot, section 9 of the fact sheet."""

from __future__ import annotations

from typing import Any

from grantkeeper.ports import HttpResponse
from tests.conformance.grants import Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, answer, words

API = "api.hubapi.com/oauth/v1"
HUB = 1234567


class HubSpot(Vendor):
    """The same refresh token every time; tokens in the path of what tells and what revokes; errors of its own."""

    key = record_id = "hubspot"
    authorize_url = "https://app.hubspot.com/oauth/authorize"
    token_url = f"https://{API}/token"
    pkce = "refused"
    scopes = words(
        "oauth crm.objects.contacts.read crm.objects.contacts.write crm.objects.companies.read "
        "crm.objects.companies.write crm.objects.deals.read crm.objects.deals.write crm.objects.owners.read"
    )
    parameters = words("optional_scope")
    token_type = "bearer"
    answers_scope = False
    lifetime = 1800
    refresh_token = "echoed"

    def routes(self) -> Any:
        return {
            ("DELETE", f"{API}/refresh-tokens/{{token}}"): self.delete_refresh_token,
            ("GET", f"{API}/access-tokens/{{token}}"): self.about,
        }

    def refused(self, error: str, description: str = "") -> HttpResponse:
        return answer({"status": error, "message": description or error, "correlationId": "c"}, 400)

    def bad_client(self) -> HttpResponse:
        return self.refused("BAD_CLIENT_ID", "missing or unknown client id")

    def bad_code(self) -> HttpResponse:
        return self.refused("BAD_AUTH_CODE")

    def dead(self) -> HttpResponse:
        return self.refused("BAD_REFRESH_TOKEN")

    def throttled(self, retry_after: str) -> HttpResponse:
        body = {"status": "error", "errorType": "RATE_LIMIT", "message": "You have reached your limit."}
        return answer(body, 429, retry_after=retry_after)

    def delete_refresh_token(self, call: Call) -> HttpResponse:
        """No body, no credentials: the path is the proof."""
        family = self.grants.by_refresh(call.path_parameters["token"])
        if family is None:
            return answer({"status": "error", "message": "not found"}, 404)
        self.end(family, call.path_parameters["token"])
        return HttpResponse(204, {}, b"")

    def about(self, call: Call) -> HttpResponse:
        """Whose token stands in the path."""
        if self._faults:
            return self._faults.pop(0)
        family: Family | None = self.grants.by_access(call.path_parameters["token"])
        if family is None:
            return answer({"status": "error", "message": "not found"}, 404)
        person = family.person
        made = {"token": call.path_parameters["token"], "user": person.email, "hub_domain": "example.com"}
        made |= {"scopes": family.scopes, "token_type": "access"}
        return answer(made | {"hub_id": HUB, "app_id": 1, "expires_in": 1754, "user_id": int(person.id)})

    def expected_profile(self, person: Person) -> dict[str, Any]:
        expected = super().expected_profile(person) | {"provider_user_id": f"{HUB}:{person.id}"}
        del expected["name"]  # HubSpot tells none; what stands there instead is the record's choice
        return expected | {"email_verified": False, "avatar_url": None}
