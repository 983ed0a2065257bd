"""What a deployment's parameters change, and what none of them may."""

from __future__ import annotations

import json
from itertools import product

import pytest

from tests.infrastructure.template import deployed, refers_to, source, translated

GRADUAL = {"GradualDeployment": "LambdaCanary10Percent10Minutes", "Release": "abc1234"}
CALLED = ("Discovery", "Authorize", "Callback", "Session", "Connections", "Account", "Refresh")
STATEFUL = ("AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::SQS::Queue", "AWS::ApiGatewayV2::Api", "AWS::Logs::LogGroup")
OPTIONS = [
    GRADUAL,
    {"WiderAlarms": "true", "Dashboard": "true", "AlarmTopicArn": "arn:aws:sns:eu-west-1:1:alarms"},
    {"CustomDomainName": "id.example.com", "CertificateArn": "arn:aws:acm:eu-west-1:1:certificate/a"},
    {"RefreshReservedConcurrency": "100", "DeletionProtection": "false", "Architecture": "x86_64"},
]
# Priced by the hour or the month whether used or not. A WAF is given by its ARN and never made here.
STANDING_COSTS = ("AWS::EC2", "AWS::ECS", "AWS::ElastiCache", "AWS::RDS", "AWS::SecretsManager", "AWS::WAFv2")


def choices() -> list[dict[str, str]]:
    """Every combination of the options."""
    picked = product((False, True), repeat=len(OPTIONS))
    return [
        {k: v for on, option in zip(each, OPTIONS, strict=True) if on for k, v in option.items()} for each in picked
    ]


def of_kind(resources, kind):
    return {name: body for name, body in resources.items() if body["Type"] == kind}


@pytest.mark.parametrize("chosen", choices(), ids=lambda chosen: "+".join(sorted(chosen)) or "defaults")
def test_every_choice_of_parameters_refers_only_to_what_it_has(chosen):
    """CloudFormation refuses a reference to what a condition left out, minutes into a deployment."""
    resources = deployed(**chosen)
    known = set(resources) | set(translated()["Parameters"])

    for name, body in resources.items():
        depends = body.get("DependsOn", [])
        referred = refers_to(body.get("Properties")) | refers_to(body.get("UpdatePolicy"))
        referred |= {depends} if isinstance(depends, str) else set(depends)
        assert {each for each in referred if "::" not in each} <= known, name


@pytest.mark.parametrize("chosen", choices(), ids=lambda chosen: "+".join(sorted(chosen)) or "defaults")
def test_i16_no_choice_of_parameters_replaces_or_loses_what_holds_data(chosen):
    """Turning anything on or off is an update in place: same ids, same keys, same names, still retained."""
    before, after = deployed(), deployed(**chosen)

    for kind in STATEFUL:
        assert set(of_kind(before, kind)) == set(of_kind(after, kind))
    for name, body in before.items():
        if body["Type"] in STATEFUL:
            now = after[name]
            changed = {key for key, value in body["Properties"].items() if now["Properties"].get(key) != value}
            assert changed <= {"DeletionProtectionEnabled", "DisableExecuteApiEndpoint"}, name
            assert body.get("DeletionPolicy") == now.get("DeletionPolicy")


def test_defaults_make_nothing_optional_and_nothing_priced_by_the_month():
    """An idle stack costs its two keys and its metrics, and who deploys it pays for no feature he did not ask for."""
    resources = deployed()

    assert {name for name, body in translated()["Resources"].items() if "Condition" not in body} == set(resources)
    assert not [name for name, body in resources.items() if body["Type"].startswith(STANDING_COSTS)]
    assert len(of_kind(resources, "AWS::KMS::Key")) == 2
    assert len(of_kind(resources, "AWS::CloudWatch::Alarm")) == 10
    for kind in (
        "AWS::Lambda::Alias",
        "AWS::Lambda::Version",
        "AWS::CloudWatch::Dashboard",
        "AWS::CodeDeploy::Application",
    ):
        assert not of_kind(resources, kind)


# --- gradual deployment ---


def test_gradually_the_api_calls_aliases_and_may():
    """Integration, permission, alias and version of one function belong together; the others are called as before."""
    resources = deployed(**GRADUAL)

    assert set(of_kind(resources, "AWS::Lambda::Alias")) == {f"{name}Alias" for name in CALLED}
    for name, body in of_kind(resources, "AWS::ApiGatewayV2::Integration").items():
        function = name.removesuffix("Integration")
        target = {f"{function}Alias"} if function in CALLED else {f"{function}Function"}
        assert refers_to(body["Properties"]["IntegrationUri"]) == target
        assert refers_to(resources[f"{function}Permission"]["Properties"]["FunctionName"]) == target
        if function in CALLED:
            assert body["DependsOn"] == f"{function}Permission"
    for function in CALLED:
        alias = resources[f"{function}Alias"]
        assert refers_to(alias["Properties"]) == {f"{function}Function", f"{function}Version"}
        assert refers_to(resources[f"{function}Version"]["Properties"]["FunctionName"]) == {f"{function}Function"}
        assert alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"] == {
            "ApplicationName": {"Ref": "DeploymentApplication"},
            "DeploymentGroupName": {"Ref": f"{function}Deployment"},
        }


def test_gradually_a_version_is_new_whenever_what_runs_is():
    """Its description replaces it: the release, the layer, and each parameter that those functions get."""
    said = {function: deployed(**GRADUAL)[f"{function}Version"]["Properties"]["Description"] for function in CALLED}
    named = refers_to(said["Refresh"])
    environment = translated()["Resources"]["RefreshFunction"]["Properties"]["Environment"]
    fixed = {"PublicUrl", "CustomDomainName"}  # the issuer, which must never change
    parameters = set(source()["Parameters"]) & refers_to(environment)

    assert len({json.dumps(each) for each in said.values()}) == 1
    assert parameters - named <= fixed
    assert "Release" in named
    assert any(word.startswith("CommonLayer") for word in named)


def test_gradually_an_alarm_sends_everybody_back():
    """Each group watches alarms that are there, and CodeDeploy may move only those aliases."""
    resources = deployed(**GRADUAL)
    moved = resources["DeploymentRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]

    for function in CALLED:
        group = resources[f"{function}Deployment"]["Properties"]
        watched = {each["Name"]["Ref"] for each in group["AlarmConfiguration"]["Alarms"]}
        assert watched <= set(of_kind(resources, "AWS::CloudWatch::Alarm"))
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        assert group["AlarmConfiguration"]["Enabled"] is True
    assert refers_to(moved["Resource"]) == {f"{function}Function" for function in CALLED}


def test_gradually_is_refused_without_a_release():
    """Without a new name the old version would stay in use, and nobody would notice."""
    [rule] = [rule for name, rule in source()["Rules"].items() if name == "GradualNeedsRelease"]

    assert refers_to(rule["RuleCondition"]) == {"GradualDeployment"}
    assert refers_to(rule["Assertions"]) == {"Release"}
