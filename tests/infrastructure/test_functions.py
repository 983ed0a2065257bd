"""Functions, what starts them, and what tells an operator when they do not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from grantkeeper.services.due_shards import MOST_SHARDS
from tests.infrastructure.template import ROOT, functions, of_type, refers_to, source, translated

LEASE_SECONDS = 30
STREAM_SOURCES = {"ProjectorFunctionGrants": "GrantsTable", "ProjectorFunctionAudit": "AuditTable"}


def mappings() -> dict[str, dict]:
    return {name: body["Properties"] for name, body in of_type("AWS::Lambda::EventSourceMapping").items()}


def queues() -> dict[str, dict]:
    return {name: body["Properties"] for name, body in of_type("AWS::SQS::Queue").items()}


@pytest.mark.parametrize("name", sorted(functions()))
def test_i07_functions_are_traced_and_built_alike(name):
    """One runtime, one layer, one architecture for all; tracing is on; no function is published to the world."""
    function = functions()[name]

    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == [{"Ref": "Architecture"}]
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert len(function["Layers"]) == 1
    assert not of_type("AWS::Lambda::Url")


def test_i07_a_refresh_ends_well_before_its_lease():
    """A function that lives longer than its lease would spend a refresh token another is spending."""
    for name in ("RefreshFunction", "RefreshWorkerFunction"):
        assert functions()[name]["Timeout"] <= 20 < LEASE_SECONDS


def test_i07_the_sweeper_is_deployed_before_those_whose_shards_it_reads():
    """While a deployment changes their number, no writer is ahead of the reader."""
    resources = source()["Resources"]
    writers = {n for n, f in functions().items() if "DUE_SHARDS" in f["Environment"]["Variables"]} - {"SweeperFunction"}

    assert len(writers) == 7
    assert {resources[name].get("DependsOn") for name in writers} == {"SweeperFunction"}
    assert source()["Parameters"]["DueShards"]["MaxValue"] == MOST_SHARDS


def test_i07_concurrency_is_reserved_only_where_asked():
    """A new account has ten executions in all, and reserving some of them makes its first deployment fail."""
    reserving = {
        n: f["ReservedConcurrentExecutions"] for n, f in functions().items() if "ReservedConcurrentExecutions" in f
    }

    assert set(reserving) == {"RefreshFunction"}
    assert reserving["RefreshFunction"]["Fn::If"][0] == "HasReservedConcurrency"
    assert source()["Parameters"]["RefreshReservedConcurrency"]["Default"] == 0


@pytest.mark.parametrize("name", sorted(functions()))
def test_i08_every_function_writes_to_a_log_group_of_its_own(name):
    """Kept as long as the parameter says, encrypted with our key, and there still when the stack is gone."""
    group = functions()[name]["LoggingConfig"]["LogGroup"]["Ref"]
    body = translated()["Resources"][group]

    assert body["Type"] == "AWS::Logs::LogGroup"
    assert body["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert body["Properties"]["KmsKeyId"] == {"Fn::GetAtt": ["TableKey", "Arn"]}
    assert (body["DeletionPolicy"], body["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert [f for f in functions() if functions()[f]["LoggingConfig"]["LogGroup"]["Ref"] == group] == [name]


def test_i08_logs_are_kept_for_a_year_unless_told_otherwise():
    """A breach is found in months: the default covers them."""
    assert source()["Parameters"]["LogRetentionDays"]["Default"] >= 365


def test_i12_no_secret_stands_in_the_template_or_an_environment():
    """Variables are named names, URLs and switches; nothing looks like a credential."""
    allowed = re.compile(
        r"(GRANTS|REQUESTS|AUDIT)_TABLE|(WORK|RESCUE|DEAD_LETTER|RESCUE_DEAD_LETTER)_QUEUE_URL|VAULT_KEY_ARN|EVENT_BUS_NAME|ISSUER|PARAMETER_PREFIX"
        r"|DUE_SHARDS|AUDIT_RETENTION_DAYS|CALLS_PER_MINUTE|WORKER_MAXIMUM_CONCURRENCY|LOCAL_RUN|ORIGIN_SECRET_HASHES|RELEASE|POWERTOOLS_[A-Z_]+"
    )
    text = (ROOT / "template.yaml").read_text()

    for function in functions().values():
        assert not [name for name in function["Environment"]["Variables"] if not allowed.fullmatch(name)]
    assert not re.search(r"AKIA[0-9A-Z]{16}|-----BEGIN|ghp_|xox[bap]-|AIza|sk_live|client_secret\s*:", text)
    secret = {n for n in source()["Parameters"] if re.search(r"secret|password|token", n, re.IGNORECASE)}
    # the distribution's alone, and what functions know it by; EventBridge's alone
    assert secret == {"OriginSecret", "OriginSecretHashes", "WebhookSecret"}
    assert all(source()["Parameters"][name]["NoEcho"] is True for name in ("OriginSecret", "WebhookSecret"))


@pytest.mark.parametrize("queue", sorted(queues()))
def test_i06_queues_are_encrypted_with_our_key(queue):
    """At rest a message is as safe as the row it speaks of."""
    if queue == "WebhookDeadLetters":  # of events; EventBridge could use our key only if its policy named it
        assert queues()[queue]["SqsManagedSseEnabled"] is True
    else:
        assert queues()[queue]["KmsMasterKeyId"] == {"Fn::GetAtt": ["TableKey", "Arn"]}


def test_i06_every_queue_that_feeds_a_function_has_dead_letters_for_a_fortnight():
    """A message that kills its handler is tried a few times and then kept for a human."""
    for properties in mappings().values():
        queue = queues().get(properties["EventSourceArn"]["Fn::GetAtt"][0])
        if queue is None:
            continue
        dead_letters = queues()[queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]]

        assert queue["RedrivePolicy"]["maxReceiveCount"] >= 3
        assert dead_letters["MessageRetentionPeriod"] == 14 * 86400


def test_d19_a_message_stays_hidden_for_six_times_its_handler_and_the_batch_window():
    """Lambda retries throttled batches meanwhile; a shorter timeout hands a message to two workers."""
    checked = set()
    for properties in mappings().values():
        name = properties["EventSourceArn"]["Fn::GetAtt"][0]
        if name in queues():
            timeout = functions()[properties["FunctionName"]["Ref"]]["Timeout"]
            checked.add(name)

            assert queues()[name]["VisibilityTimeout"] >= 6 * timeout + properties.get(
                "MaximumBatchingWindowInSeconds", 0
            )

    assert checked == {"WorkQueue", "RescueQueue"}


def test_rescue_is_tried_again_before_an_orphan_is():
    """Redelivery comes inside the rescue horizon of five minutes: nobody spends a token whose successor is parked."""
    assert queues()["RescueQueue"]["VisibilityTimeout"] < 300


def test_f16_a_parked_answer_outlasts_an_outage_of_two_hours():
    """Given up earlier, it would wait for an operator while the token it succeeds is spent again."""
    queue = queues()["RescueQueue"]

    assert queue["RedrivePolicy"]["maxReceiveCount"] * queue["VisibilityTimeout"] >= 2 * 3600
    assert queues()["WorkQueue"]["RedrivePolicy"]["maxReceiveCount"] <= 10, "the index is the backlog"


def test_i11_every_mapping_reports_the_items_that_failed():
    """One bad message does not bring the others of its batch back."""
    assert len(mappings()) == 4
    for properties in mappings().values():
        assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_i11_queues_never_take_the_whole_account():
    """Workers have a ceiling, the refresh worker's by parameter."""
    assert mappings()["RefreshWorkerFunctionWork"]["ScalingConfig"] == {
        "MaximumConcurrency": {"Fn::If": ["IsLocal", 2, {"Ref": "WorkerMaximumConcurrency"}]}
    }
    assert mappings()["RescueFunctionRescue"]["ScalingConfig"] == {"MaximumConcurrency": 2}


