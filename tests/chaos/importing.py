"""
Lives of an import: this process forks them and one after the other is killed, until one comes to the end.

    python -m tests.chaos.importing < plan.json > lives.json

A life dies by SIGKILL, either at a call to DynamoDB that the plan names, before it is sent or when it was answered and
nobody has heard of it yet, or after some milliseconds, wherever it is then.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
from types import SimpleNamespace
from typing import Any

from cli.archive import import_command, journal
from cli.main import cli
from cli.stack import Stack
from tests.doubles.aws import InMemoryEvents, InMemorySsm, memory_wiring
from tests.doubles.kms import InMemoryKms
from tests.doubles.sqs import InMemorySqs
from tests.support import dynamodb


class Dying:
    """A DynamoDB client that ends its process at its n-th call."""

    def __init__(self, client: Any, *, at: int, after: bool) -> None:
        self._client, self._at, self._after = client, at, after
        self._calls = itertools.count(1)  # one number for one call, whichever thread makes it

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if not callable(method):
            return method

        def call(**request: Any) -> Any:
            number = next(self._calls)
            if number == self._at and not self._after:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = method(**request)
            if number == self._at:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return call


def wiring_of(plan: dict[str, Any], client: Any) -> Any:
    """The target stack: its tables are real, its VaultKey is the same in every life."""
    kms = InMemoryKms(plan["env"]["VAULT_KEY_ARN"])
    kms._keys[plan["env"]["VAULT_KEY_ARN"]].materials = [bytes.fromhex(plan["key_material"])]
    aws = SimpleNamespace(dynamodb=client, kms=kms, ssm=InMemorySsm(), sqs=InMemorySqs(), events=InMemoryEvents())
    return memory_wiring(aws=aws, **plan["env"])


def live(plan: dict[str, Any], death: dict[str, Any]) -> None:
    """One life, in a process of its own."""
    journal.EVERY = import_command.EVERY = plan["every"]
    client = dynamodb.client(plan["env"]["AWS_ENDPOINT_URL"])
    mortal = Dying(client, at=death.get("at", -1), after=death.get("after", False))
    wiring = wiring_of(plan, mortal)
    Stack.wiring = property(lambda _: wiring)  # type: ignore[assignment, method-assign]
    cli.main(["--stack", "target", "import", plan["file"], "--identity", plan["identity"], "--json"])


def main() -> None:
    """Live as often as it takes; tells of each life how it ended."""
    plan = json.load(sys.stdin)
    lives = []
    for death in plan["deaths"]:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(write, 1)
            os.close(read)
            live(plan, death)  # leaves by SystemExit
        os.close(write)
        if "after_ms" in death:
            time.sleep(death["after_ms"] / 1000)
            os.kill(child, signal.SIGKILL)  # a zombie may be killed as well: nobody has waited for it
        _, status = os.waitpid(child, 0)
        with os.fdopen(read) as pipe:
            said = pipe.read()
        lives.append({"code": os.waitstatus_to_exitcode(status), "said": said})
        if lives[-1]["code"] == 0:
            break
    json.dump(lives, sys.stdout)


if __name__ == "__main__":
    main()
