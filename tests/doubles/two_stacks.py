"""Two stacks that know one provider: everything is in the one, nothing in the other; and the commands between them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from cli import operator
from cli.archive.age import read
from cli.archive.keys import PrivateKey
from cli.archive.lines import lines_of
from cli.main import cli
from cli.stack import Stack
from grantkeeper.model import ApiKey, Avatar
from grantkeeper.services.refresh import refresh
from grantkeeper.services.refresh_run import Cause, Run
from tests.doubles.aws import memory_wiring
from tests.doubles.connect_world import ALICE, BOB, ConnectWorld
from tests.doubles.kms import InMemoryKms
from tests.doubles.provider import Account

IDENTITY = "AGE-SECRET-KEY-1HHGUS9EZK3TWJV2SX8DQLRNLZVQXMJYHFRXLQXND2DS2VWGA8MRSJD2F2P"
OTHER_KEY = "arn:aws:kms:eu-west-1:111122223333:key/11111111-0000-4000-8000-000000000000"
STRICT = {"rotation": "always", "previous_refresh_token": "revoked"}
LASTING = {"rotation": "none", "previous_refresh_token": "valid"}


@dataclass
class Stacks:
    """`source` has three users, three connections, two clients, a key; `target` is new, with a VaultKey of its own."""

    world: ConnectWorld
    target: Any
    folder: Path
    connections: list[str] = field(default_factory=list)

    @property
    def source(self) -> Any:
        return self.world.wiring

    @property
    def file(self) -> Path:
        return self.folder / "archive.age"

    def run(self, stack: str, *arguments: str, ok: bool = True) -> Any:
        done = CliRunner(mix_stderr=False).invoke(cli, ["--stack", stack, *arguments])
        assert (done.exit_code == 0) is ok, (done.output, done.stderr, done.exception)
        return done

    @property
    def recipient(self) -> str:
        return PrivateKey.parse(IDENTITY).public

    def export(self, *options: str) -> dict[str, Any]:
        done = self.run("source", "export", str(self.file), "--recipient", self.recipient, "--json", *options)
        return json.loads(done.stdout)

    def import_(self, *options: str) -> dict[str, Any]:
        key = self.folder / "key.txt"
        key.write_text(f"# made for a test\n{IDENTITY}\n")
        done = self.run("target", "import", str(self.file), "--identity", str(key), "--json", *options)
        return json.loads(done.stdout)

    def records(self) -> list[dict[str, Any]]:
        with self.file.open("rb") as source:
            return list(lines_of(read(source, [PrivateKey.parse(IDENTITY)])))

    def refresh(self, wiring: Any, connection_id: str) -> Any:
        """One pass of the protocol, long after the token was fresh."""
        run = Run(clock=lambda: self.world.now, sleep=lambda _: None, remaining_ms=lambda: 20_000)
        grant = wiring.grants.get(connection_id)
        return refresh(grant, cause=Cause("sweep", "system"), ports=wiring, run=run).grant


def new_stack(provider: Any) -> Any:
    """Tables, a VaultKey and nothing else."""
    wiring = memory_wiring(VAULT_KEY_ARN=OTHER_KEY, PARAMETER_PREFIX="/target", ISSUER="https://target.example.com")
    wiring.aws.__dict__["kms"] = InMemoryKms(OTHER_KEY)
    wiring.__dict__["provider_http"] = provider
    return wiring


def made(monkeypatch: Any, folder: Path, *, rule: dict[str, Any]) -> Stacks:
    world = ConnectWorld(refresh=rule)
    world.provider.rotation = rule["rotation"]
    world.provider.previous_refresh_token = rule["previous_refresh_token"]
    stacks = Stacks(world, new_stack(world.provider), folder)
    ids = [
        world.connect(ALICE).id,
        world.connect(ALICE, account=Account("alice-work")).id,
        world.connect(BOB, account=Account("bob")).id,
    ]
    stacks.connections = ids
    key = ApiKey("key1", "hash-of-a-secret", ("connections:token",), world.now, world.now + 1000, client_id="app")
    world.wiring.api_keys.put(key, audit=world.event("api_key.created"))
    picture = Avatar("example", world.now, "image/png", "digest", b"\x89PNG\x00\xff")
    world.wiring.avatars.put_for_user("usr_bob", picture, audit=world.event("avatar.changed"))
    world.wiring.consents.withdraw("usr_bob", "app", ids[2], now=world.now, audit=world.event("consent.withdrawn"))
    wirings = {"source": world.wiring, "target": stacks.target}
    monkeypatch.setattr(Stack, "wiring", property(lambda stack: wirings[stack.name]))
    monkeypatch.setattr(operator, "now", lambda: world.now)
    return stacks
