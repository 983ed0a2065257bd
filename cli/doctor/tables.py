"""The three tables: are they there, protected, backed up, streamed, indexed and encrypted as they must be?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from cli.doctor.findings import Family, Finding, failing, ok, skipped, warning
from cli.doctor.mends import index_again
from cli.doctor.patient import Patient

# name → partition key, sort key, what it holds of an item
Indexes = Mapping[str, tuple[str, str, str]]
OF_THE_EMULATOR = "The emulator does not take it from the template."


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one table must be."""

    output: str
    indexes: Indexes
    kept: bool  # backed up and streamed; Requests is neither, or a restore would revive sessions


TABLES: Sequence[Wanted] = (
    Wanted(
        "GrantsTableName",
        {"due": ("due_shard", "due_at", "INCLUDE"), "list": ("list_pk", "list_sk", "ALL")},
        kept=True,
    ),
    Wanted("RequestsTableName", {}, kept=False),
    Wanted(
        "AuditTableName",
        {"day": ("day_pk", "day_sk", "ALL"), "actor": ("actor_pk", "actor_sk", "KEYS_ONLY")},
        kept=True,
    ),
)


def tables(patient: Patient) -> Iterator[Finding]:
    """Each table as DescribeTable has it."""
    for wanted in TABLES:
        name, about = patient.outputs[wanted.output], wanted.output.removesuffix("TableName")
        try:
            table = patient.client("dynamodb").describe_table(TableName=name)["Table"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            yield failing("tables.exists", f"There is no table {name}.", mend=_restored(wanted, name), about=about)
            continue
        yield from _described(table, wanted, patient=patient, about=about)


def _restored(wanted: Wanted, name: str) -> str:
    """A table with backups comes back from them, without the stream, TTL and backups it had."""
    if not wanted.kept:
        return "Nothing of it is backed up, on purpose: a new empty table is its restore (docs/backup-and-restore.md)."
    restore = "aws dynamodb restore-table-to-point-in-time --use-latest-restorable-time"
    names = f"--source-table-name {name} --target-table-name {name}"
    return f"{restore} {names}  # then docs/backup-and-restore.md, and the doctor again"


def _described(table: Mapping[str, Any], wanted: Wanted, *, patient: Patient, about: str) -> Iterator[Finding]:
    name, status = table["TableName"], table["TableStatus"]
    if status == "ACTIVE":
        yield ok("tables.exists", f"{name} is active.", about=about)
    else:
        yield failing("tables.exists", f"{name} is {status}.", mend="Wait, and run it again.", about=about)
    yield _indexes(table, wanted, about=about)
    if wanted.kept:
        yield _stream(table, about=about)
    yield _encryption(table, patient=patient, about=about)
    if table.get("DeletionProtectionEnabled"):
        yield ok("tables.deletion_protection", "Nobody deletes it by accident.", about=about)
    elif patient.local or patient.parameters.get("DeletionProtection") == "false":
        yield skipped("tables.deletion_protection", "Off, as the stack's parameter says.", about=about)
    else:
        mend = f"aws dynamodb update-table --table-name {name} --deletion-protection-enabled"
        yield failing("tables.deletion_protection", "Whoever asks may delete it.", mend=mend, about=about)


def _indexes(table: Mapping[str, Any], wanted: Wanted, *, about: str) -> Finding:
    found = {}
    for index in table.get("GlobalSecondaryIndexes", []):
        keys = {key["KeyType"]: key["AttributeName"] for key in index["KeySchema"]}
        found[index["IndexName"]] = (keys["HASH"], keys.get("RANGE", ""), index["Projection"]["ProjectionType"])
    other = sorted(name for name, facts in wanted.indexes.items() if found.get(name) != facts)
    if other:
        hash_key, range_key, projection = wanted.indexes[other[0]]
        mend = index_again(
            table["TableName"], other[0], keys=(hash_key, range_key), projection=projection, exists=other[0] in found
        )
        return failing("tables.indexes", f"Missing or of another shape: {', '.join(other)}.", mend=mend, about=about)
    return ok("tables.indexes", ", ".join(wanted.indexes) or "None, as it should be.", about=about)


def _stream(table: Mapping[str, Any], *, about: str) -> Finding:
    specification = table.get("StreamSpecification", {})
    if specification.get("StreamEnabled") and specification.get("StreamViewType") == "NEW_AND_OLD_IMAGES":
        return ok("tables.stream", "Old and new images.", about=about)
    mend = (
        f"aws dynamodb update-table --table-name {table['TableName']} "
        "--stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES"
    )
    return failing("tables.stream", "No stream: nothing is counted, told or watched for tampering.", mend=mend,
                   about=about)  # fmt: skip


def _encryption(table: Mapping[str, Any], *, patient: Patient, about: str) -> Finding:
    sse, wanted = table.get("SSEDescription", {}), patient.outputs["TableKeyArn"]
    if sse.get("KMSMasterKeyArn", "").endswith(wanted.rpartition("/")[2]):
        return ok("tables.encryption", "Under the stack's TableKey.", about=about)
    if patient.local and not sse:
        return skipped("tables.encryption", OF_THE_EMULATOR, about=about)
    mend = (
        f"aws dynamodb update-table --table-name {table['TableName']} "
        f"--sse-specification Enabled=true,SSEType=KMS,KMSMasterKeyId={wanted}"
    )
    return failing("tables.encryption", "It is not encrypted under the stack's TableKey.", mend=mend, about=about)


def recovery(patient: Patient) -> Iterator[Finding]:
    """Point-in-time recovery where it must be, and none where it must not."""
    for wanted in TABLES:
        name, about = patient.outputs[wanted.output], wanted.output.removesuffix("TableName")
        answer = patient.client("dynamodb").describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        on = answer.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") == "ENABLED"
        command = f"aws dynamodb update-continuous-backups --table-name {name} --point-in-time-recovery-specification"
        if on and not wanted.kept:
            told = "It is backed up: restoring it would revive sessions that were revoked."
            mend = f"{command} PointInTimeRecoveryEnabled=false"
            yield warning("tables.recovery", told, mend=mend, about=about)
        elif wanted.kept and not on and patient.local:
            yield skipped("tables.recovery", OF_THE_EMULATOR, about=about)
        elif wanted.kept and not on:
            mend = f"{command} PointInTimeRecoveryEnabled=true"
            yield failing("tables.recovery", "No point-in-time recovery.", mend=mend, about=about)
        else:
            yield ok("tables.recovery", "On." if on else "Off, as it must be.", about=about)


def expiry(patient: Patient) -> Iterator[Finding]:
    """TTL: nothing relies on it, but what is dead costs money and stays readable."""
    for wanted in TABLES:
        name, about = patient.outputs[wanted.output], wanted.output.removesuffix("TableName")
        ttl = patient.client("dynamodb").describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        if ttl.get("TimeToLiveStatus") in ("ENABLED", "ENABLING") and ttl.get("AttributeName") == "ttl":
            yield ok("tables.ttl", "On `ttl`.", about=about)
        elif patient.local:
            yield skipped("tables.ttl", OF_THE_EMULATOR, about=about)
        else:
            specification = "Enabled=true,AttributeName=ttl"
            mend = f"aws dynamodb update-time-to-live --table-name {name} --time-to-live-specification {specification}"
            yield warning("tables.ttl", "What has expired is never removed.", mend=mend, about=about)


FAMILY = Family("tables", (tables, recovery, expiry))
