"""Processes of the local run: started in groups, stopped whole."""

import os
import socket
import sys
import time

import pytest

from local.children import Children, LocalRunError, free_port, is_free, require_free

ENV = {"PATH": os.environ["PATH"]}


@pytest.fixture
def children(tmp_path):
    made = Children(tmp_path)
    yield made
    made.stop()


def gone(pid):
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_stopping_reaches_grandchildren(children, tmp_path):
    """
    A server's own children, and those that ignore SIGTERM, are gone afterwards.
    """
    script = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN) if os.fork() == 0 else None\n"
        f"open({str(tmp_path)!r} + f'/{{os.getpid()}}.started', 'w').close()\n"
        "time.sleep(600)\n"
    )
    children.start("server", [sys.executable, "-W", "ignore", "-c", script], env=ENV)
    children.wait("server", lambda: len(list(tmp_path.glob("*.started"))) == 2, seconds=20)
    pids = [int(path.stem) for path in tmp_path.glob("*.started")]

    children.stop()

    assert all(gone(pid) for pid in pids)


def test_a_failed_command_shows_the_end_of_its_output(children, tmp_path):
    """
    The reader sees why, without opening the log.
    """
    with pytest.raises(LocalRunError, match="no such thing"):
        children.run(
            "build", [sys.executable, "-c", "raise SystemExit('no such thing')"], env=ENV, cwd=tmp_path, seconds=20
        )


def test_a_command_that_hangs_is_ended(children, tmp_path):
    """
    Nothing runs longer than it was given.
    """
    with pytest.raises(LocalRunError, match="took longer than 1 seconds"):
        children.run("build", [sys.executable, "-c", "import time; time.sleep(60)"], env=ENV, cwd=tmp_path, seconds=1)


def test_a_server_that_ends_at_once_is_reported(children):
    """
    Waiting for it ends as soon as it has ended.
    """
    children.start("server", [sys.executable, "-c", "raise SystemExit('port taken')"], env=ENV)

    with pytest.raises(LocalRunError, match="port taken"):
        children.wait("server", lambda: False, seconds=20)
    assert children.dead() == "server"


def test_a_busy_port_is_named():
    """
    One sentence says which port, for what, and how to choose another.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(LocalRunError, match=f"Port {port} for the API is in use: .* --port"):
            require_free(port, "the API", "--port")
        assert free_port(port) != port
    assert is_free(port)
