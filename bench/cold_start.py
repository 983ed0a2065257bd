"""
Cold start of every function, as ratios within one interleaved run.

    python -m bench.cold_start [--rounds 15] [--functions authorize,refresh] [--json FILE]

Every round starts, in shuffled order, each function with the built layer, a
reference that makes `boto3.client("dynamodb")` and nothing else (stock boto3,
with .pyc), and one that imports everything a first draft would. Milliseconds
are this machine's; the ratio to the reference is what carries over.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import rie

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / ".aws-sam" / "build"
TARGETS = {"authorize": 1.0, "refresh": 1.0, "sweeper": 1.0, "callback": 1.2}

BARE = "def handler(event, context): return {}\n"
REFERENCE = 'import boto3\nclient = boto3.client("dynamodb")\ndef handler(event, context): return {}\n'
EVERYTHING = """
import boto3, httpx2, pydantic, authlib.integrations.httpx_client, joserfc.jwt
import cryptography.hazmat.primitives.ciphers.aead
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
app = APIGatewayHttpResolver(enable_validation=True)
tracer, logger, metrics = Tracer(service="bench"), Logger(service="bench"), Metrics(namespace="bench", service="bench")
clients = [boto3.client(name) for name in ("dynamodb", "kms", "sqs", "ssm")]
http = httpx2.Client()
def handler(event, context): return {}
"""

ENV = {
    "GRANTS_TABLE": "grants",
    "REQUESTS_TABLE": "requests",
    "AUDIT_TABLE": "audit",
    "VAULT_KEY_ARN": "arn:aws:kms:eu-west-1:000000000000:key/00000000-0000-0000-0000-000000000000",
    "WORK_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/000000000000/work",
    "RESCUE_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/000000000000/rescue",
    "EVENT_BUS_NAME": "grantkeeper",
    "ISSUER": "https://auth.example.com",
    "PARAMETER_PREFIX": "/grantkeeper",
    "POWERTOOLS_SERVICE_NAME": "bench",
    "POWERTOOLS_METRICS_NAMESPACE": "bench",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing to start: a folder with `app.handler` and what stands on its path."""

    name: str
    folder: Path
    path: list[Path]
    handler: str = "app.handler"


def main(arguments: list[str] | None = None) -> int:
    """Run the bench; exit 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--functions", default="", help="comma-separated; default all")
    parser.add_argument("--json", type=Path, default=None, help="write the table here as well")
    options = parser.parse_args(arguments)

    with tempfile.TemporaryDirectory(prefix="grantkeeper-bench-") as scratch:
        subjects = prepare(Path(scratch), only=set(filter(None, options.functions.split(","))))
        figures = run(subjects, rounds=options.rounds)
    rows = table(figures)
    print(render(rows))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    return 0 if all(row["met"] is not False for row in rows) else 1


def prepare(scratch: Path, *, only: set[str]) -> list[Subject]:
    """Lay out the runtime client, a stock reference layer and the built functions."""
    layer = BUILD / "CommonLayer" / "python"
    build()
    runtime = scratch / "runtime"
    _install(runtime, ["awslambdaric"])
    stock = scratch / "stock"
    _install(stock, ["-r", str(ROOT / "layers" / "common" / "requirements.txt")])
    _install(stock, ["aws-xray-sdk"])

    subjects = []
    for name, source in (("bare", BARE), ("boto3 client", REFERENCE), ("everything", EVERYTHING)):
        folder = scratch / name.replace(" ", "-")
        folder.mkdir()
        (folder / "app.py").write_text(source)
        subjects.append(Subject(name, folder, [stock, runtime]))
    for app in sorted((ROOT / "functions").glob("*/app.py")):
        if only and app.parent.name not in only:
            continue
        folder = scratch / f"function-{app.parent.name}"
        shutil.copytree(app.parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
        subjects.append(Subject(app.parent.name, folder, [layer, runtime]))
    return subjects


def build() -> None:
    """`sam build` for this machine, as `make run` does it: nothing when nothing changed."""
    from local import aws
    from local.children import Children

    children = Children(Path(tempfile.mkdtemp(prefix="grantkeeper-bench-logs-")))
    try:
        aws.build(children, url="")
    finally:
        children.stop()


def _install(target: Path, packages: list[str]) -> None:
    """Install with the locked versions and compile as the layer does."""
    locked = ["-c", str(ROOT / "requirements-dev.txt")] if packages[0] != "-r" else []
    python = str(rie.bare_python())
    subprocess.run(
        ["uv", "pip", "install", "-q", "--python", python, "--target", str(target), *locked, *packages], check=True
    )
    compile_all = [python, "-m", "compileall", "-q", "-j", "2", "--invalidation-mode", "unchecked-hash", str(target)]
    subprocess.run(compile_all, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def run(subjects: list[Subject], *, rounds: int) -> dict[str, list[float]]:
    """One uncounted round to warm the page cache, then `rounds` shuffled ones."""
    figures: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    order = list(subjects)
    for number in range(rounds + 1):
        random.shuffle(order)
        for subject in order:
            init = rie.measure_init(
                folder=subject.folder,
                handler=subject.handler,
                python=rie.bare_python(),
                path=subject.path,
                env=ENV,
            )
            if number:
                figures[subject.name].append(init)
        print(f"\rround {number}/{rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return figures


def table(figures: dict[str, list[float]]) -> list[dict[str, object]]:
    """Median, minimum and ratio to the reference, per subject; `met` only where there is a target."""
    reference = statistics.median(figures["boto3 client"])
    rows: list[dict[str, object]] = []
    for name, values in figures.items():
        ratio = statistics.median(values) / reference
        target = TARGETS.get(name)
        rows.append(
            {
                "function": name,
                "median_ms": round(statistics.median(values), 1),
                "min_ms": round(min(values), 1),
                "ratio": round(ratio, 2),
                "target": target,
                "met": None if target is None else ratio <= target,
            }
        )
    return rows


def render(rows: list[dict[str, object]]) -> str:
    """The table as Markdown."""
    lines = ["| function | median ms | min ms | × boto3 client | target |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        verdict = "" if row["target"] is None else f"≤ {row['target']} {'met' if row['met'] else 'MISSED'}"
        lines.append(f"| {row['function']} | {row['median_ms']} | {row['min_ms']} | {row['ratio']} | {verdict} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
