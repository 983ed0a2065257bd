"""Slack, section 4 of the fact sheet: an app with a bot's and a user's token, with and without rotation; sign-in."""

from __future__ import annotations

from typing import Any

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Family, Person, Trip
from tests.conformance.vendor import Vendor
from tests.conformance.wire import Call, Misspoken, answer, words

TEAM = "T024BE7LD"


def user_id(person: Person) -> str:
    """A member of the workspace."""
    return f"U{person.id}"


class _Slack(Vendor):
    """Every refusal comes with HTTP 200 and `ok: false`."""

    tells_language = True
    team = TEAM

    client_auth = frozenset({"basic", "post"})
    pkce = "refused"  # a challenge turns the app into a public client, for good
    refresh_token: Any = "never"
    lifetime: int | None = None

    def refused(self, error: str, description: str = "") -> HttpResponse:
        return answer({"ok": False, "error": error})

    def bad_client(self) -> HttpResponse:
        return self.refused("bad_client_secret")

    def bad_code(self) -> HttpResponse:
        return self.refused("invalid_code")

    def dead(self) -> HttpResponse:
        return self.refused("invalid_refresh_token")

    def unauthorized(self) -> HttpResponse:
        return self.refused("token_revoked")

    def down(self) -> HttpResponse:
        return self.refused("fatal_error")

    def throttled(self, retry_after: str) -> HttpResponse:
        return answer({"ok": False, "error": "ratelimited"}, 429, retry_after=retry_after)


class Slack(_Slack):
    """Without token rotation: tokens without an end, and one revocation ends the installation."""

    key = record_id = "slack"
    authorize_url = "https://slack.com/oauth/v2/authorize"
    token_url = "https://slack.com/api/oauth.v2.access"
    scope_separator = ","
    scopes = words(
        "channels:read channels:history groups:read groups:history users:read users:read.email chat:write team:read "
        "im:read im:history mpim:read mpim:history search:read files:read files:write reactions:read"
    )
    parameters = words("user_scope team")
    reach = "person"
    spared = words("bot")  # the workspace's: colleagues' connections stand on it

    def routes(self) -> Any:
        return {
            ("POST", "slack.com/api/auth.revoke"): self.api(self.auth_revoke),
            ("GET", "slack.com/api/auth.test"): self.api(self.auth_test),
            ("POST", "slack.com/api/auth.test"): self.api(self.auth_test),
            ("GET", "slack.com/api/users.info"): self.api(self.users_info),
        }

    def read_scopes(self, asked: dict[str, str]) -> list[str]:
        """Two parameters; what the user allows for himself is marked here."""
        mine: list[str] = []
        for parameter, mark in (("scope", ""), ("user_scope", "user/")):
            scopes = [scope for scope in asked.get(parameter, "").split(",") if scope]
            if unknown := [scope for scope in scopes if scope not in self.scopes]:
                raise Misspoken(f"unknown scopes: {unknown}")
            mine += [mark + scope for scope in scopes]
        if not mine:
            raise Misspoken("no_scopes")
        return mine

    def open_families(self, trip: Trip) -> list[Family]:
        bot = [scope for scope in trip.scopes if not scope.startswith("user/")]
        user = [scope.removeprefix("user/") for scope in trip.scopes if scope.startswith("user/")]
        kinds = (("bot", bot), ("user", user))
        return [self.grants.open(trip.person, scopes, kind=kind) for kind, scopes in kinds if scopes]

    def token_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(family.kind for family in self.grants.families))

    def _tokens(self, family: Family) -> dict[str, Any]:
        made: dict[str, Any] = {
            "access_token": family.new_access(self.lifetime),
            "token_type": family.kind,
            "scope": ",".join(family.scopes),
        }
        if self.lifetime is not None:
            made |= {"expires_in": self.lifetime, "refresh_token": family.new_refresh()}
        return made

    def first_answer(self, trip: Trip, families: list[Family]) -> HttpResponse:
        """The bot's token on top, the user's under `authed_user`."""
        made: dict[str, Any] = {
            "ok": True,
            "app_id": "A0KRD7HC3",
            "team": {"id": TEAM, "name": "Example"},
            "enterprise": None,
            "authed_user": {"id": user_id(trip.person)},
        }
        for family in families:
            if family.kind == "bot":
                made |= self._tokens(family) | {"bot_user_id": "U0KRQLJ9H"}
            else:
                made["authed_user"] |= self._tokens(family)
        return answer(made)

    def next_answer(self, family: Family, *, access: str, refresh: str | None) -> HttpResponse:
        """Flat, whoever's token it is."""
        made = {"ok": True, "access_token": access, "token_type": family.kind, "refresh_token": refresh}
        return answer(made | {"expires_in": self.lifetime, "team": {"id": TEAM}, "scope": ",".join(family.scopes)})

    def auth_revoke(self, call: Call, family: Family) -> HttpResponse:
        """The token itself is the credential."""
        self.end(family, call.bearer or "")
        return answer({"ok": True, "revoked": True})

    def end(self, family: Family, token: str) -> None:
        """Without rotation: a user's own authorization, or with the bot's token the whole workspace's."""
        family.told = True
        if self.lifetime is not None:
            family.forget(token)
            return
        for other in self.grants.families:
            if family.kind == "bot" or (other.kind, other.person.id) == ("user", family.person.id):
                other.ended = True

    def become_strangers(self, person: Person) -> None:
        """A bot's token is the workspace's, whoever installed it: a stranger's is of another workspace."""
        super().become_strangers(person)
        self.team = "T9STRANGER"

    def auth_test(self, call: Call, family: Family) -> HttpResponse:
        """Whose token: the bot's own user, or the person."""
        is_bot = family.kind == "bot"
        who = {"user_id": "U0KRQLJ9H", "bot_id": "B0KRQLJ9H"} if is_bot else {"user_id": user_id(family.person)}
        return answer({"ok": True, "team": "Example", "team_id": self.team, "user": "somebody"} | who)

    def users_info(self, call: Call, family: Family) -> HttpResponse:
        """A member, looked up; the address needs a scope of its own."""
        if "users:read" not in family.scopes:
            return self.refused("missing_scope")
        if call.query.get("user") != user_id(family.person):
            return self.refused("user_not_found")
        person = family.person
        profile = {"real_name": person.name, "display_name": person.login}
        if person.avatar:
            profile |= {"image_72": f"{person.avatar}?s=72", "image_192": person.avatar, "image_512": person.avatar}
        if "users:read.email" in family.scopes:
            profile["email"] = person.email
        user = {"id": user_id(person), "team_id": self.team, "name": person.login, "real_name": person.name}
        if call.query.get("include_locale") == "true":
            user["locale"] = person.language
        return answer({"ok": True, "user": user | {"profile": profile}})

    def expected_profile(self, person: Person) -> dict[str, Any]:
        identity = f"{TEAM}_{user_id(person)}"
        return super().expected_profile(person) | {"provider_user_id": identity, "email_verified": False}


