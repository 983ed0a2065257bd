"""The vendor's consent page: what an authorization request must look like, and what the browser brings back."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from urllib.parse import urlsplit

from tests.conformance.facts import Facts
from tests.conformance.grants import ALICE, Person, Trip
from tests.conformance.wire import Misspoken, pairs, place_of

STANDARD = frozenset({"response_type", "client_id", "redirect_uri", "state"})


class ConsentPage(Facts):
    """The half of a vendor that users see."""

    _trips: dict[str, Trip]

    # --- the browser's side ---

    def consent(
        self,
        url: str,
        *,
        person: Person = ALICE,
        connecting: bool = True,
        untick: Iterable[str] = (),
        deny: bool = False,
    ) -> dict[str, str]:
        """
        A user answers at the consent page `url` leads to.

        Args:
            connecting: A connection, not a sign-in: then it must be able to live.
            untick: Scopes the user does not allow.

        Returns:
            What the browser brings back to the redirect_uri.
        """
        asked = pairs(urlsplit(url).query)
        if place_of(url) != place_of(self.authorize_url):
            raise Misspoken(f"{place_of(url)} is not the consent page")
        scopes = self._check_request(asked, connecting=connecting)
        back = {"state": asked["state"], **dict(self.callback_extra)}
        if deny:
            return back | {"error": "access_denied", "error_description": "The user said no."}
        code = secrets.token_urlsafe(24)
        allowed = [scope for scope in scopes if scope not in set(untick)]
        self._trips[code] = Trip(
            person, allowed, asked.get("code_challenge"), asked.get("nonce"), asked, self.clock() + 600
        )
        return back | {"code": code}

    def _check_request(self, asked: dict[str, str], *, connecting: bool) -> list[str]:
        for name, value in {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
        }.items():
            if asked.get(name) != value:
                raise Misspoken(f"{name} is {asked.get(name)!r}")
        if not 20 <= len(asked.get("state", "")) <= self.longest_state:
            raise Misspoken("no usable state")
        known = STANDARD | self.parameters | ({self.scope_parameter} if self.scope_parameter else set())
        if self.pkce != "refused":
            known |= {"code_challenge", "code_challenge_method"}
        if self.oidc:
            known |= {"nonce"}
        if set(asked) - known:
            raise Misspoken(f"unknown parameters: {sorted(set(asked) - known)}")
        self._check_pkce(asked)
        scopes = self.read_scopes(asked)
        if connecting:
            self._check_offline(asked, scopes)
        self.check_trip(asked, scopes, connecting=connecting)
        return scopes

    def _check_pkce(self, asked: dict[str, str]) -> None:
        if "code_challenge" in asked:
            if asked.get("code_challenge_method") != "S256" or not re.fullmatch(
                r"[A-Za-z0-9_-]{43}", asked["code_challenge"]
            ):
                raise Misspoken("a challenge that is not S256")
        elif self.pkce == "required":
            raise Misspoken("no code_challenge")

    def read_scopes(self, asked: dict[str, str]) -> list[str]:
        """The scopes asked for; raises Misspoken for one the vendor does not have."""
        if self.scope_parameter is None:
            return []
        text = asked.get(self.scope_parameter, "")
        scopes = text.split(self.scope_separator) if text else []
        if unknown := [scope for scope in scopes if scope not in self.scopes]:
            raise Misspoken(f"unknown scopes: {unknown}")
        if len(set(scopes)) != len(scopes):
            raise Misspoken("a scope is repeated")
        return scopes

    def _check_offline(self, asked: dict[str, str], scopes: list[str]) -> None:
        for name, value in self.connect_needs:
            if value not in asked.get(name, "").split():
                raise Misspoken(f"a connection without {name}={value} cannot live")
        if self.offline_scopes and not self.offline_scopes & set(scopes):
            raise Misspoken(f"a connection without {sorted(self.offline_scopes)} cannot live")
