"""What a vendor's dialect is made of: class attributes, and the shapes of its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal

from grantkeeper.model import HttpResponse
from tests.conformance.grants import Family, Grants, Person, Trip
from tests.conformance.wire import Call, answer, text_answer

Handler = Callable[[Call], HttpResponse]
Auth = Literal["basic", "post"]
Pairs = tuple[tuple[str, str], ...]


class Facts:
    """A plain RFC 6749 vendor; dialects set what differs."""

    key: ClassVar[str]  # of the dialect, in test names
    record_id: ClassVar[str]  # whose record it checks

    # --- authorization request ---
    authorize_url: ClassVar[str]
    scope_parameter: ClassVar[str | None] = "scope"
    scope_separator: ClassVar[str] = " "
    scopes: ClassVar[frozenset[str]] = frozenset()  # what the vendor publishes
    offline_scopes: ClassVar[frozenset[str]] = frozenset()  # without one of them there is no refresh token
    parameters: ClassVar[frozenset[str]] = frozenset()  # beyond the standard ones
    connect_needs: ClassVar[Pairs] = ()  # name → value without which a connection cannot live
    pkce: ClassVar[Literal["required", "optional", "refused"]] = "optional"
    oidc: ClassVar[bool] = False
    echoes_nonce: ClassVar[bool] = True
    issuer: ClassVar[str | None] = None  # of ID tokens
    jwks_url: ClassVar[str] = ""
    callback_extra: ClassVar[Pairs] = ()  # what comes back beside code and state
    longest_state: ClassVar[int] = 2048
    tells_denial: ClassVar[bool] = True  # the fact sheet says how a user's no comes back

    # --- token endpoint ---
    token_url: ClassVar[str]
    refresh_url: ClassVar[str | None] = None
    client_auth: ClassVar[frozenset[Auth]] = frozenset({"post"})
    encoding: ClassVar[Literal["form", "json"]] = "form"
    refresh_needs: ClassVar[frozenset[str]] = frozenset()  # fields beside the token, e.g. redirect_uri
    token_type: ClassVar[str] = "Bearer"
    response_separator: ClassVar[str] = " "
    answers_scope: ClassVar[bool] = True
    lifetime: ClassVar[int | None] = 3600  # seconds; None: the answer does not say

    # --- refresh ---
    probed: ClassVar[bool] = True  # whose token it is can be asked with nothing but the token
    refresh_token: ClassVar[Literal["never", "kept", "echoed", "rotated"]] = "kept"
    previous: ClassVar[Literal["valid", "grace", "dead"]] = "valid"
    grace: ClassVar[int] = 0
    access_dies_on_refresh: ClassVar[bool] = False

    # --- profile ---
    tells_language: ClassVar[bool] = False
    bears_pictures: ClassVar[bool] = False  # the picture has no address of its own: the token's bearer gets its bytes

    # --- revocation ---
    revocable: ClassVar[bool] = True
    reach: ClassVar[Literal["token", "family", "person"]] = "family"  # what one revocation takes with it
    access_outlives: ClassVar[bool] = False  # a revocation leaves access tokens to run out
    spared: ClassVar[frozenset[str]] = frozenset()  # tokens that must not be revoked: they are not one user's alone

    # --- what the server keeps ---
    clock: Callable[[], int]
    redirect_uri: str
    client_id: str
    client_secret: str
    grants: Grants

    # --- what a dialect says by methods ---

    def routes(self) -> dict[tuple[str, str], Handler]:
        """API and revocation endpoints: (method, host and path) → answer. `{name}` stands for one path segment."""
        return {}

    def check_trip(self, asked: dict[str, str], scopes: list[str], *, connecting: bool) -> None:
        """Judge an authorization request beyond what all vendors ask; raises Misspoken."""

    def check_token_call(self, call: Call, fields: dict[str, str]) -> None:
        """Judge headers and fields of a call to the token endpoint; raises Misspoken."""

    def body(self, family: Family, *, access: str, refresh: str | None, first: bool) -> dict[str, Any]:
        """The token response. `refresh` is None where the vendor leaves it out."""
        made: dict[str, Any] = {"access_token": access, "token_type": self.token_type}
        if self.lifetime is not None:
            made["expires_in"] = self.lifetime
        if refresh is not None:
            made["refresh_token"] = refresh
        if self.scope_parameter is not None and self.answers_scope:
            made["scope"] = self.response_separator.join(self.shown_scopes(family.scopes))
        return made

    def shown_scopes(self, scopes: Iterable[str]) -> list[str]:
        """Scopes as the answer spells them."""
        return list(scopes)

    def claims(self, person: Person) -> dict[str, Any]:
        """ID token claims beside iss, aud, iat, exp, nonce."""
        return {"sub": person.id, "email": person.email, "email_verified": person.email_verified, "name": person.name}

    def token_issuer(self) -> str:
        """`iss` of ID tokens."""
        assert self.issuer is not None
        return self.issuer

    def refused(self, error: str, description: str = "") -> HttpResponse:
        """The token endpoint says no: RFC 6749 section 5.2."""
        status = 401 if error == "invalid_client" else 400
        return answer({"error": error, "error_description": description or error.replace("_", " ")}, status)

    def bad_client(self) -> HttpResponse:
        """The secret is wrong."""
        return self.refused("invalid_client")

    def bad_code(self) -> HttpResponse:
        """The code is unknown, spent, expired or another's."""
        return self.refused("invalid_grant", "The code is not valid.")

    def dead(self) -> HttpResponse:
        """The refresh token is unknown, spent, expired or withdrawn."""
        return self.refused("invalid_grant", "The refresh token is not valid.")

    def throttled(self, retry_after: str) -> HttpResponse:
        """Too many requests; `retry_after` in seconds or as a date."""
        return text_answer("Too Many Requests", 429, retry_after=retry_after)

    def down(self) -> HttpResponse:
        """A gateway's page."""
        return text_answer("<html>Bad Gateway</html>", 502)

    def expected_profile(self, person: Person) -> dict[str, Any]:
        """The profile the product should know."""
        return {
            "provider_user_id": person.id,
            "email": person.email,
            "email_verified": person.email_verified,
            "name": person.name,
            "avatar_url": person.avatar,
            "locale": person.language if self.tells_language else None,
        }

    def expected_later(self, connected_as: Person, now: Person) -> dict[str, Any]:
        """The profile the product should know when the person has changed since."""
        return self.expected_profile(now)

    def expected_scopes(self, asked: Iterable[str]) -> set[str]:
        """The scopes the product should note when the user allowed everything."""
        return set(asked)

    def token_names(self) -> tuple[str, ...]:
        """How many tokens one connection holds, by name."""
        return ("main",)

    def open_families(self, trip: Trip) -> list[Family]:
        """What one consent grants; nearly always one thing."""
        return [self.grants.open(trip.person, trip.scopes)]