@pytest.mark.parametrize("mapping", sorted(STREAM_SOURCES))
def test_i11_a_stream_is_read_from_its_start_and_no_record_is_dropped(mapping):
    """
    A batch comes again, whole, as long as the stream keeps it; what is left of it after a day is parked.

    It is not halved: records nobody can read are parked by the function, and halves do not help a store that is down.
    """
    properties = mappings()[mapping]

    assert properties["EventSourceArn"] == {"Fn::GetAtt": [STREAM_SOURCES[mapping], "StreamArn"]}
    assert properties["StartingPosition"] == "TRIM_HORIZON"
    assert properties["MaximumRetryAttempts"] == -1
    assert 3600 <= properties["MaximumRecordAgeInSeconds"] <= 86400
    assert not properties.get("BisectBatchOnFunctionError")
    assert refers_to(properties["DestinationConfig"]["OnFailure"]["Destination"]) == {"DeadLetterQueue"}


def test_the_projector_hears_of_grants_and_of_nothing_else_in_their_table():
    """Of leases, counters and profiles it is never woken; the audit stream comes whole."""
    (pattern,) = (json.loads(f["Pattern"]) for f in mappings()["ProjectorFunctionGrants"]["FilterCriteria"]["Filters"])

    assert pattern == {"eventName": ["MODIFY"], "dynamodb": {"Keys": {"sk": {"S": [{"prefix": "GRANT#"}]}}}}
    assert "FilterCriteria" not in mappings()["ProjectorFunctionAudit"]


