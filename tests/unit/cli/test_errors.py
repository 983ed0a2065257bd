"""What goes wrong between an operator's machine and AWS is told in one sentence with the next step."""

from __future__ import annotations

import botocore.exceptions as aws
import click
import pytest

from cli import main as module
from cli.errors import of_aws, sentence
from cli.main import cli, main
from cli.stack import Stack
from grantkeeper.errors import NotFound, StoreUnavailable


def refused(code, message="no", operation="GetItem"):
    return aws.ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    ("error", "next_step"),
    [
        (aws.NoCredentialsError(), "aws sso login"),
        (aws.ProfileNotFound(profile="x"), "aws configure list-profiles"),
        (aws.NoRegionError(), "set AWS_REGION"),
        (aws.EndpointConnectionError(endpoint_url="https://x"), "check the network and AWS_REGION"),
        (aws.ConnectTimeoutError(endpoint_url="https://x"), "check the network and AWS_REGION"),
        (aws.UnauthorizedSSOTokenError(), "log in again"),
        (refused("ExpiredToken"), "log in again"),
        (refused("InvalidClientTokenId"), "check AWS_PROFILE"),
        (refused("RequestTimeTooSkewed"), "set the clock"),
        (refused("AccessDeniedException"), "may not call GetItem: use a role that may"),
        (refused("ValidationError", "Stack with id prod does not exist", "DescribeStacks"), "There is no stack prod"),
        (refused("Throttled", "slow down"), "GetItem answered Throttled: slow down"),
    ],
)
def test_what_aws_refuses_comes_with_the_next_step(error, next_step):
    """One sentence or two, no stack trace."""
    told = sentence(error, stack="prod", local=False)

    assert next_step in told
    assert "\n" not in told


def test_a_local_stack_that_is_gone_is_told_as_such():
    """Nobody looks at his network then."""
    error = aws.EndpointConnectionError(endpoint_url="http://127.0.0.1:4566")

    assert "is `make run` still running?" in sentence(error, stack="grantkeeper-local", local=True)


def test_the_cause_of_a_stores_error_is_found():
    """The stores say that they got no answer; why stands behind it."""
    cause = refused("AccessDeniedException")
    error = StoreUnavailable("The store refused the call.")
    error.__cause__ = cause

    assert of_aws(error) is cause
    assert of_aws(cause) is cause
    assert of_aws(StoreUnavailable("None behind it.")) is None


@pytest.fixture
def failing(monkeypatch):
    """A command that fails as told."""

    def make(error):
        @click.command("fail")
        def fail():
            raise error

        monkeypatch.setitem(cli.commands, "fail", fail)

        def run(*arguments):
            with pytest.raises(SystemExit) as ended:
                main([*arguments, "fail"])
            return ended.value.code

        return run

    return make


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (refused("ExpiredToken"), 1, "Error: Your AWS session has ended"),
        (NotFound("There is no such thing."), 1, "There is no such thing."),
        (click.UsageError("Not like this."), 2, "Not like this."),
        (click.Abort(), 130, "Aborted."),
        (click.exceptions.Exit(1), 1, ""),
        (click.exceptions.Exit(0), 0, ""),
    ],
)
def test_exit_codes_are_those_that_are_documented(failing, capsys, error, code, told):
    """And what is said is on standard error."""
    assert failing(error)() == code
    assert code in module.EXIT_CODES

    out, err = capsys.readouterr()
    assert told in err
    assert out == ""


def test_a_bug_is_not_told_as_somebodys_mistake(failing):
    """Its trace is what we need."""
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError())()


def test_a_stack_that_is_not_there_is_told_with_what_to_do(monkeypatch):
    """From the real client, against a port where nobody listens."""
    there = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1"}
    for name, value in (there | {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}).items():
        monkeypatch.setenv(name, value)

    with pytest.raises(click.ClickException, match="AWS does not answer"):
        Stack("prod").environment()
