"""The schedule, the logs and the alarms: does it run every minute, and would anybody hear if it did not?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from cli.doctor.findings import Family, Finding, failing, ok, skipped, warning
from cli.doctor.mends import schedule_again
from cli.doctor.patient import Patient

RECENT = 600  # seconds: a sweep reports every minute, and CloudWatch shows it some minutes later


def schedule(patient: Patient) -> Iterator[Finding]:
    """Whether EventBridge Scheduler calls the sweeper."""
    name = (patient.physical("SweepSchedule") or "").rpartition("|")[2].rpartition("/")[2]
    found = patient.client("scheduler").get_schedule(Name=name)
    sweeper = patient.physical("SweeperFunction") or ""
    mend = schedule_again(found, function_arn=_arn_of(sweeper, patient))
    if found["State"] != "ENABLED":
        told = "The sweeper's schedule is disabled: nothing is refreshed before somebody asks."
        yield failing("schedule.enabled", told, mend=mend)
    elif not found["Target"]["Arn"].endswith(sweeper):
        yield failing("schedule.enabled", "The schedule calls another function.", mend=mend)
    else:
        yield ok("schedule.enabled", found["ScheduleExpression"])


def _arn_of(function: str, patient: Patient) -> str:
    arn: str = patient.client("lambda").get_function_configuration(FunctionName=function)["FunctionArn"]
    return arn


def last_run(patient: Patient) -> Iterator[Finding]:
    """When a sweep last reported how old the oldest due grant is."""
    points = patient.client("cloudwatch").get_metric_statistics(
        Namespace="Grantkeeper",
        MetricName="OldestDueAge",
        Dimensions=[{"Name": "service", "Value": patient.name}],
        StartTime=datetime.fromtimestamp(patient.now - RECENT, UTC),
        EndTime=datetime.fromtimestamp(patient.now, UTC),
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    if points:
        newest = max(points, key=lambda point: point["Timestamp"])
        ago = patient.now - int(newest["Timestamp"].timestamp())
        told = f"{max(ago, 0)} s ago; the oldest grant was due for {newest['Maximum']:.0f} s."
        if newest["Maximum"] > 300:
            yield warning("schedule.last_run", told, mend=f"See docs/operations.md; {_logs(patient)}")
        else:
            yield ok("schedule.last_run", told)
    elif patient.local:
        yield skipped("schedule.last_run", "The emulator makes no metrics of log lines.")
    else:
        told = f"No sweep has reported for {RECENT // 60} minutes."
        yield failing("schedule.last_run", told, mend=_logs(patient))


def _logs(patient: Patient) -> str:
    return f"sam logs --stack-name {patient.name} --name SweeperFunction --tail"


def log_groups(patient: Patient) -> Iterator[Finding]:
    """Whether log groups are there and let go of what is old."""
    groups = patient.of_type("AWS::Logs::LogGroup")
    wrong = 0
    for logical, name in groups.items():
        found = patient.client("logs").describe_log_groups(logGroupNamePrefix=name, limit=5).get("logGroups", [])
        group = next((each for each in found if each["logGroupName"] == name), None)
        if group is None and patient.local:
            yield skipped("logs.retention", "The emulator does not make it.", about=logical)
            return
        days = patient.parameters.get("LogRetentionDays", "365")
        if group is None:
            wrong += 1
            mend = f"aws logs create-log-group --log-group-name {name}"
            yield failing("logs.retention", "It is gone: its function logs nowhere.", mend=mend, about=logical)
        elif "retentionInDays" not in group:
            wrong += 1
            mend = f"aws logs put-retention-policy --log-group-name {name} --retention-in-days {days}"
            yield warning("logs.retention", "It keeps everything for ever.", mend=mend, about=logical)
    if groups and not wrong:
        yield ok("logs.retention", f"All {len(groups)} groups are there and let go of what is old.")


def alarms(patient: Patient) -> Iterator[Finding]:
    """Whether the alarms exist, tell anybody, and which of them ring."""
    wanted = {name: logical for logical, name in patient.of_type("AWS::CloudWatch::Alarm").items()}
    found = {
        alarm["AlarmName"]: alarm
        for names in _in_hundreds(sorted(wanted))
        for alarm in patient.pages("cloudwatch", "describe_alarms", "MetricAlarms", AlarmNames=names)
    }
    for name in sorted(set(wanted) - set(found)):
        mend = patient.deploy("AlarmTopicArn=<another one>") + "  # and back: what does not change is not made again"
        yield failing("alarms.exist", "It is gone.", mend=mend, about=wanted[name])
    for name, alarm in sorted(found.items()):
        if alarm["StateValue"] == "ALARM":
            told = f"It rings: {alarm.get('AlarmDescription', '')}"
            mend = f"See docs/operations.md, section {wanted[name]}."
            yield failing("alarms.state", told, mend=mend, about=wanted[name])
        if not alarm.get("ActionsEnabled", True):
            mend = f"aws cloudwatch enable-alarm-actions --alarm-names {name}"
            yield warning("alarms.actions", "Its actions are switched off.", mend=mend, about=wanted[name])
    silent = [alarm for alarm in found.values() if not alarm.get("AlarmActions")]
    if silent:
        told = f"{len(silent)} of {len(found)} alarms tell nobody."
        yield warning("alarms.actions", told, mend=patient.deploy("AlarmTopicArn=<the ARN of an SNS topic>"))
    if found and len(found) == len(wanted):
        yield ok("alarms.exist", f"All {len(found)} are there.")


def _in_hundreds(names: list[str]) -> Iterator[list[str]]:
    for at in range(0, len(names), 100):
        yield names[at : at + 100]


FAMILY = Family("watching", (schedule, last_run, log_groups, alarms))
