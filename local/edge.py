"""
The front door of the local run: API Gateway's part, for an emulator that plays it incompletely.

It reads the deployed routes through the API Gateway API, so that a route
missing from the template is missing here too, and invokes the functions
through the Lambda API.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.api_events import Answer, Call, answer, event, match, message

MAX_BODY = 10 * 1024 * 1024  # HTTP API quota
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Edge(ThreadingHTTPServer):
    """An HTTP API on 127.0.0.1, one thread per connection. It answers 503 until `open` was called."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, *, report: Callable[[str, str], None] | None = None) -> None:
        """
        Take the port.

        Args:
            port: 0 for any.
            report: Told of a function that failed: its name and what the Lambda API says, for a log.

        Raises:
            OSError: Somebody else has it.
        """
        super().__init__(("127.0.0.1", port), _Handler)
        self.port: int = self.server_address[1]
        self._report = report or (lambda _function, _error: None)
        self._api_id = ""
        self._routes: Mapping[str, str] = {}
        self._lambda: Any = None

    def open(self, *, api_id: str, routes: Mapping[str, str], lambda_client: Any) -> None:
        """Begin to serve `routes`: route key → function name."""
        self._api_id, self._routes, self._lambda = api_id, routes, lambda_client

    def answer(self, call: Call) -> Answer:
        """Route one request, invoke its function, translate what it returned. Never raises."""
        if self._lambda is None:
            return message(503, "Service Unavailable")
        found = match(self._routes, call.method, call.path)
        if found is None:
            return message(404, "Not Found")
        built = event(call, found, api_id=self._api_id, domain=f"localhost:{self.port}", now=time.time())
        function = self._routes[found.route_key]
        try:
            response = self._lambda.invoke(FunctionName=function, Payload=json.dumps(built))
            payload = json.loads(response["Payload"].read() or b"null")
        except (ClientError, BotoCoreError, ValueError) as error:
            self._report(function, str(error))
            return message(503, "Service Unavailable")  # throttled, gone, or over 30 s
        try:
            if response.get("FunctionError"):
                raise ValueError(json.dumps(payload))
            return answer(payload)
        except (TypeError, ValueError) as error:
            self._report(function, str(error))
            return message(500, "Internal Server Error")


def deployed_routes(api_client: Any, api_id: str) -> dict[str, str]:
    """Route key → function name, of every route of a deployed API with a Lambda integration."""
    integrations = {
        item["IntegrationId"]: function_name(item["IntegrationUri"])
        for item in _pages(api_client.get_integrations, api_id)
        if item.get("IntegrationUri")
    }
    return {
        route["RouteKey"]: integrations[route["Target"].removeprefix("integrations/")]
        for route in _pages(api_client.get_routes, api_id)
        if route.get("Target", "").removeprefix("integrations/") in integrations
    }


def function_name(uri: str) -> str:
    """The function (or function:alias) in an integration URI, which is its ARN, plain or wrapped in an invoke path."""
    found = re.search(r"function:([A-Za-z0-9_-]+(?::[A-Za-z0-9_$-]+)?)", uri)
    if found is None:
        raise ValueError(f"not a Lambda integration: {uri}")
    return found.group(1)


def _pages(operation: Any, api_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    for _ in range(100):
        page = operation(ApiId=api_id, MaxResults="500", **token)
        items += page["Items"]
        if not page.get("NextToken"):
            break
        token = {"NextToken": page["NextToken"]}
    return items


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds a kept-alive connection may idle
    server: Edge

    def serve(self) -> None:
        """Answer any method; what no route takes is 404, as at AWS."""
        body = self._body()
        if body is None:
            self.close_connection = True
            self._send(message(413, "Request Entity Too Large"), request_id="")
            return
        call = Call(
            method=self.command,
            target=self.path,
            headers=[*self.headers.items(), *self._forwarded()],
            body=body,
            source_ip=self.client_address[0],
            request_id=str(uuid.uuid4()),
        )
        self._send(self.server.answer(call), request_id=call.request_id)

    def __getattr__(self, name: str) -> Any:
        """`do_GET`, `do_QUERY` and whatever else somebody invents: AWS answers none with 501."""
        if name.startswith("do_"):
            return self.serve
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Say nothing: queries hold codes and states."""

    def _body(self) -> bytes | None:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        length = self.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY:
            return None
        return self.rfile.read(int(length))

    def _chunks(self) -> bytes | None:
        """A body of unknown length (RFC 9112 section 7.1), up to the limit."""
        body = b""
        while True:
            line = self.rfile.readline(1024)
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                return None
            if size < 0 or len(body) + size > MAX_BODY:
                return None
            if size == 0:
                while self.rfile.readline(1024).strip():
                    pass  # trailers
                return body
            body += self.rfile.read(size)
            self.rfile.readline(3)

    def _forwarded(self) -> list[tuple[str, str]]:
        return [
            ("x-forwarded-for", self.client_address[0]),
            ("x-forwarded-port", str(self.server.port)),
            ("x-forwarded-proto", "http"),
        ]

    def _send(self, response: Answer, *, request_id: str) -> None:
        self.send_response_only(response.status)
        self.send_header("date", self.date_time_string())
        for name, value in response.headers:
            if name not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(response.body)))
        self.send_header("apigw-requestid", request_id)
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
