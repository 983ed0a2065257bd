"""
The AWS clients: one botocore session, each client made at first use.

botocore alone, without boto3: 20 ms less at every cold start. `urllib3.util.url`
goes first because it compiles a large expression that takes six times as long
deep inside another module's import (another 20 ms).
"""

from __future__ import annotations

import urllib3.util.url  # noqa: F401 - see above

# isort: split
import threading
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import botocore.config
import botocore.session

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_events import EventBridgeClient
    from types_boto3_kms import KMSClient
    from types_boto3_sqs import SQSClient
    from types_boto3_ssm import SSMClient

CONNECT_TIMEOUT, READ_TIMEOUT = 1, 3  # seconds; a call that takes longer has failed
STORE_READ_TIMEOUT = 2  # the same for DynamoDB, which answers in milliseconds or not at all
RESCUE_CONNECT_TIMEOUT, RESCUE_READ_TIMEOUT = 0.5, 1.0  # for SQS while an answer in hand waits for a place
ATTEMPTS = 3  # of the SDK per call; for DynamoDB one, since the stores retry within a budget they know
# Said whole, it is not put together anew for every call, which takes a tenth of the call's processor time.
USER_AGENT = f"grantkeeper botocore/{botocore.__version__}"


class Aws:
    """Clients of one execution environment, with deadlines on every call."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Args: env: AWS_ENDPOINT_URL (local run only); region and credentials are botocore's own to find."""
        self._endpoint_url = env.get("AWS_ENDPOINT_URL")
        self._session = botocore.session.Session()
        self._lock = threading.Lock()
        self._made: dict[tuple[str, int], Any] = {}
        self._region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        """DynamoDB."""
        client: DynamoDBClient = self._client("dynamodb", read_timeout=STORE_READ_TIMEOUT, attempts=1)
        return client

    @cached_property
    def kms(self) -> KMSClient:
        """KMS."""
        client: KMSClient = self._client("kms")
        return client

    @cached_property
    def sqs(self) -> SQSClient:
        """SQS."""
        client: SQSClient = self._client("sqs")
        return client

    @cached_property
    def rescue_sqs(self) -> SQSClient:
        """SQS for the one message that cannot wait: a single attempt with short time-outs; the store repeats it."""
        client: SQSClient = self._client(
            "sqs",
            connect_timeout=RESCUE_CONNECT_TIMEOUT,
            read_timeout=RESCUE_READ_TIMEOUT,
            attempts=1,
        )
        return client

    @cached_property
    def ssm(self) -> SSMClient:
        """Parameter Store."""
        client: SSMClient = self._client("ssm")
        return client

    @cached_property
    def events(self) -> EventBridgeClient:
        """EventBridge."""
        client: EventBridgeClient = self._client("events")
        return client

    @cached_property
    def cloudwatch(self) -> Any:
        """CloudWatch, for its alarms."""
        return self._client("cloudwatch")

    def _client(
        self,
        service: str,
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
        attempts: int = ATTEMPTS,
    ) -> Any:
        config = botocore.config.Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
            tcp_keepalive=True,
            max_pool_connections=32,
            user_agent=USER_AGENT,
        )
        # A batch's threads may ask at once: a botocore session makes one client at a time, a tenth of a second each,
        # and a thread with an answer in hand cannot wait for 24 of them.
        with self._lock:
            client = self._made.get((service, attempts))
            if client is None:
                client = self._made[service, attempts] = self._session.create_client(
                    service, region_name=self._region, endpoint_url=self._endpoint_url, config=config
                )
        return client
