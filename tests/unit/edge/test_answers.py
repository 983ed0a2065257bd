"""What stands on every answer, whatever became of the request."""

import pytest

from grantkeeper.edge.http import SECURITY_HEADERS, App
from tests.support.functions import CONTEXT, http_event


@pytest.mark.parametrize(
    ("parts", "status"),
    [({}, 404), ({"body": "x" * 100_000}, 413), ({"query": "a=%ff"}, 400)],
    ids=["no such route", "too large to decode", "not decodable"],
)
def test_every_answer_names_its_request(parts, status):
    """Also where the event could not even be decoded: the id is the gateway's, not the body's."""
    event = http_event("POST /nowhere", **parts)

    answer = App()(event, CONTEXT)

    assert answer["statusCode"] == status
    assert answer["headers"]["x-request-id"] == event["requestContext"]["requestId"]
    assert SECURITY_HEADERS.items() <= answer["headers"].items()
