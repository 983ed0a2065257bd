"""What the administration looks at outside the tables' own contents: a read of each table, the key, queues, alarms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from grantkeeper.stores.items import Item
from grantkeeper.stores.retrying import call
from grantkeeper.stores.table import key_item

BUDGET = 3.0
MAX_ALARMS = 100  # the stack has some thirty
NOBODY = ("CONFIG", "NOTHING"), ("RL#health", "0"), ("SYSTEM#health", "0")  # keys under which nothing stands


class AwsProbes:
    """`admin_ports.Probes`."""

    def __init__(self, aws: Any, env: Mapping[str, str]) -> None:
        """Args: env: names of tables, queues, the key and the stack."""
        self._aws = aws
        self._env = env

    def read_tables(self) -> Mapping[str, str]:
        """
        Read one item that is not there from each table: DynamoDB answers, and the tables' key is good.

        Raises:
            StoreUnavailable: One did not answer; `code` says AWS's word for it.
        """
        names = ("GRANTS_TABLE", "REQUESTS_TABLE", "AUDIT_TABLE")
        for name, key in zip(names, NOBODY, strict=True):
            request: Item = {"TableName": self._env[name], "Key": key_item(key), "ConsistentRead": True}
            call(self._aws.dynamodb.get_item, budget=BUDGET, **request)
        return {name.partition("_")[0].lower(): "read" for name in names}

    def vault_key(self) -> str:
        """The state of the VaultKey as KMS tells it, `Enabled` when it works."""
        answer = call(self._aws.kms.describe_key, budget=BUDGET, KeyId=self._env["VAULT_KEY_ARN"])
        return str(answer["KeyMetadata"]["KeyState"])

    def queues(self) -> Mapping[str, int]:
        """Messages of each queue, those in flight and delayed among them; approximate."""
        urls = {
            "work": "WORK_QUEUE_URL",
            "dead_letters": "DEAD_LETTER_QUEUE_URL",
            "rescue": "RESCUE_QUEUE_URL",
            "rescue_dead_letters": "RESCUE_DEAD_LETTER_QUEUE_URL",
        }
        return {name: self._depth(self._env[variable]) for name, variable in urls.items()}

    def alarms(self) -> Mapping[str, str]:
        """
        The stack's own metric alarms, by their names in the template, with their state.

        CloudFormation names an alarm `<stack>-<name>-<letters>`; one of a stack whose name begins like ours has a part
        more, and is not told.
        """
        stack = self._env["POWERTOOLS_SERVICE_NAME"]
        answer = call(
            self._aws.cloudwatch.describe_alarms,
            budget=BUDGET,
            AlarmNamePrefix=f"{stack}-",
            AlarmTypes=["MetricAlarm"],
            MaxRecords=MAX_ALARMS,
        )
        own = re.compile(re.escape(stack) + r"-([A-Za-z0-9]+)-[A-Za-z0-9]+\Z")
        named = ((own.match(alarm["AlarmName"]), alarm["StateValue"]) for alarm in answer.get("MetricAlarms", ()))
        return {match[1]: state for match, state in named if match}

    def _depth(self, url: str) -> int:
        names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ]
        answer = call(self._aws.sqs.get_queue_attributes, budget=BUDGET, QueueUrl=url, AttributeNames=names)
        return sum(int(answer["Attributes"].get(name, 0)) for name in names)
