"""What every route of a function needs: who calls, the clock, cursors of its lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grantkeeper.edge.cursors import Cursors
from grantkeeper.edge.http import App, Request
from grantkeeper.edge.principals import permitted
from grantkeeper.model import Principal
from grantkeeper.services.acting import Acting

if TYPE_CHECKING:
    from grantkeeper.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Desk:
    """
    Where a function receives its requests.

    Args:
        app: Whose routes are added to; it knows who may call which.
        find_wiring: Asked at every request, so that a test may bring another.
        clock: Epoch seconds.
    """

    app: App
    find_wiring: Callable[[], Wiring]
    clock: Callable[[], int]

    @property
    def wiring(self) -> Wiring:
        """The ports."""
        return self.find_wiring()

    def now(self) -> int:
        """Epoch seconds."""
        return self.clock()

    def caller(self, request: Request) -> Principal:
        """Who calls, whom the route's own rule lets in. Raises as `permitted`."""
        return permitted(request, self.app.access(request), ports=self.wiring, now=self.now())

    def acting(self, request: Request) -> Acting:
        """The caller, as whoever is answerable for what he does. Raises as `caller`."""
        return Acting.of(self.caller(request), now=self.now(), request_id=request.request_id)

    def person(self, request: Request) -> tuple[Principal, str]:
        """The caller, who is a person by the route's own rule, and his id. Raises as `caller`."""
        principal = self.caller(request)
        return principal, principal.sub or ""

    def position(self, request: Request, *, principal: Principal, query: Sequence[str | None]) -> str | None:
        """
        Where the page that is asked for starts; None for the first.

        Args:
            query: The list's name and every filter, in a fixed order: a cursor is good for the same question only.

        Raises:
            BadRequest: Not a cursor of this list for this principal.
        """
        return self._cursors().read(request.one("cursor"), principal=principal, query=query)

    def cursor(self, position: str | None, *, principal: Principal, query: Sequence[str | None]) -> str | None:
        """The cursor of the next page; None when there is none."""
        return position and self._cursors().issue(position, principal=principal, query=query)

    def _cursors(self) -> Cursors:
        return Cursors(self.wiring.deployment_secrets.key("cursors"))
