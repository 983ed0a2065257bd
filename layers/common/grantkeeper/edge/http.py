"""
HTTP API events (payload 2.0) in, responses out.

API Gateway has routed the request before a function starts: its `routeKey`
names the route. So there is no router here, only a table from route keys to
functions; it loads in a millisecond, which a routing library does not.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from grantkeeper.edge.decode import (
    cookies_of,
    fields_of,
    one_of,
    require_encodable,
    require_type,
    strict_json_object,
    text_of,
)
from grantkeeper.edge.operations import Access, Operation
from grantkeeper.errors import (
    BadRequest,
    GrantkeeperError,
    MethodNotAllowed,
    NotFound,
    OAuthError,
    PayloadTooLarge,
)

MAX_BODY = 64 * 1024
PROBLEM_BASE = "https://grantkeeper.dev/problems/"

_PATH_PARAMETER = re.compile(r"\{([a-z_]+)\}")

_UNTOLD = frozenset({"code"})  # AWS's word for what went wrong: for the log, not for strangers

SECURITY_HEADERS: Mapping[str, str] = {
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request, decoded. Query and form keep every value, so that a repeated parameter is seen."""

    route: str  # "GET /v1/connections/{id}"
    method: str
    path: str
    path_params: Mapping[str, str]
    query: Mapping[str, tuple[str, ...]]
    headers: Mapping[str, str]  # lower-case names
    cookies: Mapping[str, str]  # first value of each name
    body: bytes
    source_ip: str
    request_id: str

    def one(self, name: str) -> str | None:
        """
        A query parameter that may appear once (RFC 6749 section 3.1).

        Raises:
            BadRequest: It is repeated.
        """
        return one_of(self.query, name)

    def required(self, name: str) -> str:
        """Like `one`, and it must be there and not empty."""
        value = self.one(name)
        if not value:
            raise BadRequest(f"The parameter {name} is missing.", parameter=name)
        return value

    def form(self) -> Mapping[str, str]:
        """
        The form body; each parameter at most once.

        Raises:
            UnsupportedMediaType: Not application/x-www-form-urlencoded.
            BadRequest: Not UTF-8, repeated parameters, or too many.
        """
        require_type(self.headers, "application/x-www-form-urlencoded")
        fields = fields_of(text_of(self.body))
        if any(len(values) != 1 for values in fields.values()):
            raise BadRequest("A parameter is repeated.")  # without its name, which is the sender's text
        return {name: values[0] for name, values in fields.items()}

    def json(self) -> Mapping[str, Any]:
        """
        The JSON object in the body; an empty body is an empty object.

        Raises:
            UnsupportedMediaType: Not application/json.
            BadRequest: Not an object, duplicate keys, NaN, too deep.
        """
        if not self.body:
            return {}
        require_type(self.headers, "application/json")
        return strict_json_object(text_of(self.body))


@dataclass(frozen=True, slots=True)
class Response:
    """What a route answers. Security headers are added on the way out unless the route sets its own."""

    status: int = 200
    body: str | bytes = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()

    def with_headers(self, **headers: str) -> Response:
        """A copy with more headers; underscores stand for hyphens."""
        return replace(self, headers={**self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}})


def json_response(body: Mapping[str, Any] | list[Any], *, status: int = 200, **headers: str) -> Response:
    """An application/json answer."""
    return Response(status, json.dumps(body, separators=(",", ":")), {"content-type": "application/json"}).with_headers(
        **headers
    )


def see_other(url: str, *, cookies: tuple[str, ...] = ()) -> Response:
    """A 303, so that a POST becomes a GET (RFC 9700 section 4.12)."""
    return Response(303, "", {"location": url}, cookies)


Handler = Callable[[Request], Response]


