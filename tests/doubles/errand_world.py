"""
A connect world with a second provider, in which people link identities and allow clients their connections.

    world = ErrandWorld()
    opened = world.open_link(ALICE)                      # the client opens a link for Alice
    onward = world.prove(opened, browser="laptop")       # her browser proves who she is at the first provider
    back = world.link_at("second", onward, account=…)    # ... and which identity she has at the second
    identity = world.confirm_link(back, ALICE)           # the client confirms for whoever is signed in there
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from grantkeeper import ids
from grantkeeper.model import Errand, Identity, Principal, Session
from grantkeeper.services.ask_consent import ConsentAsk, ask_consent
from grantkeeper.services.complete_callback import complete_callback
from grantkeeper.services.confirm_link import LinkConfirmation, confirm_link
from grantkeeper.services.errands import OpenedErrand
from grantkeeper.services.identities import unlink_identity
from grantkeeper.services.open_link import LinkRequest, open_link
from grantkeeper.services.start_errand import Departure, start_errand
from tests.doubles.connect_world import ALICE, BACK, BACKEND, BOB, RECORD, SERVICE, ConnectWorld
from tests.doubles.provider import NOON, Account, FakeProvider

SECOND = "https://second.example"
WRITE = frozenset({"account:write", "profile", "connections:read"})
ALICE_SIGNED_IN = replace(ALICE, scopes=WRITE, sid="sid_usr_alice", auth_time=NOON)
BOB_SIGNED_IN = replace(BOB, scopes=WRITE, sid="sid_usr_bob", auth_time=NOON)
ALICES = Account("usr_alice", {"email": "usr_alice@example.com", "email_verified": True})
BOBS = Account("usr_bob", {"email": "usr_bob@example.com", "email_verified": True})


@dataclass(frozen=True)
class BackFromErrand:
    """What the redirect brought to the client's page."""

    id: str
    told: dict[str, str]

    @property
    def confirmation(self) -> str:
        return self.told.get("confirmation", "")


class TwoProviders:
    """`ports.ProviderHttp` for both, by host."""

    def __init__(self, *providers: FakeProvider) -> None:
        self._by_host = {provider.host: provider for provider in providers}

    def send(self, request: Any, *, budget: float = 8.0) -> Any:
        """To the one whose address it is."""
        return self._by_host[urlsplit(request.url).netloc].send(request, budget=budget)


