"""What must never be lost: tables, keys and the queue of rescued answers."""

from __future__ import annotations

import json

import pytest

from tests.infrastructure.template import ROOT, of_type, source, translated

# What CloudFormation cannot change in place: a difference here means that a deployment replaces the resource and leaves
# its data behind. `Ref`s and settings that update in place are left out.
REPLACING = {
    "AWS::DynamoDB::Table": ("TableName", "KeySchema", "ImportSourceSpecification"),
    "AWS::KMS::Key": ("KeySpec", "KeyUsage", "MultiRegion", "Origin"),
    "AWS::SQS::Queue": ("QueueName", "FifoQueue"),
    "AWS::ApiGatewayV2::Api": ("ProtocolType",),
    "AWS::Events::EventBus": ("Name",),
    "AWS::Logs::LogGroup": ("LogGroupName",),
}


def test_i16_no_deployment_replaces_a_stateful_resource():
    """Logical ids, physical names and key schemas are those that the first release shipped with."""
    shipped = json.loads((ROOT / "tests" / "infrastructure" / "stateful.json").read_text())
    now = {
        name: {"Type": body["Type"]}
        | {key: body["Properties"][key] for key in REPLACING[body["Type"]] if key in body["Properties"]}
        for name, body in translated()["Resources"].items()
        if body["Type"] in REPLACING
    }

    assert {name: now.get(name) for name in shipped} == shipped


def test_i16_every_stateful_resource_is_under_that_protection():
    """A new table, key or queue enters the list when it ships."""
    shipped = json.loads((ROOT / "tests" / "infrastructure" / "stateful.json").read_text())

    assert {name for name, body in translated()["Resources"].items() if body["Type"] in REPLACING} == set(shipped)


def test_indexes_keep_their_keys_and_projections():
    """An index whose key changes is deleted and built anew; the stores read what these project."""
    indexes = {
        (table, index["IndexName"]): (
            tuple(key["AttributeName"] for key in index["KeySchema"]),
            index["Projection"]["ProjectionType"],
            tuple(index["Projection"].get("NonKeyAttributes", ())),
        )
        for table, body in of_type("AWS::DynamoDB::Table").items()
        for index in body["Properties"].get("GlobalSecondaryIndexes", ())
    }

    assert indexes == {
        ("GrantsTable", "due"): (("due_shard", "due_at"), "INCLUDE", ("provider", "generation")),
        ("GrantsTable", "list"): (("list_pk", "list_sk"), "ALL", ()),
        ("AuditTable", "day"): (("day_pk", "day_sk"), "ALL", ()),
        ("AuditTable", "actor"): (("actor_pk", "actor_sk"), "KEYS_ONLY", ()),
    }


def test_only_the_due_time_is_a_number():
    """Attribute types of keys are what the stores write."""
    types = {
        attribute["AttributeName"]: attribute["AttributeType"]
        for body in of_type("AWS::DynamoDB::Table").values()
        for attribute in body["Properties"]["AttributeDefinitions"]
    }

    assert {name for name, kind in types.items() if kind != "S"} == {"due_at"}
    assert types["due_at"] == "N"


@pytest.mark.parametrize("table", ["GrantsTable", "RequestsTable", "AuditTable"])
def test_i04_tables_survive_and_are_encrypted_with_our_key(table):
    """On demand, retained, protected from deletion unless a parameter says otherwise, encrypted by the TableKey."""
    body = translated()["Resources"][table]
    properties = body["Properties"]

    assert (body["DeletionPolicy"], body["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["DeletionProtectionEnabled"] == {"Fn::If": ["IsProtected", True, False]}
    assert source()["Parameters"]["DeletionProtection"]["Default"] == "true"
    assert properties["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": {"Fn::GetAtt": ["TableKey", "Arn"]},
    }


def test_i04_backups_and_expiry_are_where_the_data_wants_them():
    """Grants and the trail can be restored to any second; one-time things and sessions must not come back."""
    tables = {name: body["Properties"] for name, body in of_type("AWS::DynamoDB::Table").items()}
    restorable = {n for n, p in tables.items() if p.get("PointInTimeRecoverySpecification")}
    expiring = {n: p["TimeToLiveSpecification"] for n, p in tables.items() if "TimeToLiveSpecification" in p}
    streams = {n: p["StreamSpecification"]["StreamViewType"] for n, p in tables.items() if "StreamSpecification" in p}

    assert restorable == {"GrantsTable", "AuditTable"}
    assert expiring == {
        key: {"AttributeName": "ttl", "Enabled": True} for key in ("GrantsTable", "RequestsTable", "AuditTable")
    }
    assert streams == dict.fromkeys(("GrantsTable", "AuditTable"), "NEW_AND_OLD_IMAGES")


@pytest.mark.parametrize("key", ["TableKey", "VaultKey"])
def test_i05_keys_rotate_and_take_thirty_days_to_die(key):
    """Rotation is on, deletion waits as long as KMS allows, and the stack's end is not theirs."""
    body = translated()["Resources"][key]

    assert body["Properties"]["EnableKeyRotation"] is True
    assert body["Properties"]["PendingWindowInDays"] == 30
    assert (body["DeletionPolicy"], body["UpdateReplacePolicy"]) == ("Retain", "Retain")


@pytest.mark.parametrize("key", ["TableKey", "VaultKey"])
def test_i05_key_policies_leave_the_decision_to_iam(key):
    """No role, no other account and no `*` principal stands in a key policy; only IAM of this account decides."""
    for statement in translated()["Resources"][key]["Properties"]["KeyPolicy"]["Statement"]:
        (kind, principal), *others = statement["Principal"].items()

        assert not others
        if kind == "AWS":
            assert principal == {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
        else:
            assert statement["Sid"] == "CloudWatchLogsOfThisStack"
            assert "${AWS::StackName}-*" in str(statement["Condition"])


def test_the_vault_key_refuses_aws_services_and_calls_without_a_purpose():
    """Whatever IAM allows one day, no service decrypts with it and no ciphertext lacks its context."""
    key_policy = translated()["Resources"]["VaultKey"]["Properties"]["KeyPolicy"]["Statement"]
    denials = {s["Sid"]: s for s in key_policy if s["Effect"] == "Deny"}

    assert denials["NotThroughAwsServices"]["Condition"] == {"Null": {"kms:ViaService": "false"}}
    assert denials["NotWithoutPurpose"]["Condition"] == {"Null": {"kms:EncryptionContext:purpose": "true"}}
    for denial in denials.values():
        assert {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*"} <= set(denial["Action"])


def test_sealed_answers_outlive_the_stack():
    """The rescue queue and its dead letters hold the only copy of a spent token's successor."""
    for queue in ("RescueQueue", "RescueDeadLetterQueue"):
        body = translated()["Resources"][queue]

        assert (body["DeletionPolicy"], body["UpdateReplacePolicy"]) == ("Retain", "Retain")
        assert body["Properties"]["MessageRetentionPeriod"] == 1209600


def test_no_resource_has_a_physical_name_but_those_aws_demands():
    """Several stacks live in one account and region."""
    names = {
        (name, key)
        for name, body in translated()["Resources"].items()
        for key in (
            "TableName",
            "QueueName",
            "FunctionName",
            "RoleName",
            "LogGroupName",
            "AlarmName",
            "ManagedPolicyName",
        )
        if key in body.get("Properties", {}) and body["Type"] != "AWS::Lambda::EventSourceMapping"
        if not isinstance(body["Properties"][key], dict)
    }

    assert names == set()
