"""What a vendor remembers: people, consents, and the tokens of each."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conformance.vendor import Vendor


@dataclass(frozen=True)
class Person:
    """Somebody with an account at the vendor."""

    id: str = "1042"
    login: str = "alice"
    email: str = "alice@example.com"
    email_verified: bool = True
    name: str = "Alice Example"
    avatar: str | None = "https://images.example/alice.png"
    language: str = "en-US"


ALICE = Person()
UNVERIFIED = Person(id="2077", login="mallory", email="victim@example.com", email_verified=False, name="Mallory")


@dataclass
class Trip:
    """One consent on its way to the token endpoint."""

    person: Person
    scopes: list[str]
    challenge: str | None
    nonce: str | None
    asked: dict[str, str]
    expires_at: int
    spent: bool = False


class Spent(Exception):
    """The refresh token is not good any more."""


@dataclass
class Family:
    """One grant: its access tokens with their ends, its refresh tokens in order, the last one current."""

    vendor: Vendor = field(repr=False)
    person: Person
    scopes: list[str]
    kind: str = "main"
    access: dict[str, int | None] = field(default_factory=dict)
    refresh: list[str] = field(default_factory=list)
    rotated_at: int = 0
    ended: bool = False
    told: bool = False  # somebody revoked it here, successfully

    def new_access(self, lifetime: int | None) -> str:
        """Issue an access token; the earlier ones die where the vendor says so."""
        if self.vendor.access_dies_on_refresh:
            self.access.clear()
        token = f"{self.vendor.key}-at-{secrets.token_urlsafe(16)}"
        self.access[token] = None if lifetime is None else self.vendor.clock() + lifetime
        return token

    def new_refresh(self) -> str:
        """Issue a refresh token."""
        self.refresh.append(f"{self.vendor.key}-rt-{secrets.token_urlsafe(16)}")
        return self.refresh[-1]

    def spend(self, token: str) -> str | None:
        """
        Use a refresh token.

        Returns:
            What the answer says of it: nothing, the same one, or the next.

        Raises:
            Spent: Ended, or used before and the vendor remembers.
        """
        if self.ended:
            raise Spent
        policy = self.vendor
        if policy.refresh_token in ("kept", "echoed"):
            return token if policy.refresh_token == "echoed" else None
        if token != self.refresh[-1] and not self._forgiven(token):
            raise Spent
        self.rotated_at = policy.clock()
        return self.new_refresh()

    def _forgiven(self, token: str) -> bool:
        if self.vendor.previous == "grace":
            return token == self.refresh[-2] and self.vendor.clock() <= self.rotated_at + self.vendor.grace
        return self.vendor.previous == "valid"

    def forget(self, token: str) -> None:
        """This token, and nothing else."""
        self.access.pop(token, None)
        if token in self.refresh:
            self.refresh.remove(token)

    def accepts(self, token: str, *, now: int) -> bool:
        """Tell whether an access token is good."""
        if self.ended or token not in self.access:
            return False
        end = self.access[token]
        return end is None or end > now


class Grants:
    """All consents at a vendor for our client."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self.families: list[Family] = []

    def open(self, person: Person, scopes: list[str], *, kind: str = "main") -> Family:
        """A new consent."""
        self.families.append(Family(self._vendor, person, scopes, kind))
        return self.families[-1]

    def by_access(self, token: str) -> Family | None:
        """The grant of a good access token."""
        now = self._vendor.clock()
        return next((f for f in self.families if f.accepts(token, now=now)), None)

    def by_refresh(self, token: str) -> Family | None:
        """The grant of a refresh token, good or not."""
        return next((f for f in self.families if token in f.refresh), None)

    def by_token(self, token: str) -> Family | None:
        """The grant of a token of either kind, an expired one too."""
        return next((f for f in self.families if token in f.refresh or token in f.access), None)

    def become(self, person: Person) -> None:
        """Whoever the grants were of, they are this person's now, as the vendor tells it."""
        for family in self.families:
            family.person = person

    def end_person(self, person: Person) -> None:
        """Everything this person ever allowed."""
        for family in self.families:
            if family.person.id == person.id:
                family.ended = True
