"""
Rate limits: so many calls a minute per caller and kind of route, and a growing pause for whoever guesses secrets.

An execution environment counts by itself and tells the table at every so-many-th call, which is then told what the
others have counted. So a caller is never refused below his limit, may exceed it by one block per environment, and costs
one write per block; who calls rarely costs none. Windows are minutes of the clock: at the turn of one a caller may make
two minutes' calls at once.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from grantkeeper.edge.http import Request
from grantkeeper.errors import StoreUnavailable, TooManyRequests

if TYPE_CHECKING:
    from grantkeeper.model import Principal
    from grantkeeper.ports import RateLimits

WINDOW = 60  # seconds
KEPT = 1024  # callers whom an execution environment remembers
HOUR = 3600  # in which failures add up
UNWRITTEN = 2  # failures that cost no write, so that guessing at many ids does not make one each
FREE = 5  # failures that cost no pause
LONGEST = 900  # seconds of a pause


class RouteClass:  # no dataclass, nor are those below: making them costs a cold start more than this whole module
    """
    What a minute holds for one kind of route, as shares of the deployment's number.

    Args:
        name: Of the window in the table.
        client: A client's calls are the number divided by this.
        person: The same for a user, whatever tokens and keys he calls by, or for an address.
        block: Calls per write.
        open: Whether calls go on uncounted while the table does not answer.
    """

    __slots__ = ("block", "client", "name", "open", "person")

    def __init__(self, name: str, *, client: int, person: int, block: int, open: bool) -> None:  # noqa: A002 - as said
        self.name = name
        self.client = client
        self.person = person
        self.block = block
        self.open = open


TOKEN = RouteClass("token", client=1, person=10, block=32, open=True)
READ = RouteClass("read", client=2, person=20, block=32, open=True)
WRITE = RouteClass("write", client=10, person=100, block=4, open=False)
SIGN_IN = RouteClass("sign-in", client=2, person=20, block=8, open=False)


class _Window:
    """One caller's minute."""

    __slots__ = ("over", "start", "store", "uncounted")

    def __init__(self, start: int, store: RateLimits) -> None:
        self.start = start
        self.store = store  # held so that its id stays its own
        self.uncounted = 0
        self.over = False


class _Guesser:
    """Failures at one credential from one address."""

    __slots__ = ("failures", "store", "until")

    def __init__(self, store: RateLimits) -> None:
        self.store = store
        self.failures = 0
        self.until = 0


class Remembered:
    """What this execution environment has counted; bounded."""

    __slots__ = ("guessers", "windows")

    def __init__(self) -> None:
        """Nothing yet."""
        self.windows: dict[tuple[int, str, str], _Window] = {}
        self.guessers: dict[tuple[int, str], _Guesser] = {}


_SHARED = Remembered()


