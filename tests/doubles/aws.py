"""The whole of AWS in memory, and the product wired onto it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from grantkeeper.wiring import Wiring
from tests.doubles.dynamodb import InMemoryDynamoDB
from tests.doubles.dynamodb_values import client_error
from tests.doubles.faults import Faults
from tests.doubles.sqs import InMemorySqs
from tests.doubles.tables import create_tables

ENVIRONMENT: Mapping[str, str] = {
    "GRANTS_TABLE": "grants",
    "REQUESTS_TABLE": "requests",
    "AUDIT_TABLE": "audit",
    "VAULT_KEY_ARN": "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-4000-8000-000000000000",
    "WORK_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/111122223333/work",
    "RESCUE_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/111122223333/rescue",
    "DEAD_LETTER_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/111122223333/dead-letters",
    "RESCUE_DEAD_LETTER_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/111122223333/rescue-dead-letters",
    "EVENT_BUS_NAME": "grantkeeper",
    "ISSUER": "https://id.example.com",
    "PARAMETER_PREFIX": "/grantkeeper",
    "DUE_SHARDS": "4",
    "LOCAL_RUN": "0",
    "POWERTOOLS_SERVICE_NAME": "grantkeeper",
}


@dataclass
class InMemorySsm:
    """Parameter Store: SecureStrings by name."""

    faults: Faults = field(default_factory=Faults)
    parameters: dict[str, str] = field(default_factory=dict)

    def get_parameter(self, **kwargs: Any) -> dict[str, Any]:
        """GetParameter; without WithDecryption a SecureString stays a ciphertext."""
        return self.faults.call("get_parameter", self._get, kwargs)

    def put_parameter(self, **kwargs: Any) -> dict[str, Any]:
        """PutParameter."""
        return self.faults.call("put_parameter", self._put, kwargs)

    def _get(self, **kwargs: Any) -> dict[str, Any]:
        name = kwargs["Name"]
        if name not in self.parameters:
            raise client_error("GetParameter", "ParameterNotFound", "")
        value = self.parameters[name] if kwargs.get("WithDecryption") else "AQICAH…"
        return {"Parameter": {"Name": name, "Type": "SecureString", "Value": value}}

    def _put(self, **kwargs: Any) -> dict[str, Any]:
        if kwargs["Name"] in self.parameters and not kwargs.get("Overwrite"):
            raise client_error("PutParameter", "ParameterAlreadyExists", "")
        self.parameters[kwargs["Name"]] = kwargs["Value"]
        return {"Version": 1, "Tier": "Standard"}


@dataclass
class InMemoryEvents:
    """EventBridge: `published` holds the entries it accepted; `reject_entries` fails the next ones."""

    faults: Faults = field(default_factory=Faults)
    published: list[dict[str, Any]] = field(default_factory=list)
    reject_entries: int = 0

    def put_events(self, **kwargs: Any) -> dict[str, Any]:
        """PutEvents: at most ten entries, each may fail alone."""
        return self.faults.call("put_events", self._put, kwargs)

    def _put(self, **kwargs: Any) -> dict[str, Any]:
        if not 1 <= len(kwargs["Entries"]) <= 10:
            raise client_error("PutEvents", "ValidationException", "1 to 10 entries")
        shown: list[dict[str, str]] = []
        for entry in kwargs["Entries"]:
            if self.reject_entries > 0:
                self.reject_entries -= 1
                shown.append({"ErrorCode": "ThrottlingException", "ErrorMessage": "injected"})
            else:
                self.published.append(entry)
                shown.append({"EventId": str(len(self.published))})
        return {"FailedEntryCount": sum("ErrorCode" in s for s in shown), "Entries": shown}


@dataclass
class InMemoryCloudWatch:
    """CloudWatch's alarms by name: `states` says how each is."""

    faults: Faults = field(default_factory=Faults)
    states: dict[str, str] = field(default_factory=dict)

    def describe_alarms(self, **kwargs: Any) -> dict[str, Any]:
        """DescribeAlarms, by the beginning of a name, metric alarms alone."""
        return self.faults.call("describe_alarms", self._describe, kwargs)

    def _describe(self, **kwargs: Any) -> dict[str, Any]:
        if kwargs["AlarmTypes"] != ["MetricAlarm"] or not 1 <= kwargs["MaxRecords"] <= 100:
            raise client_error("DescribeAlarms", "ValidationError", "")
        found = sorted(name for name in self.states if name.startswith(kwargs["AlarmNamePrefix"]))
        alarms = [{"AlarmName": name, "StateValue": self.states[name]} for name in found[: kwargs["MaxRecords"]]]
        return {"MetricAlarms": alarms, "CompositeAlarms": []}


@dataclass
class InMemoryAws:
    """Stands where `stores.aws.Aws` stands."""

    dynamodb: InMemoryDynamoDB = field(default_factory=InMemoryDynamoDB)
    sqs: InMemorySqs = field(default_factory=InMemorySqs)
    ssm: InMemorySsm = field(default_factory=InMemorySsm)
    events: InMemoryEvents = field(default_factory=InMemoryEvents)
    cloudwatch: InMemoryCloudWatch = field(default_factory=InMemoryCloudWatch)

    def __post_init__(self) -> None:
        create_tables(self.dynamodb)

    @property
    def rescue_sqs(self) -> InMemorySqs:
        """The same queues: here no client has time-outs."""
        return self.sqs

    @cached_property
    def kms(self) -> Any:
        """The fake KMS."""
        from tests.doubles.kms import InMemoryKms

        return InMemoryKms()


def memory_wiring(*, aws: InMemoryAws | None = None, **environment: str) -> Any:
    """
    Wire the product over doubles.

    Args:
        aws: Share the world with another wiring: a second execution environment with caches of its own.
        environment: Environment variables beside or instead of the defaults.

    Returns:
        A `Wiring`; `wiring.aws.dynamodb.faults` and its neighbours make things go wrong.
    """
    wiring = Wiring({**ENVIRONMENT, **environment})
    wiring.__dict__["aws"] = InMemoryAws() if aws is None else aws  # before any thread can ask for it
    return wiring
