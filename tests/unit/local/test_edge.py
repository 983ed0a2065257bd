"""The front door over real sockets, with a Lambda client that answers in the process."""

import http.client
import io
import json
import threading

import pytest
from botocore.exceptions import ReadTimeoutError

from local.edge import MAX_BODY, Edge, deployed_routes, function_name


class Functions:
    """Invokes Python callables the way the Lambda API does."""

    def __init__(self, **functions):
        self.functions = functions

    def invoke(self, *, FunctionName, Payload):  # noqa: N803
        try:
            returned = self.functions[FunctionName](json.loads(Payload))
        except ZeroDivisionError as error:
            return {
                "FunctionError": "Unhandled",
                "Payload": io.BytesIO(json.dumps({"errorMessage": str(error)}).encode()),
            }
        return {"Payload": io.BytesIO(json.dumps(returned).encode())}


def crash(_):
    raise ZeroDivisionError("a secret")


def hang(_):
    raise ReadTimeoutError(endpoint_url="lambda")


@pytest.fixture
def edge():
    server = Edge(0)
    routes = {"GET /echo/{id}": "echo", "POST /echo/{id}": "echo", "GET /crash": "crash", "GET /hang": "hang"}
    routes["GET /strange"] = "strange"
    client = Functions(
        echo=lambda event: {"statusCode": 201, "headers": {"x-a": "b"}, "cookies": ["c=d"], "body": json.dumps(event)},
        crash=crash,
        hang=hang,
        strange=lambda _: {"statusCode": 200, "body": 5},
    )
    server.open(api_id="api", routes=routes, lambda_client=client)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ask(edge):
    connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=10)

    def send(method, target, **about):
        connection.request(method, target, **about)
        response = connection.getresponse()
        return response.status, response.headers, response.read()

    yield send
    connection.close()


def test_a_request_reaches_its_function_and_back(ask):
    """
    Route key, variables and body go in; status, headers and cookies come out.
    """
    status, headers, body = ask("POST", "/echo/7?a=b", body=b"{}", headers={"content-type": "application/json"})
    event = json.loads(body)

    assert (status, headers["x-a"], headers["set-cookie"]) == (201, "b", "c=d")
    assert event["routeKey"] == "POST /echo/{id}"
    assert event["pathParameters"] == {"id": "7"}
    assert event["body"] == "{}"
    assert event["requestContext"]["requestId"] == headers["apigw-requestid"]


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("/nowhere", 404, "Not Found"),
        ("/crash", 500, "Internal Server Error"),
        ("/strange", 500, "Internal Server Error"),
        ("/hang", 503, "Service Unavailable"),
    ],
)
def test_failures_say_what_api_gateway_says(ask, target, status, text):
    """
    An unknown route, a crash, a malformed answer and a timeout; never the exception's text.
    """
    assert ask("GET", target)[::2] == (status, json.dumps({"message": text}, separators=(",", ":")).encode())


def test_head_is_not_get(ask):
    """
    AWS routes HEAD on its own; without a route it is 404, and has no body.
    """
    assert ask("HEAD", "/echo/7")[::2] == (404, b"")


@pytest.mark.parametrize("method", ["QUERY", "TRACE", "PURGE", "x"])
def test_a_method_that_no_route_takes_is_404(ask, method):
    """As at AWS, where it reaches no function."""
    assert ask(method, "/echo/7")[0] == 404


def test_a_body_over_ten_megabytes_is_refused_unread(edge):
    """
    413 follows from the announced length alone.
    """
    connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=10)
    connection.putrequest("POST", "/echo/7")
    connection.putheader("content-length", str(MAX_BODY + 1))
    connection.endheaders()

    assert connection.getresponse().status == 413
    connection.close()


def test_a_chunked_body_is_read_to_its_end(ask):
    """
    A body without a length arrives whole.
    """
    _, _, body = ask(
        "POST", "/echo/7", body=iter([b"ab", b"cd"]), headers={"content-type": "text/plain"}, encode_chunked=True
    )

    assert json.loads(body)["body"] == "abcd"


def test_routes_are_the_deployed_ones():
    """
    Routes point at integrations, integrations at functions; both are read page by page.
    """

    class Api:
        def get_integrations(self, **_):
            uri = "arn:aws:lambda:us-east-1:000000000000:function:session"
            return {"Items": [{"IntegrationId": "i1", "IntegrationUri": uri}]}

        def get_routes(self, *, NextToken=None, **_):  # noqa: N803
            if NextToken is None:
                items = [{"RouteKey": "POST /oauth2/token", "Target": "integrations/i1"}]
                return {"Items": items, "NextToken": "2"}
            return {"Items": [{"RouteKey": "GET /dead", "Target": "integrations/gone"}]}

    assert deployed_routes(Api(), "api") == {"POST /oauth2/token": "session"}


@pytest.mark.parametrize(
    "uri",
    [
        "arn:aws:lambda:us-east-1:1:function:name",
        "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:1:function:name/invocations",
    ],
)
def test_integration_uris_name_their_function(uri):
    """
    Both forms that CloudFormation accepts.
    """
    assert function_name(uri) == "name"