def count_call(
    principal: Principal, request: Request, *, scope: str, limits: RateLimits, per_minute: int, now: int
) -> None:
    """
    Count one call under /v1 of a principal whose credential is good.

    Raises:
        TooManyRequests: His minute is spent.
        StoreUnavailable: A change cannot be counted now; token calls and reads go on.
    """
    kind = WRITE
    if request.method == "GET":
        kind = TOKEN if scope == "connections:token" else READ
    if principal.sub is not None:
        share, caller = kind.person, f"user:{principal.sub}:{principal.client_id}"
    else:
        share, caller = kind.client, f"client:{principal.client_id or principal.key_id}"
    take(kind, caller, limit=per_minute // share, limits=limits, now=now)


def count_sign_in(client_id: str | None, request: Request, *, limits: RateLimits, per_minute: int, now: int) -> None:
    """
    Count one call of an OAuth endpoint: by the client that proved itself, else by the address.

    Raises:
        TooManyRequests: The minute is spent.
        StoreUnavailable: It cannot be counted now.
    """
    share = SIGN_IN.person if client_id is None else SIGN_IN.client
    caller = f"address:{network(request.source_ip)}" if client_id is None else f"client:{client_id}"
    take(SIGN_IN, caller, limit=per_minute // share, limits=limits, now=now)


def take(
    kind: RouteClass, caller: str, *, limit: int, limits: RateLimits, now: int, remembered: Remembered = _SHARED
) -> None:
    """
    Count one call of a caller.

    Args:
        kind: Of the route.
        caller: Whose window it is.
        limit: Calls in a minute; at least one block, and exact in one environment where it is a multiple of blocks.
        limits: The table.
        now: Epoch seconds.

    Raises:
        TooManyRequests: The minute is spent.
        StoreUnavailable: It cannot be counted now, and this kind of route does not go on uncounted.
    """
    start = now - now % WINDOW
    key = (id(limits), kind.name, caller)
    window = remembered.windows.get(key)
    if window is None or window.start != start:
        window = _begin(key, start, limits=limits, remembered=remembered)
    if window.over:
        raise TooManyRequests("Too many calls in this minute.", retry_after=start + WINDOW - now)
    window.uncounted += 1
    if window.uncounted < kind.block:
        return
    counted, window.uncounted = window.uncounted, 0
    try:
        total = limits.add(f"{kind.name}#{caller}", amount=counted, window=WINDOW, now=now)
    except StoreUnavailable:
        if not kind.open:
            window.uncounted = counted - 1  # the call is refused and not made; the next one asks again
            raise
        return
    window.over = total >= max(limit, kind.block)


def somebody_guesses() -> bool:
    """Tell whether this execution environment has seen any wrong secret: else there is nobody to hold up."""
    return bool(_SHARED.guessers)


def require_no_pause(credential: str | None, request: Request, *, limits: RateLimits, now: int) -> None:
    """
    Refuse who guessed at this credential from this address a moment ago; asks nobody.

    Its owner, at any other address, is not held up (W-22).

    Raises:
        TooManyRequests: Before the secret was looked at.
    """
    if credential is None:
        return
    guesser = _SHARED.guessers.get((id(limits), _place(credential, request)))
    if guesser is not None and now < guesser.until:
        raise TooManyRequests("Too many failed attempts.", retry_after=guesser.until - now)


def note_failure(credential: str | None, request: Request, *, limits: RateLimits, now: int) -> None:
    """
    Count a wrong secret, and double the pause from the sixth in an hour on: 1 s, 2 s, … 15 minutes.

    The count is everybody's; an execution environment learns of it at its own next failure. Never fails a request.
    """
    if credential is None:
        return
    place = _place(credential, request)
    if len(_SHARED.guessers) >= KEPT:
        _SHARED.guessers.clear()
    guesser = _SHARED.guessers.setdefault((id(limits), place), _Guesser(limits))
    guesser.failures += 1
    if guesser.failures > UNWRITTEN:
        amount = guesser.failures if guesser.failures == UNWRITTEN + 1 else 1
        with contextlib.suppress(StoreUnavailable):
            guesser.failures = max(UNWRITTEN + 1, limits.add(f"failed#{place}", amount=amount, window=HOUR, now=now))
    if guesser.failures > FREE:
        guesser.until = now + min(2 ** min(guesser.failures - FREE - 1, 20), LONGEST)


def network(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that one household or host has of IPv6."""
    if ":" not in address:
        return address
    from ipaddress import ip_address  # noqa: PLC0415 - few requests need it

    try:
        return ip_address(address).exploded[:19] + "::/64"
    except ValueError:
        return address


def _place(credential: str, request: Request) -> str:
    return f"{credential}@{network(request.source_ip)}"


def _begin(key: tuple[int, str, str], start: int, *, limits: RateLimits, remembered: Remembered) -> _Window:
    """A caller's new minute; room is made by forgetting minutes that are over, and only then others."""
    if len(remembered.windows) >= KEPT:
        past = [k for k, w in remembered.windows.items() if w.start != start]
        for old in past or list(remembered.windows):
            del remembered.windows[old]
    window = remembered.windows[key] = _Window(start, limits)
    return window
