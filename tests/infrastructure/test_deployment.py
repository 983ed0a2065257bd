"""What a deployment's parameters change, and what none of them may."""

from __future__ import annotations

import re
from itertools import product

import pytest
from samcli.yamlhelper import yaml_parse

from grantkeeper.edge.front_door import SECRET
from tests.infrastructure.template import ROOT, deployed, refers_to, source, translated

DOMAIN = {"CustomDomainName": "id.example.com", "CertificateArn": "arn:aws:acm:eu-west-1:111122223333:certificate/a"}
CDN = DOMAIN | {
    "CdnCertificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/b",
    "OriginSecret": "0123456789abcdef0123456789abcdef",
}
WEB_ACL = {"WebAclArn": "arn:aws:wafv2:us-east-1:111122223333:global/webacl/g/1"}
GRADUAL = {"GradualDeployment": "LambdaCanary10Percent10Minutes", "Release": "abc1234"}
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"  # policies of AWS, by their ids
WITH_VIEWER_ADDRESS = "33f36d7e-f396-46d9-90e0-52428a34d9dc"
CALLED = ("Discovery", "Authorize", "Callback", "Session", "Connections", "Account", "Refresh")
STATEFUL = ("AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::SQS::Queue", "AWS::ApiGatewayV2::Api", "AWS::Logs::LogGroup")
OPTIONS = [
    GRADUAL,
    {"WiderAlarms": "true", "Dashboard": "true", "AlarmTopicArn": "arn:aws:sns:eu-west-1:1:alarms"},
    CDN | WEB_ACL,
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


@pytest.mark.parametrize("function", CALLED)
def test_gradually_a_version_is_new_exactly_when_what_runs_is(function):
    """
    Its description replaces it, so it names what the function is made of: the release, the layer, its parameters. And
    nothing else: CloudFormation fails on a version of a function that is as it was.
    """
    described = refers_to(deployed(**GRADUAL)[f"{function}Version"]["Properties"]["Description"])
    made_of = translated()["Resources"][f"{function}Function"]["Properties"]
    parameters = set(source()["Parameters"]) & refers_to(made_of["Environment"])
    never_changed = {"PublicUrl", "CustomDomainName"}  # the issuer

    assert parameters - never_changed == described & set(source()["Parameters"])
    assert described - set(source()["Parameters"]) == refers_to(made_of["Layers"])
    assert "Release" in parameters


def test_gradually_a_versions_description_is_never_too_long():
    """256 letters: with the longest release, two hashes and the largest numbers."""
    longest = {"Release": "r" * 40, "OriginSecretHashes": "0" * 129, "LogLevel": "CRITICAL"}
    numbers = {"CallsPerMinute": "9" * 9, "AuditRetentionDays": "3653", "DueShards": "256"}
    description = deployed(**GRADUAL)["RefreshVersion"]["Properties"]["Description"]["Fn::Join"]
    separator, (_, _, words) = description[0], description[1]
    filled = re.sub(r"\$\{([A-Za-z]+)\}", lambda name: (longest | numbers)[name[1]], words["Fn::Sub"])

    assert len(separator.join((longest["Release"], "99999", filled))) <= 256


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


# --- the distribution ---


def test_the_distribution_stands_before_the_domain_and_tells_the_api_who_it_is():
    """It answers under the API's own name, over TLS 1.2 and better, and carries the secret."""
    resources = deployed(**CDN)
    config = resources["Distribution"]["Properties"]["DistributionConfig"]
    [origin] = config["Origins"]

    assert config["Aliases"] == [{"Ref": "CustomDomainName"}]
    assert config["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    assert origin["DomainName"] == {"Fn::GetAtt": ["CustomDomain", "RegionalDomainName"]}
    assert origin["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
    assert origin["OriginCustomHeaders"] == [{"HeaderName": SECRET, "HeaderValue": {"Ref": "OriginSecret"}}]
    assert resources["HttpApi"]["Properties"]["DisableExecuteApiEndpoint"] is True
    assert "WebACLId" not in config
    assert deployed(**CDN, **WEB_ACL)["Distribution"]["Properties"]["DistributionConfig"]["WebACLId"] == {
        "Ref": "WebAclArn"
    }


def test_the_distribution_keeps_public_documents_and_nothing_else():
    """What could hold a token, a code or a name is never kept; what is, Discovery or Console answers."""
    config = deployed(**CDN)["Distribution"]["Properties"]["DistributionConfig"]
    kept = {behaviour["PathPattern"].rstrip("*"): behaviour for behaviour in config["CacheBehaviors"]}
    paths = [
        (body["Properties"]["RouteKey"].split()[1], next(iter(refers_to(body["Properties"]["Target"]))))
        for body in of_kind(deployed(), "AWS::ApiGatewayV2::Route").values()
    ]

    assert config["DefaultCacheBehavior"]["CachePolicyId"] == CACHING_DISABLED
    assert {b["OriginRequestPolicyId"] for b in [config["DefaultCacheBehavior"], *kept.values()]} == {
        WITH_VIEWER_ADDRESS
    }
    assert {b["ViewerProtocolPolicy"] for b in [config["DefaultCacheBehavior"], *kept.values()]} == {"https-only"}
    for start, behaviour in kept.items():
        answering = {integration for path, integration in paths if path.startswith(start)}
        assert answering
        assert answering <= {"DiscoveryIntegration", "ConsoleIntegration"}, start
        assert set(behaviour["AllowedMethods"]) == {"GET", "HEAD", "OPTIONS"}
    assert not [start for start in kept if "/console?code=1".startswith(start)]  # back from a sign-in
    policy = deployed(**CDN)["DistributionCachePolicy"]["Properties"]["CachePolicyConfig"]
    assert (policy["MinTTL"], policy["DefaultTTL"]) == (0, 0)


def test_the_distribution_keeps_no_error_that_one_caller_got_for_the_next():
    """
    Where nothing is said CloudFront keeps them for ten seconds, under the path alone and whatever `Cache-Control` says.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/HTTPStatusCodes.html
    """
    config = deployed(**CDN)["Distribution"]["Properties"]["DistributionConfig"]
    said = {each["ErrorCode"]: each for each in config["CustomErrorResponses"]}

    assert set(said) == {404, 414, 500, 501, 502, 503, 504}
    for each in said.values():
        assert each["ErrorCachingMinTTL"] == 0
        assert "ResponsePagePath" not in each  # the answer is ours


def test_the_secret_reaches_the_distribution_and_only_its_hash_the_functions():
    """Who may read a function's configuration cannot pass for the distribution."""
    assert source()["Parameters"]["OriginSecret"]["NoEcho"] is True
    holders = {name for name, body in deployed(**CDN).items() if "OriginSecret" in refers_to(body.get("Properties"))}

    assert holders == {"Distribution"}
    for body in of_kind(deployed(), "AWS::Lambda::Function").values():
        variables = body["Properties"]["Environment"]["Variables"]
        assert variables["ORIGIN_SECRET_HASHES"] == {"Ref": "OriginSecretHashes"}


@pytest.mark.parametrize(
    ("rule", "given", "needed"),
    [
        ("DistributionNeedsDomainAndSecret", "CdnCertificateArn", {"CustomDomainName", "OriginSecret"}),
        ("WebAclNeedsDistribution", "WebAclArn", {"CdnCertificateArn"}),
        ("HashesNeedDistribution", "OriginSecretHashes", {"CdnCertificateArn"}),
    ],
)
def test_half_a_distribution_is_refused_before_anything_is_made(rule, given, needed):
    """A secret nobody sends would lock everybody out; a web ACL with nothing to stand before would seem to protect."""
    body = source()["Rules"][rule]

    assert refers_to(body["RuleCondition"]) == {given}
    assert refers_to(body["Assertions"]) == needed


def test_the_web_acl_samples_no_request():
    """A sample would hold codes, states and tickets, for three hours, for whoever may look at WAF."""
    acl = yaml_parse((ROOT / "waf.yaml").read_text())["Resources"]["WebAcl"]["Properties"]

    assert acl["Scope"] == "CLOUDFRONT"
    for each in (acl, *acl["Rules"]):
        assert each["VisibilityConfig"]["SampledRequestsEnabled"] is False
    assert sorted(rule["Priority"] for rule in acl["Rules"]) == list(range(len(acl["Rules"])))


def test_the_list_of_what_a_deployer_may_do_names_every_service_of_the_template():
    """A resource of a new service would fail at the first deployment by somebody with only those rights."""
    page = (ROOT / "docs" / "deployment.md").read_text()
    rows = set(re.findall(r"^\| ([a-z0-9]+) \|", page.partition("## The role that deploys")[2], re.MULTILINE))
    services = {body["Type"].split("::")[1].lower() for body in translated()["Resources"].values()}

    assert {service.removesuffix("v2") for service in services} <= rows


def test_the_list_of_what_a_deployer_may_do_lets_him_hand_on_every_role():
    """Whoever passes a role needs a word for each service that takes it, the webhook's among them."""
    page = (ROOT / "docs" / "deployment.md").read_text()
    [row] = [line for line in page.splitlines() if line.startswith("| iam |")]
    roles = of_kind(translated()["Resources"], "AWS::IAM::Role").values()
    takers = {
        statement["Principal"]["Service"].partition(".")[0]
        for role in roles
        for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    }

    assert "events" in takers
    assert takers <= set(re.findall(r"[a-z]+", row.partition("PassRole to ")[2].partition(";")[0]))


def test_parameters_of_a_deployment_are_explained_where_they_may_be_changed():
    """docs/upgrading.md says of each what becomes of a running stack."""
    rows = (ROOT / "docs" / "upgrading.md").read_text().partition("## Parameters")[2]
    told = set(re.findall(r"`([A-Z][A-Za-z]+)`", rows))

    assert set(source()["Parameters"]) - told == set()


def test_the_web_acl_limits_pages_by_address_and_nothing_that_backends_call():
    """A backend is one address for all its users."""
    acl = yaml_parse((ROOT / "waf.yaml").read_text())["Resources"]["WebAcl"]["Properties"]
    [limit] = [rule["Statement"]["RateBasedStatement"] for rule in acl["Rules"] if "Action" in rule]
    match = limit["ScopeDownStatement"]["RegexMatchStatement"]
    changed = sorted(match["TextTransformations"], key=lambda each: each["Priority"])
    assert [each["Type"] for each in changed] == ["URL_DECODE", "NORMALIZE_PATH"]  # /oauth2/%61uthorize, /x/../connect
    limited = re.compile(match["RegexString"])
    routes = {
        body["Properties"]["RouteKey"].split()[1] for body in of_kind(deployed(), "AWS::ApiGatewayV2::Route").values()
    }
    pages = {path for path in routes if limited.match(path.replace("{", "").replace("}", ""))}

    assert pages == {
        "/oauth2/authorize",
        "/oauth2/callback/{provider}",
        "/oauth2/end-session",
        "/connect/{ticket}",
        "/link/{ticket}",
        "/consent/{ticket}",
    }
