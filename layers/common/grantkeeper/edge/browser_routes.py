"""Routes that the pages of registered origins may call: their answers are readable there, and so are their errors."""

from __future__ import annotations

import functools
from collections.abc import Callable

from grantkeeper.edge.cors import allow_registered_origin, preflight
from grantkeeper.edge.http import App, Handler, Request, Response, problem
from grantkeeper.edge.operations import Operation
from grantkeeper.errors import GrantkeeperError
from grantkeeper.ports import Clients


class BrowserRoutes:
    """Registers routes of an app, each with its preflight."""

    def __init__(self, app: App, clients: Callable[[], Clients]) -> None:
        """Args: clients: says who the registered origins are; asked at every request."""
        self._app = app
        self._clients = clients
        self._methods: dict[str, set[str]] = {}
        self._headers: dict[str, set[str]] = {}

    def __call__(self, route_key: str, operation: Operation) -> Callable[[Handler], Handler]:
        """Register a route and `OPTIONS` of its path, which names every method registered there."""
        method, _, path = route_key.partition(" ")
        self._methods.setdefault(path, set()).add(method)
        if operation.conditional:
            self._headers.setdefault(path, set()).add("if-none-match")
        if operation.versioned:
            self._headers.setdefault(path, set()).add("if-match")
        self._app.route(f"OPTIONS {path}")(self._preflight)

        def register(answer: Handler) -> Handler:
            @self._app.route(route_key, operation=operation)
            @functools.wraps(answer)
            def with_cors(request: Request) -> Response:
                try:
                    response = answer(request)
                except GrantkeeperError as error:
                    response = problem(error, request)
                return allow_registered_origin(response, request, clients=self._clients())

            return with_cors

        return register

    def _preflight(self, request: Request) -> Response:
        path = request.route.partition(" ")[2]
        headers = ("authorization", "content-type", *sorted(self._headers.get(path, ())))
        methods = tuple(sorted(self._methods[path]))
        return preflight(request, clients=self._clients(), methods=methods, headers=headers)
