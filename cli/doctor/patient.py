"""The stack as the doctor meets it: its outputs, its resources, and clients with short deadlines."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import botocore.config
import botocore.session

from cli.stack import Stack

if TYPE_CHECKING:
    from grantkeeper.wiring import Wiring

CONNECT_TIMEOUT, READ_TIMEOUT, ATTEMPTS = 2, 5, 2  # seconds, seconds; of one call
MOST_PAGES = 50


@cache
def _session() -> Any:
    """One for all clients: it reads what describes a service once."""
    return botocore.session.Session()


class Patient:
    """A deployed stack, read through AWS's own API. Everything is read once, at first use, by whichever thread."""

    def __init__(self, stack: Stack, *, now: int) -> None:
        """Args: now: epoch seconds."""
        self.stack = stack
        self.now = now
        self._lock = threading.RLock()
        self._clients: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """The stack's name."""
        return self.stack.name

    @cached_property
    def env(self) -> Mapping[str, str]:
        """The functions' variables; raises what `Stack.environment` raises."""
        return self.stack.environment()

    @cached_property
    def wiring(self) -> Wiring:
        """The product's own stores."""
        return self.stack.wiring

    @property
    def local(self) -> bool:
        """True on the emulator, which leaves out some of what the template says."""
        return self.parameters.get("LocalRun") == "1"

    @cached_property
    def described(self) -> Mapping[str, Any]:
        """The answer of DescribeStacks, whole."""
        answer: Mapping[str, Any] = self.client("cloudformation").describe_stacks(StackName=self.name)
        return answer

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs."""
        return {each["OutputKey"]: each["OutputValue"] for each in self.described["Stacks"][0].get("Outputs", [])}

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The stack's parameters, as deployed."""
        return {
            each["ParameterKey"]: each.get("ParameterValue", "")
            for each in self.described["Stacks"][0].get("Parameters", [])
        }

    @cached_property
    def resources(self) -> Mapping[str, tuple[str, str]]:
        """Logical id → (type, physical id)."""
        found = self.pages("cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=self.name)
        return {each["LogicalResourceId"]: (each["ResourceType"], each.get("PhysicalResourceId", "")) for each in found}

    def of_type(self, kind: str) -> Mapping[str, str]:
        """Logical id → physical id of the resources of a CloudFormation type."""
        return {logical: physical for logical, (type_, physical) in self.resources.items() if type_ == kind}

    def physical(self, logical: str) -> str | None:
        """The physical id behind a logical one, if the stack has it."""
        return self.resources[logical][1] if logical in self.resources else None

    def client(self, service: str) -> Any:
        """A client of an AWS service, the same for all checks."""
        with self._lock:
            if service not in self._clients:
                env = self.stack.credentials_environment()
                config = botocore.config.Config(
                    connect_timeout=CONNECT_TIMEOUT,
                    read_timeout=READ_TIMEOUT,
                    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                )
                self._clients[service] = _session().create_client(
                    service,
                    region_name=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION"),
                    endpoint_url=env.get("AWS_ENDPOINT_URL"),
                    config=config,
                )
            return self._clients[service]

    def pages(self, service: str, operation: str, key: str, **request: Any) -> Iterator[Mapping[str, Any]]:
        """Items of a paginated call, at most 50 pages of them."""
        paginator = self.client(service).get_paginator(operation)
        for at, page in enumerate(paginator.paginate(**request)):
            if at == MOST_PAGES:
                return
            yield from page.get(key, [])

    def command(self, words: str) -> str:
        """A command of ours for this stack, ready to be pasted."""
        if self.stack.local:
            return f"grantkeeper --local {words}"
        return f"grantkeeper {words}" if self.name == "grantkeeper" else f"grantkeeper --stack {self.name} {words}"

    def deploy(self, *overrides: str) -> str:
        """The command that deploys the template of this version, perhaps with other parameters."""
        changed = f" --parameter-overrides {' '.join(overrides)}" if overrides else ""
        return f"sam build && sam deploy --stack-name {self.name}{changed}"
