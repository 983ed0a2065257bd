"""
The token call against a bare GetItem of the same item, processor time in one interleaved run.

    python -m bench.token_read [--rounds 41] [--strict]

The call is the whole handler of `functions/refresh` with an API key, warm caches and a fresh grant: authenticate, one
consistent GetItem, open, read, one log line. The yardstick is botocore's client as it comes.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import botocore.session

from bench import servers
from bench.report import Report, median, spread
from bench.world import BenchWorld, token_event
from grantkeeper.model import Binding
from grantkeeper.stores import keys
from grantkeeper.stores.table import key_item
from tests.support.functions import CONTEXT

CALLS = 20  # of one subject in a row
REFERENCE = "bare GetItem"
WHOLE = "token call"
TARGET = 1.25

Subjects = dict[str, Callable[[], Any]]


def subjects_of(world: BenchWorld, table_url: str) -> Subjects:
    """The whole call, its parts, and the yardstick."""
    [grant] = world.load(1, due=False)
    module, key = world.function("refresh"), key_item(keys.grant(grant.connection_id, "main"))
    event = token_event(grant.connection_id, world.api_key())
    bare: Any = botocore.session.Session().create_client("dynamodb", region_name="us-east-1", endpoint_url=table_url)
    read = {"TableName": world.grants_table, "Key": key, "ConsistentRead": True}
    wiring, binding = module.app_wiring, Binding.of(grant)

    def call() -> Any:
        answer = module.handler(event, CONTEXT)
        if answer["statusCode"] != 200:
            raise RuntimeError(answer["body"])
        return answer

    def log() -> None:
        module.logger.info("token handed out", extra={"connection_id": grant.connection_id, "generation": 7})

    return {
        WHOLE: call,
        REFERENCE: lambda: bare.get_item(**read),
        "  GetItem by our client": lambda: wiring.aws.dynamodb.get_item(**read),
        "  grants.get": lambda: wiring.grants.get(grant.connection_id),
        "  open": lambda: wiring.vault.open(grant.sealed, binding=binding),
        "  log line": log,
    }


def measure(subjects: Subjects, *, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of the processor per call, a figure a round; the first round does not count."""
    figures: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(rounds + 1):
        for name in random.sample(list(subjects), len(subjects)):
            started = time.process_time()
            for _ in range(CALLS):
                subjects[name]()
            if number:
                figures[name].append((time.process_time() - started) / CALLS * 1000)
    return figures


def ratios(figures: dict[str, list[float]], name: str) -> list[float]:
    """Round by round against the yardstick of the same round, which shares its noise."""
    return [each / reference for each, reference in zip(figures[name], figures[REFERENCE], strict=True)]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What is logged is written, to nowhere."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123 - a device
        yield


def main(arguments: list[str] | None = None) -> int:
    """Run the bench; exit 1 only with --strict and a target missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    options = parser.parse_args(arguments)

    report = Report("token_read")
    with servers.running() as running:
        table_url = running.dynamodb_local()
        world = BenchWorld(table_url, provider_url="http://127.0.0.1:9")
        with _quiet():
            subjects = subjects_of(world, table_url)
            gc.collect()
            gc.freeze()  # as `warm_up` does where the function runs
            before = world.kms_calls
            figures = measure(subjects, rounds=options.rounds)
            kms = world.kms_calls - before
    report.table(
        "The token call, processor time",
        ("what", "ms each", "least", "× bare GetItem", "noise"),
        [
            (name, median(own), min(own), median(ratios(figures, name)), f"± {spread(ratios(figures, name)):.0%}")
            for name, own in figures.items()
        ],
        note=f"{options.rounds} rounds of {CALLS} calls each in shuffled order, DynamoDB Local; {kms} KMS calls.",
    )
    report.target("token call × bare GetItem, warm keys", median(ratios(figures, WHOLE)), TARGET)
    return report.finish(strict=options.strict)


if __name__ == "__main__":
    sys.exit(main())
