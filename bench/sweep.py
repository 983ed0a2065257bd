"""
The refresh of what is due: how fast one worker is, what one refresh costs, and how a tick of the sweep grows.

    python -m bench.sweep [--rounds 7] [--held 1000,100000] [--only rate,cost,tick] [--strict] [--record]

Rates come from the real worker (`functions/refresh`, batch_handler) over a stand-in for DynamoDB with its real client,
and a provider that takes 50 ms; write and read units from DynamoDB Local. See bench/README.md for how to read it.
"""

from __future__ import annotations

import argparse
import sys

from bench.price import price
from bench.rate import rate
from bench.report import Report
from bench.tick import tick

HELD = "1000,100000"
PARTS = ("rate", "cost", "tick")


def main(arguments: list[str] | None = None) -> int:
    """Run the parts asked for; exit 1 only with --strict and a target missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--held", default=HELD, help="rows held; 1000000 takes some eight minutes to load")
    parser.add_argument("--only", default=",".join(PARTS), help="rate, cost, tick")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    parser.add_argument("--record", action="store_true", help="keep what `grantkeeper cost` goes by")
    options = parser.parse_args(arguments)

    report, parts = Report("sweep"), options.only.split(",")
    if "rate" in parts:
        rate(report, rounds=options.rounds)
    if "cost" in parts:
        price(report, record=options.record)
    if "tick" in parts:
        tick(report, held=[int(count) for count in options.held.split(",")])
    return report.finish(strict=options.strict)


if __name__ == "__main__":
    sys.exit(main())