class SlackRotating(Slack):
    """With token rotation: twelve hours, single use after a short grace, and a revocation ends one token."""

    key = "slack-rotating"
    lifetime = 43200
    refresh_token = "rotated"
    previous = "grace"
    grace = 60
    reach = "token"


class SlackSignIn(_Slack):
    """OpenID Connect, the answer wrapped in `ok`."""

    key = record_id = "slack-signin"
    authorize_url = "https://slack.com/openid/connect/authorize"
    token_url = "https://slack.com/api/openid.connect.token"
    jwks_url = "https://slack.com/openid/connect/keys"
    issuer = "https://slack.com"
    oidc = True
    scopes = words("openid profile email")
    parameters = words("team")

    def routes(self) -> Any:
        return {
            ("GET", "slack.com/api/openid.connect.userInfo"): self.api(
                lambda _, family: answer({"ok": True} | self.claims(family.person))
            )
        }

    def body(self, family: Family, *, access: str, refresh: str | None, first: bool) -> dict[str, Any]:
        return {"ok": True, "access_token": access, "token_type": "Bearer"}

    def claims(self, person: Person) -> dict[str, Any]:
        slack = {"https://slack.com/team_id": TEAM, "https://slack.com/user_id": user_id(person)}
        return (
            super().claims(person)
            | slack
            | {"sub": user_id(person), "locale": person.language, "picture": person.avatar}
        )

    def expected_profile(self, person: Person) -> dict[str, Any]:
        return super().expected_profile(person) | {"provider_user_id": f"{TEAM}_{user_id(person)}"}