class App:
    """A table of routes, and the Lambda handler that dispatches to it."""

    def __init__(
        self,
        *,
        on_error: Callable[[Request | None, BaseException], None] | None = None,
        env: Mapping[str, str] = os.environ,
    ) -> None:
        """
        Args:
            on_error: Told of every bug (an exception that is not ours), with its stack, for the log.
            env: Says whether a distribution stands in front; read here so that no function can forget it.
        """
        self._enter = _entrance(env)
        self.routes: dict[str, Handler] = {}
        self.operations: dict[str, Operation] = {}
        self._on_error = on_error

    def route(self, *route_keys: str, operation: Operation | None = None) -> Callable[[Handler], Handler]:
        """
        Register a function for route keys such as `"GET /v1/connections/{id}"`.

        Args:
            operation: What it promises; None only for what no caller asks for by itself (OPTIONS, HEAD).
        """

        def register(handler: Handler) -> Handler:
            for key in route_keys:
                self.routes[key] = handler
                if operation is not None:
                    self.operations[key] = operation
            return handler

        return register

    def access(self, request: Request) -> Access:
        """Who may call the route of a request; where that is not said, nobody may."""
        access = self.operations[request.route].access
        if access is None:
            raise LookupError(request.route)
        return access

    def __call__(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG002 - Lambda passes it
        """Answer one API Gateway event; never raises."""
        request: Request | None = None
        try:
            request = self._enter(parse_event(event))
            handler = self.routes.get(request.route)
            if handler is None:
                raise _no_such_route(request, self.routes)
            response = handler(request)
        except GrantkeeperError as error:
            response = problem(error, request)
        except Exception as error:  # noqa: BLE001 - a bug answers 500 with nothing in the body
            if self._on_error is not None:
                self._on_error(request, error)
            response = problem(GrantkeeperError(), request)
        return render(response, request, request_id=_request_id(event))


def _entrance(env: Mapping[str, str]) -> Callable[[Request], Request]:
    """How requests come in: past the front door where there is one, and as they are elsewhere."""
    hashes = env.get("ORIGIN_SECRET_HASHES")
    if not hashes:
        return lambda request: request
    from grantkeeper.edge.front_door import FrontDoor  # noqa: PLC0415 - for deployments with a distribution

    return FrontDoor(hashes.split(",")).enter


def _request_id(event: Mapping[str, Any]) -> str:
    context = event.get("requestContext")
    return str(context.get("requestId", "")) if isinstance(context, Mapping) else ""


def _no_such_route(request: Request, routes: Mapping[str, Handler]) -> GrantkeeperError:
    path = request.route.partition(" ")[2]
    if any(key.partition(" ")[2] == path for key in routes):
        return MethodNotAllowed("This method is not allowed here.")
    return NotFound("No such route.")


def parse_event(event: Mapping[str, Any]) -> Request:
    """
    Decode a payload 2.0 event.

    The query is read from `rawQueryString`: API Gateway joins repeated parameters with commas in the parsed form, which
    hides them.

    Raises:
        PayloadTooLarge: The body is over 64 KiB.
        BadRequest: Something in it is not decodable, or no text that UTF-8 can say.
        NotFound: A parameter of the route's path is missing.
    """
    http = event["requestContext"]["http"]
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    path_params = event.get("pathParameters") or {}
    require_encodable(*headers.values(), *(event.get("cookies") or ()), *path_params.values())
    if not all(path_params.get(name) for name in _PATH_PARAMETER.findall(event["routeKey"])):
        raise NotFound("No such route.")
    raw_body = event.get("body") or ""
    if len(raw_body) > MAX_BODY * 4 // 3 + 4:
        raise PayloadTooLarge("The body is over 64 KiB.")
    try:
        body = base64.b64decode(raw_body) if event.get("isBase64Encoded") else raw_body.encode()
    except ValueError:
        raise BadRequest("The body is not decodable.") from None
    if len(body) > MAX_BODY:
        raise PayloadTooLarge("The body is over 64 KiB.")

    return Request(
        route=event["routeKey"],
        method=http["method"],
        path=event.get("rawPath", http.get("path", "")),
        path_params=path_params,
        query=fields_of(event.get("rawQueryString") or ""),
        headers=headers,
        cookies=cookies_of(event, headers),
        body=body,
        source_ip=http.get("sourceIp", ""),
        request_id=event["requestContext"].get("requestId", ""),
    )


def problem(error: GrantkeeperError, request: Request | None) -> Response:
    """Render an error: RFC 6749 form for `OAuthError`, RFC 9457 for all others."""
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    if isinstance(error, OAuthError):
        body: dict[str, Any] = {"error": error.error}
        if error.detail:
            body["error_description"] = error.detail
        if error.status == 401:
            headers["www-authenticate"] = error.extensions.get(
                "challenge", 'Basic realm="grantkeeper", charset="UTF-8"'
            )
        content_type = "application/json"
    else:
        body = {"type": PROBLEM_BASE + error.slug, "title": error.title, "status": error.status}
        if error.detail:
            body["detail"] = error.detail
        if request is not None and request.request_id:
            body["instance"] = f"urn:request:{request.request_id}"
        body |= {k: v for k, v in error.extensions.items() if v is not None and k not in body and k not in _UNTOLD}
        if error.status == 401:
            headers["www-authenticate"] = 'Bearer realm="grantkeeper"'
        content_type = "application/problem+json"
    return Response(error.status, json.dumps(body, separators=(",", ":")), {"content-type": content_type, **headers})


def render(response: Response, request: Request | None, *, request_id: str = "") -> dict[str, Any]:
    """
    Make the payload 2.0 answer, with security headers and the request id on every one.

    Args:
        request_id: Stands in for `request` where the event could not be decoded.
    """
    headers = {**SECURITY_HEADERS, **response.headers}
    request_id = request.request_id if request is not None else request_id
    if request_id:
        headers["x-request-id"] = request_id
    answer: dict[str, Any] = {
        "statusCode": response.status,
        "headers": headers,
        "body": _base64(response.body) if isinstance(response.body, bytes) else response.body,
        "isBase64Encoded": isinstance(response.body, bytes),
    }
    if response.cookies:
        answer["cookies"] = list(response.cookies)
    return answer


def _base64(body: bytes) -> str:
    return base64.b64encode(body).decode("ascii")
