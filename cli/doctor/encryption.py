"""The two KMS keys, enabled, rotating and closed; our own signing and branch keys, present and of an age."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from cli.doctor.deployment import template
from cli.doctor.findings import Family, Finding, failing, ok, warning
from cli.doctor.patient import Patient

NEEDED_OF_VAULT = ("NotThroughAwsServices", "NotWithoutPurpose")
DAY = 86_400


def kms_keys(patient: Patient) -> Iterator[Finding]:
    """Whether the keys answer, and whether AWS rotates what is under them."""
    kms = patient.client("kms")
    for about in ("TableKey", "VaultKey"):
        arn = patient.outputs[f"{about}Arn"]
        state = kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]
        if state == "PendingDeletion":
            mend = f"aws kms cancel-key-deletion --key-id {arn} && aws kms enable-key --key-id {arn}"
            found = "It is about to be deleted, and everything under it with it."
            yield failing("keys.state", found, mend=mend, about=about)
            continue
        if state != "Enabled":
            mend = f"aws kms enable-key --key-id {arn}"
            yield failing("keys.state", f"It is {state}.", mend=mend, about=about)
            continue
        yield ok("keys.state", "Enabled.", about=about)
        if kms.get_key_rotation_status(KeyId=arn).get("KeyRotationEnabled"):
            yield ok("keys.rotation", "AWS rotates its material every year.", about=about)
        else:
            mend = f"aws kms enable-key-rotation --key-id {arn}"
            yield warning("keys.rotation", "AWS does not rotate its material.", mend=mend, about=about)


def key_policies(patient: Patient) -> Iterator[Finding]:
    """Whether somebody opened a key's policy, or gave a grant on the vault's."""
    kms = patient.client("kms")
    for about in ("TableKey", "VaultKey"):
        arn = patient.outputs[f"{about}Arn"]
        policy = json.loads(kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
        strangers = sorted(set(_strangers(policy, account=arn.split(":")[4], logs=about == "TableKey")))
        sids = {each.get("Sid") for each in _statements(policy) if each.get("Effect") == "Deny"}
        missing = [sid for sid in NEEDED_OF_VAULT if about == "VaultKey" and sid not in sids]
        if strangers:
            told = f"Its policy names {', '.join(strangers)}; IAM of this account alone should decide."
            yield failing("keys.policy", told, mend=_restored(patient, about), about=about)
        if missing:
            told = f"Its policy lacks the denials {', '.join(missing)}."
            yield failing("keys.policy", told, mend=_restored(patient, about), about=about)
        if not strangers and not missing:
            yield ok("keys.policy", "IAM of this account decides, within the template's denials.", about=about)
    vault = patient.outputs["VaultKeyArn"]
    if grants := kms.list_grants(KeyId=vault, Limit=10).get("Grants", []):
        mend = f"aws kms revoke-grant --key-id {vault} --grant-id {grants[0]['GrantId']}"
        told = f"{len(grants)} grants stand beside its policy; nothing of ours makes any."
        yield warning("keys.grants", told, mend=mend, about="VaultKey")


def _restored(patient: Patient, about: str) -> str:
    """The command that puts the template's own policy back: a deployment does not undo what it did not do."""
    arn = patient.outputs[f"{about}Arn"]
    _, partition, _, region, account, _ = arn.split(":", 5)
    policy = json.dumps(template()["Resources"][about]["Properties"]["KeyPolicy"], separators=(",", ":"))
    for name, value in (
        ("Partition", partition),
        ("Region", region),
        ("AccountId", account),
        ("StackName", patient.name),
        ("URLSuffix", "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"),
    ):
        policy = policy.replace(f"${{AWS::{name}}}", value)
    return f"aws kms put-key-policy --key-id {arn} --policy-name default --policy {shlex.quote(policy)}"


def _statements(policy: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = policy.get("Statement", [])
    return found if isinstance(found, list) else [found]


def _strangers(policy: Mapping[str, Any], *, account: str, logs: bool) -> Iterator[str]:
    """Principals that a policy allows something beside the account itself, and CloudWatch Logs under a condition."""
    for statement in _statements(policy):
        principals = statement.get("Principal", {})
        if statement.get("Effect") != "Allow":
            continue
        for kind, names in ({"*": principals} if isinstance(principals, str) else principals).items():
            for name in [names] if isinstance(names, str) else names:
                itself = kind == "AWS" and (name == account or name.endswith(f"::{account}:root"))
                writes_logs = logs and kind == "Service" and name.startswith("logs.") and "Condition" in statement
                if not itself and not writes_logs:
                    yield "everybody" if name == "*" else name


def signing_keys(patient: Patient) -> Iterator[Finding]:
    """Whether each algorithm has a key that signs, of an age, with its private half."""
    from grantkeeper.services.rotate_keys import ALGORITHMS, SCHEDULE

    ring, now = patient.wiring.signing_keys.load(), patient.now
    for alg in ALGORITHMS:
        key = ring.active(alg, now=now)
        if key is None or key.kid not in ring.wrapped:
            yield failing("keys.signing", "No key signs.", mend=patient.command("init"), about=alg)
            continue
        days = (now - key.active_from) // DAY
        if days * DAY > SCHEDULE.signing_period + 10 * DAY:
            told = f"It has signed for {days} days: the sweeper should have rotated it."
            yield warning("keys.signing", told, mend=patient.command("init"), about=alg)
        else:
            yield ok("keys.signing", f"It signs since {days} days.", about=alg)


def branch_keys(patient: Patient) -> Iterator[Finding]:
    """Whether every bucket of users has a branch key; without one, each read of a grant calls KMS."""
    from grantkeeper.services.rotate_keys import SCHEDULE

    missing = [b for b in range(SCHEDULE.buckets) if patient.wiring.branch_keys.newest(b) is None]
    if missing:
        told = f"{len(missing)} of {SCHEDULE.buckets} buckets have none."
        yield failing("keys.branch", told, mend=patient.command("init"))
    else:
        yield ok("keys.branch", f"All {SCHEDULE.buckets} buckets have one.")


FAMILY = Family("keys", (kms_keys, key_policies, signing_keys, branch_keys))
