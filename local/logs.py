"""
What the functions of the local run logged, oldest first.

    python -m local.logs [FUNCTION]     e.g. python -m local.logs refresh
"""

from __future__ import annotations

import json
import sys
import time

from local import aws
from local.run import STATE


def main(wanted: str = "") -> int:
    """Print the log events of every function whose name begins with `wanted`; returns 1 when no stack is up."""
    try:
        stack = json.loads((STATE / "stack.json").read_text())
    except FileNotFoundError:
        print("No local run is up: start one with `make run`.", file=sys.stderr)
        return 1
    logs = aws.client("logs", stack["aws_endpoint_url"])
    for group in sorted(group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]):
        name = group.rpartition("/")[2].removesuffix("Logs")
        if not name.lower().startswith(wanted.lower()):
            continue
        for event in logs.filter_log_events(logGroupName=group)["events"]:
            moment = time.strftime("%H:%M:%S", time.localtime(event["timestamp"] / 1000))
            print(f"{moment} {name:<16} {event['message'].rstrip()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
