"""How the template is deployed; cfn-lint reads it, and the web ACL's, in `make check`."""

from __future__ import annotations

import tomllib

import click
import pytest
from samcli.cli.types import CfnParameterOverridesType

from tests.infrastructure.template import ROOT, source


def test_samconfig_sets_parameters_that_exist():
    """A misspelt override is an error at deployment; here it is one before."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())

    for environment in ("default", "local", "staging", "production"):
        for override in config[environment]["deploy"]["parameters"]["parameter_overrides"]:
            if override.startswith("file://"):
                continue
            name, _, value = override.partition("=")
            assert value in map(str, source()["Parameters"][name].get("AllowedValues", [value]))


def test_production_names_its_release_in_a_file(tmp_path, monkeypatch):
    """SAM's own reader finds the name in the file among the list, a commit of digits too; without the file it stops."""
    overrides = tomllib.loads((ROOT / "samconfig.toml").read_text())["production"]["deploy"]["parameters"][
        "parameter_overrides"
    ]
    monkeypatch.chdir(tmp_path)

    with pytest.raises(click.BadParameter, match="not found"):
        CfnParameterOverridesType().convert(overrides, None, None)

    (tmp_path / ".aws-sam").mkdir()
    (tmp_path / ".aws-sam" / "release.yaml").write_text('Release: "1234567"\n')
    read = CfnParameterOverridesType().convert(overrides, None, None)
    assert read["Release"] == "1234567"
    assert read["GradualDeployment"] in source()["Parameters"]["GradualDeployment"]["AllowedValues"]


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_a_deployment_is_shown_before_it_is_done_and_is_tagged(environment):
    """Somebody reads the change set; the bill knows whose resources they are."""
    deploy = tomllib.loads((ROOT / "samconfig.toml").read_text())[environment]["deploy"]["parameters"]

    assert deploy["confirm_changeset"] is True
    assert {"project=grantkeeper", f"stage={environment}"} <= set(deploy["tags"])
    assert deploy["capabilities"] == ["CAPABILITY_IAM"]


def test_only_the_local_environment_builds_where_the_emulator_deploys_from():
    """A layer built for this machine cannot be deployed to AWS by forgetting to build again."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())

    for environment in ("default", "staging", "production"):
        built = config[environment]["build"]["parameters"]
        assert config[environment]["deploy"]["parameters"]["template_file"] == f"{built['build_dir']}/template.yaml"
        assert not built.get("cached")
        assert "LocalRun=1" not in config[environment]["deploy"]["parameters"]["parameter_overrides"]
    assert "build_dir" not in config["local"]["build"]["parameters"]
