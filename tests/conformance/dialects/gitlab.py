"""GitLab, section 9 of the fact sheet."""

from __future__ import annotations

from typing import Any

from tests.conformance.grants import Family, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import answer, words


class GitLab(Vendor):
    """OpenID Connect; a refresh ends the old tokens of both kinds and wants the redirect_uri again."""

    key = record_id = "gitlab"
    authorize_url = "https://gitlab.com/oauth/authorize"
    token_url = "https://gitlab.com/oauth/token"
    jwks_url = "https://gitlab.com/oauth/discovery/keys"
    issuer = "https://gitlab.com"
    oidc = True
    client_auth = frozenset({"post", "basic"})
    scopes = words("openid profile email read_user read_api api read_repository write_repository")
    lifetime = 7200
    refresh_token = "rotated"
    previous = "dead"
    access_dies_on_refresh = True
    refresh_needs = words("redirect_uri")

    def routes(self) -> Any:
        return {
            ("POST", "gitlab.com/oauth/revoke"): self.revoke,
            ("GET", "gitlab.com/oauth/userinfo"): self.api(lambda _, family: answer(self.claims(family.person))),
        }

    def body(self, family: Family, *, access: str, refresh: str | None, first: bool) -> dict[str, Any]:
        made = super().body(family, access=access, refresh=refresh, first=first)
        return made | {"created_at": self.clock()}

    def claims(self, person: Person) -> dict[str, Any]:
        return super().claims(person) | {"picture": person.avatar, "nickname": person.login}
