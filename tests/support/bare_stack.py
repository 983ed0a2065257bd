"""
The template's resources on a bare MiniStack: created in a tenth of a second, with functions that do nothing.

What the emulator leaves out of a template (backups, TTL, encryption of tables) is put right afterwards, by hand.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Mapping
from functools import cache
from typing import Any

from tests.infrastructure.template import translated
from tests.support import ministack

TABLES = ("GrantsTableName", "RequestsTableName", "AuditTableName")


def deploy(name: str, *, public_url: str) -> tuple[str, Mapping[str, str]]:
    """Create a stack that is as AWS would make it. Returns the emulator's URL and the outputs."""
    url = ministack.endpoint_url()
    topic = ministack.client("sns", url).create_topic(Name=f"{name}-alarms")["TopicArn"]
    given = {"PublicUrl": public_url, "AlarmTopicArn": topic}
    cloudformation = ministack.client("cloudformation", url)
    cloudformation.create_stack(
        StackName=name,
        TemplateURL=_uploaded(url),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    for _ in range(100):
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            break
        time.sleep(0.1)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack.get("StackStatusReason")
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    _complete(ministack.client("dynamodb", url), outputs)
    return url, outputs


def _complete(dynamodb: Any, outputs: Mapping[str, str]) -> None:
    for output in TABLES:
        table = outputs[output]
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"})
        key = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": outputs["TableKeyArn"]}
        dynamodb.update_table(TableName=table, SSESpecification=key)
        if output != "RequestsTableName":
            dynamodb.update_continuous_backups(
                TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
            )


@cache
def _uploaded(url: str) -> str:
    """The template is too long for the request itself, as on AWS."""
    s3, code = ministack.client("s3", url), io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    return None\n")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="key", Body=code.getvalue())  # where the translated template has its code
    s3.put_object(Bucket="bucket", Key="template.json", Body=json.dumps(translated()))
    return f"{url}/bucket/template.json"
