"""From a stack's name to the wiring of the product: the CLI goes the same way as the functions."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cli.errors import sentence
from grantkeeper.errors import GrantkeeperError
from grantkeeper.wiring import Wiring, from_environment

LOCAL_STACK = Path(".local") / "stack.json"
LOCAL_STACK_VARIABLE = "GRANTKEEPER_LOCAL_STACK"  # another place for it

# CloudFormation output → environment variable of the functions
OUTPUTS = {
    "GrantsTableName": "GRANTS_TABLE",
    "RequestsTableName": "REQUESTS_TABLE",
    "AuditTableName": "AUDIT_TABLE",
    "VaultKeyArn": "VAULT_KEY_ARN",
    "TableKeyArn": "TABLE_KEY_ARN",
    "WorkQueueUrl": "WORK_QUEUE_URL",
    "RescueQueueUrl": "RESCUE_QUEUE_URL",
    "DeadLetterQueueUrl": "DEAD_LETTER_QUEUE_URL",
    "RescueDeadLetterQueueUrl": "RESCUE_DEAD_LETTER_QUEUE_URL",
    "EventBusName": "EVENT_BUS_NAME",
    "PublicUrl": "ISSUER",
    "ParameterPrefix": "PARAMETER_PREFIX",
    "DueShards": "DUE_SHARDS",
    "AuditRetentionDays": "AUDIT_RETENTION_DAYS",
}
OPTIONAL = frozenset({"DueShards", "AuditRetentionDays", "DeadLetterQueueUrl", "RescueDeadLetterQueueUrl"})


@dataclass(slots=True)
class Stack:
    """A deployed stack as the operator addresses it; nothing is read before it is needed."""

    name: str
    local: bool = False
    _wiring: Wiring | None = None

    @property
    def wiring(self) -> Wiring:
        """The product's own wiring over this stack's tables, with the operator's AWS credentials."""
        if self._wiring is None:
            self._wiring = from_environment(self.environment())
        return self._wiring

    def environment(self) -> dict[str, str]:
        """
        The functions' variables, read from the stack's outputs.

        Raises:
            click.ClickException: There is no such stack, or it lacks an output.
        """
        env = self.credentials_environment()
        outputs = self.outputs(env)
        missing = sorted(set(OUTPUTS) - set(outputs) - OPTIONAL)
        if missing:
            told = f"The stack {self.name} has no output {missing[0]}: is it a Grantkeeper stack, and of this version?"
            raise click.ClickException(told)
        return env | {variable: outputs[name] for name, variable in OUTPUTS.items() if name in outputs}

    def credentials_environment(self) -> dict[str, str]:
        """
        What AWS clients are made from: our environment, with the local run's endpoint and keys if it is that stack.

        Raises:
            click.ClickException: No local stack is running.
        """
        if self.local:
            os.environ.update(local_environment())  # credentials are botocore's own to find, and there only
        return dict(os.environ)

    def outputs(self, env: dict[str, str]) -> dict[str, str]:
        """The stack's CloudFormation outputs."""
        import botocore.exceptions
        import botocore.session

        region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
        try:
            client: Any = botocore.session.get_session().create_client(
                "cloudformation", region_name=region, endpoint_url=env.get("AWS_ENDPOINT_URL")
            )
            stack: dict[str, Any] = client.describe_stacks(StackName=self.name)["Stacks"][0]
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise click.ClickException(sentence(error, stack=self.name, local=self.local)) from None
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def local_environment() -> dict[str, str]:
    """Endpoint and dummy credentials of the local run, from the file `make run` writes."""
    try:
        stack = json.loads(Path(os.environ.get(LOCAL_STACK_VARIABLE, LOCAL_STACK)).read_text())
    except FileNotFoundError:
        raise click.ClickException("No local stack is running: start one with `make run`.") from None
    return {
        "AWS_ENDPOINT_URL": stack["aws_endpoint_url"],
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": stack.get("region", "us-east-1"),
        "AWS_DEFAULT_REGION": stack.get("region", "us-east-1"),
        "LOCAL_RUN": "1",
    }


def explain(error: GrantkeeperError) -> click.ClickException:
    """A domain error as the CLI shows it: its title, its sentence, the field if there is one."""
    field = error.extensions.get("field") or error.extensions.get("parameter")
    where = f" ({field})" if field else ""
    return click.ClickException(f"{error.title}{where}: {error.detail}" if error.detail else error.title)