def test_i15_the_sweeper_is_invoked_every_minute_and_lost_ticks_are_parked():
    """A late tick is worth nothing, so it is retried once within its minute and then kept for a look."""
    schedule = of_type("AWS::Scheduler::Schedule")["SweepSchedule"]["Properties"]

    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert schedule["Target"]["Arn"] == {"Fn::GetAtt": ["SweeperFunction", "Arn"]}
    assert schedule["Target"]["RetryPolicy"] == {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 1}
    assert refers_to(schedule["Target"]["DeadLetterConfig"]) == {"DeadLetterQueue"}


def test_the_recount_ticks_at_night_and_ends_before_its_next_tick():
    """A tick that was lost is not missed: the next one goes on."""
    every = of_type("AWS::Scheduler::Schedule")
    schedule = every["ReconcileSchedule"]["Properties"]

    assert set(every) == {"SweepSchedule", "ReconcileSchedule", "ErasureSchedule"}
    assert schedule["ScheduleExpression"] == "cron(0/5 1-4 * * ? *)"
    assert schedule["Target"]["Arn"] == {"Fn::GetAtt": ["ReconcileFunction", "Arn"]}
    assert functions()["ReconcileFunction"]["Timeout"] < 300


def test_erasures_tick_every_five_minutes_and_end_before_the_next_tick():
    """As of the recount: what a lost tick would have done, the next one does."""
    schedule = of_type("AWS::Scheduler::Schedule")["ErasureSchedule"]["Properties"]

    assert schedule["ScheduleExpression"] == "rate(5 minutes)"
    assert schedule["Target"]["Arn"] == {"Fn::GetAtt": ["ErasureFunction", "Arn"]}
    assert functions()["ErasureFunction"]["Timeout"] < 300


def test_a_sweep_ends_before_the_next_one_starts():
    """Its own budget is 45 s, its timeout below a minute, and Lambda repeats no failed one."""
    (config,) = (
        body["Properties"]
        for body in of_type("AWS::Lambda::EventInvokeConfig").values()
        if body["Properties"]["FunctionName"] == {"Ref": "SweeperFunction"}
    )

    assert 45 < functions()["SweeperFunction"]["Timeout"] < 60
    assert (config["FunctionName"], config["MaximumRetryAttempts"]) == ({"Ref": "SweeperFunction"}, 0)


