"""
A vendor's authorization server and API, from the fact sheet: what all of them have in common.

A dialect says in class attributes and small methods where its vendor departs from RFC 6749. Nothing here reads the
product's records or its `oauth` package: record and dialect are two readings of one document, and the suite compares
them. What the product says wrongly is answered as the vendor would answer it and kept in `complaints`, which must be
empty when a test ends.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

from grantkeeper.errors import ProviderUnavailable
from grantkeeper.model import HttpRequest, HttpResponse
from tests.conformance.consent_page import ConsentPage
from tests.conformance.facts import Handler
from tests.conformance.grants import ALICE, Family, Grants, Person, Spent, Trip
from tests.conformance.id_tokens import JWKS, id_token
from tests.conformance.wire import Call, Misspoken, answer, place_of, s256


class Vendor(ConsentPage):
    """Stands behind `ports.ProviderHttp`; safe to call from many threads."""

    def __init__(self, *, clock: Callable[[], int], redirect_uri: str) -> None:
        """Args: clock: epoch seconds; redirect_uri: the one registered at the vendor."""
        self.clock = clock
        self.redirect_uri = redirect_uri
        self.client_id = "our-client-id"
        self.client_secret = "0ur-secret.~value"
        self.grants = Grants(self)
        self.calls: list[tuple[str, str]] = []  # method, place
        self.refreshes = 0
        self.complaints: list[str] = []
        self.lose_answers = 0  # so many token answers are obeyed and lost
        self.nap: Callable[[], None] = lambda: None  # what a call takes
        self._trips: dict[str, Trip] = {}
        self._faults: list[HttpResponse] = []
        self._lock = threading.RLock()
        self._routes = {
            ("POST", place_of(self.token_url)): self._token_endpoint,
            ("POST", place_of(self.refresh_url or self.token_url)): self._token_endpoint,
            **({("GET", place_of(self.jwks_url)): lambda _: answer(JWKS)} if self.oidc else {}),
            **self.routes(),
        }

    # --- ports.ProviderHttp ---

    def send(self, request: HttpRequest, *, budget: float = 8.0) -> HttpResponse:
        """Answer one request of the product."""
        assert budget > 0, "a call without a deadline"
        self.nap()
        with self._lock:
            try:
                return self._answer(request)
            except Misspoken as error:
                self.complaints.append(f"{request.method} {request.url.partition('?')[0]}: {error}")
                return answer({"error": "invalid_request", "error_description": str(error)}, 400)

    def _answer(self, request: HttpRequest) -> HttpResponse:
        place = place_of(request.url)
        self.calls.append((request.method, place))
        for (method, template), handler in self._routes.items():
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))
            match = re.fullmatch(pattern, place)
            if match and method == request.method:
                return handler(Call(request, match.groupdict()))
        raise Misspoken("nothing stands at this address")

    def called(self, place: str) -> int:
        """How often something was asked."""
        return sum(1 for _, asked in self.calls if asked == place)

    # --- faults ---

    def answer_next(self, *answers: HttpResponse) -> None:
        """The next calls, to the token endpoint or the API, get these answers and have no effect."""
        self._faults.extend(answers)

    def clear_faults(self) -> None:
        """The trouble is over."""
        self._faults.clear()

    # --- the token endpoint ---

    def _token_endpoint(self, call: Call) -> HttpResponse:
        if self._faults:
            return self._faults.pop(0)
        made = self._token(call)
        if self.lose_answers:
            self.lose_answers -= 1
            raise ProviderUnavailable("The provider did not answer.", outcome_unknown=True)
        return made

    def _token(self, call: Call) -> HttpResponse:
        fields = call.form() if self.encoding == "form" else call.json()
        if not all(isinstance(value, str) for value in fields.values()):
            raise Misspoken("a field is not a string")
        client_is_ours = self.authenticate(call, fields)
        self.check_token_call(call, fields)
        if not client_is_ours:
            return self.bad_client()
        if fields.get("grant_type") == "authorization_code" and call.place == place_of(self.token_url):
            return self._redeem(fields)
        if fields.get("grant_type") == "refresh_token" and call.place == place_of(self.refresh_url or self.token_url):
            return self._renew(fields)
        raise Misspoken(f"grant_type {fields.get('grant_type')!r} here")

    def authenticate(self, call: Call, fields: dict[str, str]) -> bool:
        """Tell whether it is our client; raises Misspoken for a way of saying so that the vendor does not know."""
        basic = call.basic
        if basic is not None:
            if "basic" not in self.client_auth or "client_secret" in fields:
                raise Misspoken("client authentication by Basic")
            return basic == (self.client_id, self.client_secret)
        if "post" not in self.client_auth:
            raise Misspoken("client authentication in the body")
        return (fields.get("client_id"), fields.get("client_secret")) == (self.client_id, self.client_secret)

    def _redeem(self, fields: dict[str, str]) -> HttpResponse:
        trip = self._trips.get(fields.get("code", ""))
        if trip is None:
            return self.bad_code()
        if fields.get("redirect_uri") != self.redirect_uri:
            raise Misspoken("redirect_uri differs from the authorization request's")
        if (trip.challenge is None) != ("code_verifier" not in fields):
            raise Misspoken("a verifier without a challenge, or the reverse")
        if trip.challenge is not None and s256(fields["code_verifier"]) != trip.challenge:
            raise Misspoken("the verifier is not the challenge's")
        if trip.spent or trip.expires_at <= self.clock():
            return self.bad_code()
        trip.spent = True
        families = self.open_families(trip)
        return self.first_answer(trip, families)

    def first_answer(self, trip: Trip, families: list[Family]) -> HttpResponse:
        """The answer to a code."""
        [family] = families
        access = family.new_access(self.lifetime)
        refresh = family.new_refresh() if self.grants_refresh(trip) else None
        made = self.body(family, access=access, refresh=refresh, first=True)
        if self.oidc and "openid" in trip.scopes:
            made["id_token"] = id_token(self, trip.person, nonce=trip.nonce if self.echoes_nonce else None)
        return answer(made)

    def grants_refresh(self, trip: Trip) -> bool:
        """Tell whether a code is answered with a refresh token."""
        if self.refresh_token == "never":
            return False
        return not self.offline_scopes or bool(self.offline_scopes & set(trip.scopes))

    def _renew(self, fields: dict[str, str]) -> HttpResponse:
        if missing := self.refresh_needs - set(fields):
            raise Misspoken(f"a refresh without {sorted(missing)}")
        if fields.get("redirect_uri", self.redirect_uri) != self.redirect_uri:
            raise Misspoken("redirect_uri differs from the authorization request's")
        self.refreshes += 1
        token = fields.get("refresh_token", "")
        family = self.grants.by_refresh(token)
        if family is None or self.refresh_token == "never":
            return self.dead()
        try:
            refresh = family.spend(token)
        except Spent:
            return self.dead()
        access = family.new_access(self.lifetime)
        return self.next_answer(family, access=access, refresh=refresh)

    def next_answer(self, family: Family, *, access: str, refresh: str | None) -> HttpResponse:
        """The answer to a refresh token."""
        return answer(self.body(family, access=access, refresh=refresh, first=False))

    # --- the API ---

    def whose(self, call: Call) -> Family | None:
        """The grant whose access token a call brings; None when it is not good any more."""
        return self.grants.by_access(call.bearer or "")

    def api(self, handler: Callable[[Call, Family], HttpResponse]) -> Handler:
        """An endpoint that wants a good access token."""

        def guarded(call: Call) -> HttpResponse:
            if self._faults:
                return self._faults.pop(0)
            if call.bearer is None:
                raise Misspoken("no Bearer token")
            family = self.whose(call)
            return self.unauthorized() if family is None else handler(call, family)

        return guarded

    def unauthorized(self) -> HttpResponse:
        """The API does not know the token."""
        return answer({"error": "invalid_token"}, 401, www_authenticate='Bearer error="invalid_token"')

    def accepts(self, access_token: str) -> bool:
        """Tell whether the API would take a token now."""
        return self.grants.by_access(access_token) is not None

    def become_strangers(self, person: Person) -> None:
        """Every token turns out to be somebody else's."""
        self.grants.become(person)

    def withdraw(self, person: Person = ALICE) -> None:
        """The user removes our application in the vendor's settings."""
        self.grants.end_person(person)

    def revoke(self, call: Call) -> HttpResponse:
        """RFC 7009 section 2: a token of either kind in a form, and the client's own credentials."""
        form = call.form()
        if not self.authenticate(call, form):
            return self.bad_client()
        token = form.get("token", "")
        family = self.grants.by_token(token)
        if family is not None:
            self.end(family, token)
        return self.revoked()

    def revoked(self) -> HttpResponse:
        """What a revocation is answered with."""
        return answer({})

    def end(self, family: Family, token: str) -> None:
        """Revoke as far as this vendor's revocation reaches."""
        family.told = True
        if self.reach == "person":
            self.grants.end_person(family.person)
        elif self.reach == "family":
            family.ended = True
        else:
            family.forget(token)
