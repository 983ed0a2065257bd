"""Fixtures that every layer of tests may use. Servers start when a test first asks, once per run."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import aws
from local.bootstrap import CERTIFICATES
from tests.chaos.summary import pytest_terminal_summary  # noqa: F401 - a hook
from tests.support import dynamodb, processes, tables
from tests.support import stack as stacks

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        # Builds need uv and python3.13, which on a bare machine are where local/bootstrap.py put them.
        os.environ["PATH"] = aws.search_path()
        os.environ.update({name: value for name, value in CERTIFICATES.items() if name not in os.environ})
        os.environ[processes.RUN_DIR_VARIABLE] = tempfile.mkdtemp(prefix="grantkeeper-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return  # the controller stops the servers, when the last worker is done
    directory = os.environ.pop(processes.RUN_DIR_VARIABLE, None)
    if directory is not None:
        processes.stop_all(Path(directory))
        shutil.rmtree(directory, ignore_errors=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failure: nothing may be green because it did not run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def need(reason: str | None) -> None:
    """Skip for a missing tool on a developer's machine; fail for it in CI, where nothing may be skipped."""
    if reason is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def free_port() -> int:
    return processes.free_port()


@pytest.fixture(scope="session")
def dynamodb_local() -> str:
    """The URL of DynamoDB Local."""
    need(dynamodb.missing())
    return dynamodb.endpoint_url()


@pytest.fixture(scope="session")
def dynamodb_client(dynamodb_local: str) -> Iterator[Any]:
    """A low-level DynamoDB client of DynamoDB Local; safe to share between threads."""
    client = dynamodb.client(dynamodb_local)
    yield client
    client.close()


@pytest.fixture
def dynamodb_tables(dynamodb_local: str, dynamodb_client: Any) -> Iterator[tables.Tables]:
    """Grants, Requests and Audit, empty, as template.yaml defines them: a set of its own for each test."""
    made = tables.create(dynamodb_client, suffix=secrets.token_hex(6), endpoint_url=dynamodb_local)
    yield made
    tables.drop(made)


@pytest.fixture(scope="session")
def demo_provider() -> str:
    """The URL of an `oidc-provider-mock` whose tokens live 5 seconds; the stack has one of its own."""
    return stacks.start_demo_provider()


@pytest.fixture(scope="session")
def oidc_provider() -> stacks.OidcProvider:
    """npm's `oidc-provider`: strict, rotating; the stack knows it as `rotating`."""
    need(stacks.missing_node())
    return stacks.start_oidc_provider()


@pytest.fixture(scope="session")
def stack() -> stacks.Stack:
    """The real template, deployed to the emulator, behind the edge: once per run, with both providers registered."""
    need(stacks.missing_local_run())
    need(stacks.missing_node())
    return stacks.start_stack(stacks.start_oidc_provider())


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium (Playwright's Browser); open a context of its own for each person."""
    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    need(None if executable else "Chromium is missing: the tests in a browser need it.")
    from playwright.sync_api import sync_playwright

    # Chromium's sandbox refuses to run as root, as containers do.
    sandbox = os.geteuid() != 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, chromium_sandbox=sandbox)
        yield browser
        browser.close()
