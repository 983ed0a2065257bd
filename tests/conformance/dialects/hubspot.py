"""
HubSpot, section 9 of the fact sheet; beyond it, the move away from v1, which ends on 2027-02-16.

developers.hubspot.com: changelog/v1-oauth-api-deprecation, api-reference/latest/authentication/oauth-tokens.
"""

from __future__ import annotations

from typing import Any

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, answer, words

API = "api.hubapi.com/oauth/2026-03"
HUB = 1234567


class HubSpot(Vendor):
    """The same refresh token every time; it alone is revoked; errors in two forms at once."""

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
    access_outlives = True
    probed = False  # only with our own credentials beside it
    has_product = True  # the portal has what an optional scope is for

    def consent(self, url: str, **answered: Any) -> dict[str, str]:
        """What is optional is granted where the portal has the product, and left out silently elsewhere."""
        back = super().consent(url, **answered)
        if self.has_product and "code" in back:
            trip = self._trips[back["code"]]
            trip.scopes.extend(trip.asked.get("optional_scope", "").split())
        return back

    def routes(self) -> Any:
        return {
            ("POST", f"{API}/token/revoke"): self.revoke,
            ("POST", f"{API}/token/introspect"): self.about,
        }

    def refused(self, error: str, description: str = "", status: str = "") -> HttpResponse:
        """RFC 6749 section 5.2, and beside it HubSpot's own words."""
        text = description or error
        return answer({"error": error, "error_description": text, "status": status, "message": text}, 400)

    def bad_client(self) -> HttpResponse:
        return self.refused("invalid_client", "missing or unknown client id", "BAD_CLIENT_ID")

    def bad_code(self) -> HttpResponse:
        return self.refused("invalid_grant", "missing or unknown auth code", "BAD_AUTH_CODE")

    def dead(self) -> HttpResponse:
        return self.refused("invalid_grant", "refresh token is invalid, expired or revoked", "BAD_REFRESH_TOKEN")

    def throttled(self, retry_after: str) -> HttpResponse:
        body = {"status": "error", "errorType": "RATE_LIMIT", "message": "You have reached your limit."}
        return answer(body, 429, retry_after=retry_after)

    def body(self, family: Family, *, access: str, refresh: str | None, first: bool) -> dict[str, Any]:
        made = super().body(family, access=access, refresh=refresh, first=first)
        return made | {"token_use": "access_token", "hub_id": HUB, "user_id": int(family.person.id), "scopes": []}

    def end(self, family: Family, token: str) -> None:
        """The refresh token; access tokens made with it are not affected."""
        family.told = True
        family.refresh.clear()

    def about(self, call: Call) -> HttpResponse:
        """Introspection: the token and our own credentials in a form (token-introspect, 2026-03)."""
        if self._faults:
            return self._faults.pop(0)
        fields = call.form()
        if not self.authenticate(call, fields):
            return self.bad_client()
        family: Family | None = self.grants.by_access(fields.get("token", ""))
        if family is None:
            return answer({"active": False})
        person = family.person
        made = {"active": True, "token_use": "access_token", "token": fields["token"], "token_type": "bearer"}
        made |= {"user": person.email, "hub_domain": "example.com", "scopes": family.scopes, "expires_in": 1754}
        made |= {"client_id": self.client_id, "app_id": 1, "is_private_distribution": True}
        return answer(made | {"hub_id": HUB, "user_id": int(person.id)})

    def expected_profile(self, person: Person) -> dict[str, Any]:
        expected = super().expected_profile(person) | {"provider_user_id": f"{HUB}:{person.id}"}
        del expected["name"]  # HubSpot tells none; what stands there instead is the record's choice
        return expected | {"email_verified": False, "avatar_url": None}