def test_i14_ten_alarms_each_on_one_metric():
    """What the operator must hear of. No metric math: ten are free, and the emulator takes no others."""
    every = of_type("AWS::CloudWatch::Alarm")
    assert not [name for name, body in every.items() if "Metrics" in body["Properties"]]

    alarms = {name: body["Properties"] for name, body in every.items() if "Condition" not in body}
    metrics = {(alarm["Namespace"], alarm["MetricName"]) for alarm in alarms.values()}

    assert len(alarms) <= 10
    assert metrics == {
        ("AWS/ApiGateway", "5xx"),
        ("AWS/DynamoDB", "WriteThrottleEvents"),
        ("AWS/Lambda", "IteratorAge"),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        ("Grantkeeper", "OldestDueAge"),
        ("Grantkeeper", "OperatorAttention"),
        ("Grantkeeper", "ReuseDetected"),
        ("Grantkeeper", "SigningKeyAge"),
        ("Grantkeeper", "TamperingDetected"),
    }
    assert refers_to([alarms[n]["Dimensions"] for n in ("DeadLettersAlarm", "RescueAlarm")]) == {
        "DeadLetterQueue",
        "RescueDeadLetterQueue",
    }


def test_i14_a_sweeper_that_reports_nothing_is_as_alarming_as_a_late_one():
    """Silence is how a dead schedule looks."""
    alarm = translated()["Resources"]["OldestDueAlarm"]["Properties"]

    assert alarm["TreatMissingData"] == "breaching"
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (300, "GreaterThanThreshold")


def test_own_metrics_are_looked_for_where_the_functions_write_them():
    """Namespace and the one dimension agree; a name that differs makes an alarm that never rings."""
    for body in of_type("AWS::CloudWatch::Alarm").values():
        alarm = body["Properties"]
        if alarm["Namespace"] == "Grantkeeper":
            assert alarm["Dimensions"] == [{"Name": "service", "Value": {"Ref": "AWS::StackName"}}]
    for function in functions().values():
        variables = function["Environment"]["Variables"]
        assert variables["POWERTOOLS_METRICS_NAMESPACE"] == "Grantkeeper"
        assert variables["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}


def test_own_metrics_are_written_by_somebody():
    """Each name an alarm watches stands in the source of a function or a service."""
    shipped = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers" / "common" / "grantkeeper").rglob("*.py")]
    source_text = "\n".join(path.read_text() for path in shipped)
    watched = {
        body["Properties"]["MetricName"]
        for body in of_type("AWS::CloudWatch::Alarm").values()
        if body["Properties"]["Namespace"] == "Grantkeeper"
    }

    assert watched
    assert {name for name in watched if f'"{name}"' not in source_text} == set()


def test_parameters_are_explained_and_safe_by_default():
    """Each says what it does and has a default; nothing that only a local run may do is on."""
    for name, parameter in source()["Parameters"].items():
        assert len(parameter["Description"]) > 20, name
        assert "Default" in parameter, name
    assert source()["Parameters"]["LocalRun"]["Default"] == "0"


def test_every_function_folder_is_an_access_profile():
    """Handlers live in `functions/<name>/app.py`; the worker shares the folder of the function it works for."""
    folders = {
        name: (body["Properties"]["CodeUri"], body["Properties"]["Handler"])
        for name, body in source()["Resources"].items()
        if body["Type"] == "AWS::Serverless::Function"
    }

    assert folders.pop("RefreshWorkerFunction") == ("functions/refresh/", "app.batch_handler")
    for name, (folder, handler) in folders.items():
        words = re.findall("[A-Z][a-z]+", name.removesuffix("Function"))
        assert Path(folder) == Path("functions", "_".join(words).lower())
        assert handler == "app.handler"