class ErrandWorld(ConnectWorld):
    """Alice and Bob are signed in at the client `app`, by the provider `example`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.second = FakeProvider(provider_id="second", issuer=SECOND)
        record = {name: _moved(value) for name, value in RECORD.items()} | {"services": [], "display_name": "Second ID"}
        self._register("second", record, "/grantkeeper/second")
        self.wiring.__dict__["provider_http"] = TwoProviders(self.provider, self.second)
        for sub in ("usr_alice", "usr_bob"):
            first = self.wiring.users.find("https://idp.example", sub)
            told = replace(first, email=f"{sub}@example.com", synced_at=NOON)
            self.wiring.users.sync(told, user=None, audit=replace(self.event("user.updated"), sub=sub))
            self.signed_in(sub)

    def signed_in(self, sub: str, *, provider: str = "example", sid: str | None = None, client_id: str = "app") -> None:
        """A session of somebody's."""
        sid, end = sid or f"sid_{sub}", self.now + 86_400
        session = Session(
            family=f"fam_{sid}", sid=sid, sub=sub, client_id=client_id, scopes=("openid",), provider=provider,
            created_at=self.now, expires_at=end, idle_expires_at=end, current_hash="h",
        )  # fmt: skip
        self.wiring.sessions.create(session, audit=self.event("user.signed_in"))

    # --- a link ---

    def open_link(self, principal: Principal = ALICE_SIGNED_IN, **body: Any) -> OpenedErrand:
        """The client opens a link."""
        w = self.wiring
        return open_link(
            LinkRequest.parse({"provider": "second", "redirect_uri": BACK, "state": "theirs", **body}),
            principal=principal,
            clients=w.clients,
            sessions=w.sessions,
            errands=w.errands,
            provider_items=w.provider_items,
            catalog=w.catalog,
            issuer=w.issuer,
            now=self.now,
            request_id="req",
        )

    def ask(self, principal: Principal = BACKEND, **body: Any) -> OpenedErrand:
        """A client asks for consent."""
        w = self.wiring
        return ask_consent(
            ConsentAsk.parse({"service": SERVICE, "redirect_uri": BACK, "user_sub": "usr_alice", **body}),
            principal=principal,
            clients=w.clients,
            users=w.users,
            sessions=w.sessions,
            connections=w.connections,
            errands=w.errands,
            provider_items=w.provider_items,
            catalog=w.catalog,
            issuer=w.issuer,
            now=self.now,
            request_id="req",
        )

    def follow_errand(self, url: str, *, browser: str = "laptop", provider_id: str | None = None) -> Any:
        """A browser follows the errand's URL."""
        w = self.wiring
        kind, ticket = urlsplit(url).path.removeprefix("/").split("/")
        return start_errand(
            ticket,
            kind=kind,
            provider_id=provider_id,
            browser_hash=ids.digest(browser),
            errands=w.errands,
            clients=w.clients,
            authorization_requests=w.authorization_requests,
            catalog=w.catalog,
            provider_items=w.provider_items,
            issuer=w.issuer,
            now=self.now,
        )

    def prove(self, opened: OpenedErrand, *, account: Account = ALICES, browser: str = "laptop") -> str:
        """Follow, and sign in at the first provider; where the browser is sent then."""
        departure = self.follow_errand(opened.url, browser=browser)
        assert isinstance(departure, Departure)
        return self.back_from("example", departure.location, account=account, browser=browser)

    def back_from(
        self,
        provider: str,
        url: str,
        *,
        account: Account | None = None,
        browser: str = "laptop",
        deny: str | None = None,
    ) -> str:
        """Consent at a provider and come back through the real callback; where the browser is sent then."""
        at = {"example": self.provider, "second": self.second}[provider]
        return complete_callback(
            {name: (value,) for name, value in at.consent(url, account=account, deny=deny).items()},
            provider_id=provider,
            browser_hash=ids.digest(browser),
            issuer=self.wiring.issuer,
            ports=self.wiring,
            now=self.now,
            request_id="req",
        )

    def link_at(
        self, provider: str, url: str, *, account: Account | None = None, browser: str = "laptop"
    ) -> BackFromErrand:
        """The second trip; what the client's page is told."""
        return landed_from_errand(self.back_from(provider, url, account=account, browser=browser))

    def confirm_link(self, back: BackFromErrand, principal: Principal = ALICE_SIGNED_IN) -> Identity:
        """The client confirms for whoever is signed in there."""
        w = self.wiring
        return confirm_link(
            back.id,
            LinkConfirmation(back.confirmation),
            principal=principal,
            users=w.users,
            errands=w.errands,
            audit=w.audit,
            now=self.now,
            request_id="req",
        )

    def link(
        self,
        principal: Principal = ALICE_SIGNED_IN,
        *,
        own: Account = ALICES,
        account: Account | None = None,
        to: str = "second",
    ) -> Identity:
        """All steps at once."""
        onward = self.prove(self.open_link(principal, provider=to), account=own)
        return self.confirm_link(self.link_at(to, onward, account=account), principal)

    def unlink(self, identity: Identity, principal: Principal = ALICE_SIGNED_IN) -> None:
        """The user takes an identity away."""
        w = self.wiring
        unlink_identity(
            identity.id,
            principal=principal,
            users=w.users,
            sessions=w.sessions,
            catalog=w.catalog,
            provider_items=w.provider_items,
            now=self.now,
            request_id="req",
        )

    def identities(self, sub: str = "usr_alice") -> set[tuple[str, str]]:
        """(issuer, subject) of all that a user has."""
        return {(i.issuer, i.subject) for i in self.wiring.users.identities(sub)}

    def errand(self, errand_id: str) -> Errand:
        """As stored."""
        errand: Errand = self.wiring.errands.get(errand_id, now=self.now)
        return errand


def landed_from_errand(location: str) -> BackFromErrand:
    """Take a redirect to the client apart."""
    split = urlsplit(location)
    assert f"{split.scheme}://{split.netloc}{split.path}" == BACK, location
    told = {name: values[0] for name, values in parse_qs(split.query).items()}
    return BackFromErrand(told.get("identity_link") or told["consent_request"], told)


def link_identity(wiring: Any, identity: Identity, *, audit: Any, now: int = NOON) -> Identity | None:
    """Link without any trip, for tests of what comes after."""
    errand = Errand(
        ids.new_id("errand"), "link", "app", identity.sub, BACK, now, now + 600, "test", status="proven",
        identity=identity,
    )  # fmt: skip
    wiring.errands.put(errand, audit=replace(audit, id=ids.new_id("evt")))
    linked: Identity | None = wiring.errands.link(errand, identity, user=None, now=now, audit=audit)
    return linked


def _moved(value: Any) -> Any:
    """A value of the first provider's record, at the second's address."""
    if isinstance(value, str):
        return value.replace("https://idp.example", SECOND)
    if isinstance(value, dict):
        return {name: _moved(member) for name, member in value.items()}
    return [_moved(member) for member in value] if isinstance(value, list) else value
