"""`make run` as a newcomer meets it: what it says, what it refuses, what it leaves behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from tests.support.processes import free_port, listening

ROOT = Path(__file__).parents[2]


def run(*options, env=None, **about):
    command = [sys.executable, "-m", "local.run", *map(str, options)]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **about,
    )


def test_a_busy_port_is_one_sentence(tmp_path):
    """
    The port, what it is for and the way out; exit code 1, nothing started.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = run("--port", port, "--state-dir", tmp_path)

    assert done.returncode == 1
    assert done.stdout.strip() == (
        f"Port {port} for the API is in use: stop what uses it or choose another with --port (make run PORT=…)."
    )
    assert not (tmp_path / "stack.json").exists()


def test_a_missing_tool_is_one_sentence(tmp_path):
    """
    Without make there is no build; the sentence says what to install.
    """
    done = run("--port", 0, "--state-dir", tmp_path, env={"PATH": str(tmp_path)})

    assert done.returncode == 1
    assert done.stdout.startswith("`make` is missing") or done.stdout.startswith("`uv` is missing")
    assert done.stdout.count("\n") == 1


def test_a_broken_provider_file_is_one_sentence(tmp_path):
    """
    It is read before anything is started.
    """
    file = tmp_path / "providers.yaml"
    file.write_text("corp: {issuer: https://id.example}")

    done = run("--port", 0, "--state-dir", tmp_path, "--providers", file)

    assert done.returncode == 1
    assert "providers.yaml: corp: credentials: {client_id: …, client_secret: …} is missing." in done.stdout
    assert done.stdout.count("\n") == 1


def test_a_stop_while_starting_leaves_nothing_running(tmp_path):
    """
    SIGTERM in the middle of a step ends the emulator too.
    """
    emulator = free_port()
    command = [sys.executable, "-m", "local.run", "--port", "0", "--ministack-port", str(emulator)]
    process = subprocess.Popen([*command, "--state-dir", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert "Start the AWS emulator" in process.stdout.readline()
    assert listening(emulator)

    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=30)

    assert process.returncode == 0
    assert "Nothing is left running." in said
    assert not listening(emulator)
    assert not (tmp_path / "stack.json").exists()


@pytest.mark.stack
def test_a_second_run_is_refused_while_one_is_up(stack):
    """
    One state directory, one run; the first goes on.
    """
    state = Path(stack.facts["state_dir"])

    done = run("--port", 0, "--state-dir", state)

    assert done.returncode == 1
    assert (
        done.stdout.strip() == f"A local run is up already (process {stack.facts['pid']}); stop it with Ctrl-C first."
    )
    assert httpx2.get(f"{stack.api_url}/health").status_code == 200


@pytest.mark.stack
def test_stack_json_is_the_owners_alone(stack):
    """
    It holds keys: nobody else on the machine may read it.
    """
    file = Path(stack.facts["state_dir"]) / "stack.json"

    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text()) == stack.facts


@pytest.mark.stack
def test_unknown_routes_answer_as_at_aws(stack):
    """
    404 from API Gateway, not from a function.
    """
    response = httpx2.get(f"{stack.api_url}/no/such/route")

    assert (response.status_code, response.json()) == (404, {"message": "Not Found"})


@pytest.mark.stack
def test_everything_listens_on_the_loopback_interface_only(stack):
    """
    Ports of the run are closed on every other address of this machine.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; tells which address would
        except OSError:
            return  # this machine has the loopback interface only
        address = probe.getsockname()[0]
    urls = (stack.api_url, stack.aws_endpoint_url, stack.demo_provider_url, stack.facts["demo_app_url"])

    for url in urls:
        with socket.socket() as knock:
            knock.settimeout(2)

            assert knock.connect_ex((address, httpx2.URL(url).port)) != 0


@pytest.mark.stack
def test_the_schedule_fires_the_sweeper(stack):
    """
    EventBridge Scheduler invokes it every minute, without our help.
    """
    logs = stack.aws("logs")
    group = next(g["logGroupName"] for g in logs.describe_log_groups()["logGroups"] if "Sweeper" in g["logGroupName"])
    deadline = time.monotonic() + 200
    starts = 0
    while time.monotonic() < deadline and starts < 2:  # the first was the local run's own
        events = logs.filter_log_events(logGroupName=group)["events"]
        starts = sum(event["message"].startswith("START") for event in events)
        time.sleep(1)

    assert starts >= 2
