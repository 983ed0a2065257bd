"""Access profiles: what each function may do with keys, tables and secrets, read off its role."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from tests.infrastructure.template import functions, of_type, profile, refers_to, role_of, statements, translated

SEE_NO_SECRET = {
    "AccountFunction",
    "AdminFunction",
    "AdminStatsFunction",
    "AuthorizeFunction",
    "ErasureFunction",
    "ConsoleFunction",
    "DiscoveryFunction",
    "ProjectorFunction",
    "ReconcileFunction",
    "RescueFunction",
}
OPEN_GRANTS = {"RefreshFunction", "RefreshWorkerFunction"}
VAULT_PROFILE = {
    **{function: set() for function in SEE_NO_SECRET},
    "AdminFunction": {("kms:DescribeKey", "any")},  # that it is there and enabled
    "CallbackFunction": {("kms:GenerateDataKey", "grant")},
    "ConnectionsFunction": {("kms:GenerateDataKey", "grant")},
    "RefreshFunction": {("kms:Decrypt", "grant"), ("kms:Decrypt", "branch")},
    "RefreshWorkerFunction": {("kms:Decrypt", "grant"), ("kms:Decrypt", "branch")},
    "SessionFunction": {("kms:Decrypt", "signing")},
    "SweeperFunction": {
        ("kms:GenerateDataKeyWithoutPlaintext", "branch"),
        ("kms:GenerateDataKeyPairWithoutPlaintext", "signing"),
    },
}
READ = {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"}
WRITE = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}


def all_roles() -> list[str]:
    return sorted(of_type("AWS::IAM::Role"))


def who_may(actions: set[str], table: str, partition: str, *, attribute: str = "sealed") -> set[str]:
    """The functions whose role allows one of the actions on a partition of a table and on this attribute there."""
    return {
        function
        for function in functions()
        for statement in profile(function)
        if statement.on(table) and statement.actions & actions and not _is_index_or_stream(statement.resources)
        if _covers(statement.values("dynamodb:LeadingKeys"), partition)
        and _covers(statement.values("dynamodb:Attributes"), attribute)
    }


def _covers(patterns: frozenset[str], partition: str) -> bool:
    return not patterns or any(fnmatchcase(partition, pattern) for pattern in patterns)


def _is_index_or_stream(resources: tuple[object, ...]) -> bool:
    return all("/index/" in str(resource) or "/stream/" in str(resource) for resource in resources)


def test_i01_every_function_has_a_role_of_its_own():
    """No two functions share a role, and only Lambda may take it on."""
    roles = [role_of(function) for function in functions()]

    assert len(roles) == len(set(roles))
    for role in roles:
        trust = translated()["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert [(s["Principal"], s["Action"]) for s in trust] == [
            ({"Service": "lambda.amazonaws.com"}, "sts:AssumeRole")
        ]


@pytest.mark.parametrize("role", all_roles())
def test_i01_no_role_holds_a_wildcard(role):
    """Actions are named in full; on `*` are allowed X-Ray, which knows no resources, and to CodeDeploy the alarms."""
    anywhere = [{"xray:PutTelemetryRecords", "xray:PutTraceSegments"}]
    if role == "DeploymentRole":
        anywhere.append({"cloudwatch:DescribeAlarms"})
    for statement in statements(role):
        assert not [action for action in statement.actions if "*" in action]
        if "*" in statement.resources:
            assert statement.actions in anywhere


def test_i01_no_managed_policy_of_aws_is_attached():
    """What AWS may widen tomorrow is not ours to answer for."""
    for role in all_roles():
        attached = translated()["Resources"][role]["Properties"].get("ManagedPolicyArns", [])
        assert all("Ref" in policy for policy in attached)


@pytest.mark.parametrize("function", sorted(VAULT_PROFILE))
def test_i03_each_function_does_with_the_vault_key_what_its_profile_says(function):
    """Single actions, each bound to one purpose; everything else is refused by IAM."""
    allowed = {
        (action, purpose)
        for statement in profile(function)
        if statement.on("VaultKey")
        for action in statement.actions
        for purpose in statement.values("kms:EncryptionContext:purpose") or {"any"}
    }

    assert allowed == VAULT_PROFILE[function]


def test_i03_every_function_has_a_vault_profile():
    """A new function is put into the table above before it ships."""
    assert set(functions()) == set(VAULT_PROFILE)


@pytest.mark.parametrize("role", all_roles())
def test_i03_the_table_key_is_used_through_aws_services_alone(role):
    """No role can hand the TableKey a ciphertext by itself."""
    for statement in statements(role):
        if statement.on("TableKey"):
            (condition,) = statement.condition["StringEquals"].items()
            assert condition[0] == "kms:ViaService"


def test_d02_no_role_may_scan_or_use_partiql_or_touch_a_table_itself():
    """Tables are reached by key. A condition on leading keys says nothing about a scan, so nobody may."""
    item_actions = READ | WRITE | {"dynamodb:ConditionCheckItem"}
    stream_actions = {f"dynamodb:{a}" for a in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")}

    for role in all_roles():
        used = {a for s in statements(role) for a in s.actions if a.startswith("dynamodb:")}
        assert used <= item_actions | stream_actions


def test_sealed_grants_are_written_by_those_who_keep_them_and_nobody_else():
    """
    Connect, refresh, disconnect and rescue write connections; counters, sessions and sweeps can't reach them.

    The administration and the erasure end connections: they can make no grant, and put none in another's place.
    """
    keepers = OPEN_GRANTS | {"CallbackFunction", "ConnectionsFunction", "RescueFunction"}
    assert who_may(WRITE, "GrantsTable", "CONNECTION#con_1") == keepers | {"AdminFunction", "ErasureFunction"}
    assert who_may({"dynamodb:PutItem"}, "GrantsTable", "CONNECTION#con_1") == keepers


def test_sealed_grants_are_read_by_nobody_who_has_no_business_with_connections():
    """Whoever serves the public, signs tokens, counts or sweeps cannot read even the sealed bytes."""
    readers = who_may(READ, "GrantsTable", "CONNECTION#con_1")

    assert readers == OPEN_GRANTS | {"CallbackFunction", "ConnectionsFunction"}
    assert who_may(READ, "GrantsTable", "CONNECTION#con_1", attribute="status") == readers | {
        "AdminFunction",
        "ErasureFunction",
        "RescueFunction",
    }


def test_key_material_is_read_by_those_who_open_it():
    """Branch keys by refresh (the sweeper sees which exist), signing keys by whoever verifies or signs."""
    assert who_may(READ, "GrantsTable", "BRANCH#3#newest") == OPEN_GRANTS | {"SweeperFunction"}
    assert who_may(WRITE, "GrantsTable", "BRANCH#3#newest") == {"SweeperFunction"}
    assert who_may(WRITE, "GrantsTable", "SIGNER") == {"SweeperFunction"}


def test_clients_are_registered_by_the_administration_and_providers_by_no_function_at_all():
    """
    A hole in a function for users registers no client, and no hole whatever a provider: its record says where our
    secrets are sent. The administration can switch one off, and users' own keys are made by one function more.
    """
    for partition in ("CLIENT#web", "ORIGIN#https://app.example"):
        assert who_may(WRITE, "GrantsTable", partition) == {"AdminFunction"}
    for attribute in ("record", "registrations"):
        assert who_may(WRITE, "GrantsTable", "PROVIDERS", attribute=attribute) == set()
    assert who_may(WRITE, "GrantsTable", "PROVIDERS", attribute="disabled") == {"AdminFunction"}
    # The day of use is noted on a key that exists; making or deleting one is another action.
    assert who_may({"dynamodb:PutItem"}, "GrantsTable", "APIKEY#k") == {"AccountFunction", "AdminFunction"}
    assert who_may({"dynamodb:DeleteItem"}, "GrantsTable", "APIKEY#k") == {"AdminFunction", "ErasureFunction"}


@pytest.mark.parametrize("partition", ["USER#usr_1", "CONNECTION#con_1", "SYSTEM#2026-11-21"])
def test_audit_entries_are_added_and_never_changed(partition):
    """No role may update or delete an entry, and the ones who add may do that alone."""
    assert who_may({"dynamodb:UpdateItem", "dynamodb:DeleteItem"}, "AuditTable", partition) == set()


def test_sessions_are_out_of_reach_of_functions_that_do_not_keep_them():
    """
    Refresh-token families belong to sign-in; whoever takes access tokens asks whether their session lives (S-09).

    The account function ends sessions: it can update one, not put one there. Who erases a user deletes his.
    """
    assert who_may({"dynamodb:UpdateItem"}, "RequestsTable", "SESSION#family") == {"AccountFunction", "SessionFunction"}
    assert who_may({"dynamodb:DeleteItem"}, "RequestsTable", "SESSION#family") == {"AdminFunction", "ErasureFunction"}
    assert who_may({"dynamodb:PutItem"}, "RequestsTable", "SESSION#family") == {"SessionFunction"}
    assert who_may(READ, "RequestsTable", "SESSION#family") == {
        "AccountFunction",
        "AdminFunction",
        "AdminStatsFunction",
        "ConnectionsFunction",
        "RefreshFunction",
        "SessionFunction",
    }


def test_provider_secrets_are_read_by_those_who_call_providers():
    """Three functions, one path, and the key only for parameters below that path."""
    readers = {f for f in functions() for s in profile(f) if any(a.startswith("ssm:") for a in s.actions)}

    assert readers == OPEN_GRANTS | {"CallbackFunction"}
    for function in readers:
        for statement in profile(function):
            if any(action.startswith("ssm:") for action in statement.actions):
                assert all("/providers/*" in str(resource) for resource in statement.resources)
            if statement.sid == "OpenProviderSecrets":
                assert all("/providers/*" in value for value in statement.values("kms:EncryptionContext:PARAMETER_ARN"))


def test_a_function_is_told_of_a_queue_or_key_only_if_it_may_use_it():
    """The environment follows the role: a name without a right is a mistake in one of the two."""
    for name, properties in functions().items():
        variables = properties["Environment"]["Variables"]
        allowed = {target for s in profile(name) for resource in s.resources for target in refers_to(resource)}
        for variable in (
            "VAULT_KEY_ARN",
            "WORK_QUEUE_URL",
            "RESCUE_QUEUE_URL",
            "DEAD_LETTER_QUEUE_URL",
            "RESCUE_DEAD_LETTER_QUEUE_URL",
            "EVENT_BUS_NAME",
        ):
            for target in refers_to(variables.get(variable, {})):
                assert target in allowed, (name, variable)


def test_the_console_reaches_its_log_group_and_nothing_else():
    """Whoever breaks the function that serves the page has a page."""
    assert {action for statement in profile("ConsoleFunction") for action in statement.actions} == {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    }
