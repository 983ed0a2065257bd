"""People, their browsers and a client's backend, against the deployed stack."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.browser import Browser, query_of, relying_party
from tests.support.stack import ROTATING, Stack

ROOT = Path(__file__).parents[2]
PATIENCE = 150.0  # seconds: a machine may be slow, and another test may hold the worker or the queue for a while


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx2.Client]:
    """Calls to the API as the test says, without any credential of its own."""
    with httpx2.Client(base_url=stack.api_url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def backend(stack: Stack) -> Iterator[httpx2.Client]:
    """The client's backend: it holds an API key with connections:token."""
    headers = {"x-api-key": stack.client_api_key}
    with httpx2.Client(base_url=stack.api_url, headers=headers, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def new_browser() -> Iterator[Callable[[], Browser]]:
    """A browser of its own for each person."""
    opened: list[Browser] = []

    def make() -> Browser:
        opened.append(Browser())
        return opened[-1]

    yield make
    for browser in opened:
        browser.close()


@pytest.fixture
def sign_in(stack: Stack) -> Callable[..., dict[str, Any]]:
    """Sign a person in with openid-client; returns tokens, claims and userinfo."""

    def run(
        browser: Browser, login: str, *, provider: str = ROTATING, scope: str = "openid profile email"
    ) -> dict[str, Any]:
        scope = f"{scope} offline_access connections:read connections:write"
        started = relying_party("start", stack.api_url, stack.client_id, stack.redirect_uri, scope, provider)
        assert "url" in started, started
        back = browser.open(started["url"], until=stack.redirect_uri, login=login)
        assert isinstance(back, str), (back.status_code, back.text[:2000])
        finished = relying_party("finish", stack.api_url, stack.client_id, back, given=started)
        assert "access_token" in finished, {k: v for k, v in finished.items() if "token" not in k}
        return finished

    return run


@pytest.fixture
def walk_through(stack: Stack) -> Callable[[Browser, str, str], dict[str, str]]:
    """Take a browser from a connect URL through the provider's pages; returns what the client's page is told."""

    def run(browser: Browser, connect_url: str, login: str) -> dict[str, str]:
        back = browser.open(connect_url, until=stack.connect_redirect_uri, login=login)
        assert isinstance(back, str), (back.status_code, back.text[:2000])
        return query_of(back)

    return run


@pytest.fixture
def grantkeeper(stack: Stack) -> Callable[..., str]:
    """Run the operator's command as a person would, with no AWS credentials but those of the local run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env = kept | {"GRANTKEEPER_LOCAL_STACK": str(Path(stack.facts["state_dir"]) / "stack.json")}

    def run(*arguments: str, given: str = "") -> str:
        command = [sys.executable, "-m", "cli", "--local", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=env, input=given, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def eventually(check: Callable[[], Any], *, seconds: float = PATIENCE, every: float = 0.5) -> Any:
    """The first truthy answer within `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = check()
        if answer:
            return answer
        time.sleep(every)
    raise AssertionError(f"not within {seconds:.0f} s")
