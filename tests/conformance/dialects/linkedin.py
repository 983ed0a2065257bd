"""LinkedIn, section 9 of the fact sheet."""

from __future__ import annotations

from typing import Any

from tests.conformance.grants import Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import answer, words

DAY = 86_400


class LinkedIn(Vendor):
    """Sixty days, and for most applications no refresh token."""

    key = record_id = "linkedin"
    authorize_url = "https://www.linkedin.com/oauth/v2/authorization"
    token_url = "https://www.linkedin.com/oauth/v2/accessToken"
    jwks_url = "https://www.linkedin.com/oauth/openid/jwks"
    issuer = "https://www.linkedin.com/oauth"
    oidc = True
    echoes_nonce = False  # seen by every library that asks for one
    pkce = "refused"  # for native applications only
    scopes = words("openid profile email w_member_social")
    response_separator = ","
    lifetime = 60 * DAY
    refresh_token: Any = "never"

    def routes(self) -> Any:
        return {
            ("POST", "www.linkedin.com/oauth/v2/revoke"): self.revoke,
            ("GET", "api.linkedin.com/v2/userinfo"): self.api(lambda _, family: answer(self.claims(family.person))),
        }

    def claims(self, person: Person) -> dict[str, Any]:
        return super().claims(person) | {"picture": person.avatar}


class LinkedInPartner(LinkedIn):
    """An approved partner: a refresh token that is good for a year from the first consent."""

    key = "linkedin-partner"
    refresh_token = "echoed"
