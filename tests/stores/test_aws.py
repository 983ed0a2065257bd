"""The AWS clients: made late, each with a deadline, without boto3."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import botocore
import pytest

from grantkeeper.errors import StoreUnavailable
from grantkeeper.services.lease_policy import PARK_NEEDS, SAVE_NEEDS, SAVE_RESERVE
from grantkeeper.stores.aws import Aws
from grantkeeper.stores.grants import SAVE_BUDGET
from grantkeeper.stores.queues import PARK_BUDGET
from grantkeeper.stores.table import Table

ENV = {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return Aws(ENV)


@pytest.mark.parametrize("service", ["dynamodb", "kms", "sqs", "ssm", "events"])
def test_every_client_has_deadlines_and_the_endpoint_of_the_run(aws: Aws, service: str) -> None:
    """Nothing waits for ever; the local run reaches the emulator."""
    client = getattr(aws, service)
    config = client.meta.config
    assert client.meta.service_model.service_name == service
    assert client.meta.endpoint_url == "http://127.0.0.1:1"
    assert client.meta.region_name == "eu-west-1"
    assert config.connect_timeout == 1
    assert config.read_timeout <= 3
    assert config.retries["mode"] == "standard"
    assert config.retries["total_max_attempts"] <= 3
    assert getattr(aws, service) is client


def test_the_sdk_does_not_repeat_a_call_to_dynamodb_behind_our_back(aws: Aws) -> None:
    """The stores do, within a budget: a save must be over before its reserve is spent."""
    config = aws.dynamodb.meta.config
    assert config.retries["total_max_attempts"] == 1
    assert config.connect_timeout + config.read_timeout <= 3


def test_f16_the_client_of_the_rescue_queue_gives_up_in_time(aws: Aws) -> None:
    """Parking an answer must fit what a call to a provider leaves, its client made first, after a save that hung."""
    store, rescue = aws.dynamodb.meta.config, aws.rescue_sqs.meta.config
    assert aws.rescue_sqs is not aws.sqs
    assert rescue.retries["total_max_attempts"] == 1
    assert SAVE_BUDGET + store.connect_timeout + store.read_timeout <= SAVE_NEEDS
    assert PARK_BUDGET + rescue.connect_timeout + rescue.read_timeout + 0.3 <= PARK_NEEDS
    assert SAVE_NEEDS + PARK_NEEDS < SAVE_RESERVE


def test_threads_that_ask_at_once_get_working_clients(aws: Aws) -> None:
    """A batch's threads begin together."""
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(aws.dynamodb)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert found[0].meta.service_model.service_name == "dynamodb"
    assert all(client is found[0] for client in found), "each would cost the others a tenth of a second"


def test_the_clients_cost_no_more_than_botocore() -> None:
    """No boto3, pydantic, X-Ray or HTTP client of ours comes with the stores."""
    unwanted = ("boto3", "pydantic", "aws_xray_sdk", "httpx2", "authlib", "joserfc")
    code = (
        "import sys; import grantkeeper.stores.grants; from grantkeeper.stores.aws import Aws;"
        "Aws({'AWS_REGION': 'eu-west-1'}).dynamodb;"
        f"print([name for name in {unwanted!r} if name in sys.modules])"
    )
    path = [entry for entry in sys.path if entry]
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(path)},
        timeout=60,
    )
    assert done.stdout.strip() == "[]"


def test_a_request_that_is_none_is_a_store_that_is_unavailable(
    dynamodb_tables: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Whatever is wrong with it, and told without its text: an answer in hand is then parked, and not lost to a bug.

    The client's own look at requests is what makes it so, and worth its 3 % of a call.
    """
    for name, value in dynamodb_tables.env.items():
        monkeypatch.setenv(name, value)
    table = Table(Aws(dynamodb_tables.env).dynamodb, dynamodb_tables.grants)

    for malformed in ({"S": 7}, {"X": "text"}, {}, {"N": "seven"}, {"S": None}):
        with pytest.raises(StoreUnavailable) as refused:
            table.put({"pk": {"S": "a"}, "sk": {"S": "b"}, "sealed": malformed, "other": {"S": "a secret"}})
        assert "secret" not in f"{refused.value!r} {refused.value.extensions}"

    assert table.get(("a", "b")) is None


def test_a_call_says_who_it_is_from(aws: Aws) -> None:
    """In the account's trail of calls, and as one text that nobody puts together anew."""
    assert aws.dynamodb.meta.config.user_agent == f"grantkeeper botocore/{botocore.__version__}"
