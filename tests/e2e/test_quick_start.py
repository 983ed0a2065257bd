"""The quick start, typed in as it stands: its shell in bash, its Python in Python."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import httpx2
import pytest

pytestmark = pytest.mark.stack

PAGE = (Path(__file__).parents[2] / "docs" / "quick-start.md").read_text().partition("## In your AWS account")[0]
SHELL = [block for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL) if "make run" not in block]
[PYTHON] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


class ConnectAgain(Exception):
    """What the page's reader raises where his user has to connect again."""


def test_the_quick_start_ends_with_a_token_its_service_takes(stack, new_browser, walk_through):
    """Four blocks of shell and one of Python, and a browser where the page says there is one."""
    where, connect, complete, read = SHELL
    state = Path(stack.facts["state_dir"]) / "stack.json"
    where = where.replace(".local/stack.json", str(state))
    connect = connect.replace("http://127.0.0.1:8090/connected", stack.connect_redirect_uri)

    opened = typed(where, connect)
    back = walk_through(new_browser(), opened["connect_url"], "quentin")
    known = f"CONNECT_SESSION={back['connect_session']}\n"
    connection = typed(where, known, complete.replace("…/", "/").replace('"…"', f'"{back["confirmation"]}"'))
    answer = typed(where, f"CONNECTION_ID={connection['id']}\n", read)

    assert connection["status"] == "active"
    assert answer["access_token"]
    assert called_with(stack, connection["id"])["generation"] >= answer["generation"]


def typed(*blocks: str) -> dict:
    """What a shell prints that was given these lines."""
    done = subprocess.run(
        ["bash", "-c", "set -e\n" + "".join(blocks)], capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


def called_with(stack, connection_id: str) -> dict:
    """Run the page's Python; its service is the demo provider's userinfo."""

    def call_the_service(token: str) -> httpx2.Response:
        headers = {"authorization": f"Bearer {token}"}
        answer = httpx2.get(f"{stack.demo_provider_url}/userinfo", headers=headers, timeout=10, trust_env=False)
        assert answer.status_code == 200
        return answer

    names = {
        "API": stack.api_url,
        "KEY": stack.client_api_key,
        "connection_id": connection_id,
        "call_the_service": call_the_service,
        "ConnectAgain": ConnectAgain,
    }
    exec(compile(PYTHON, "docs/quick-start.md", "exec"), names)
    return names["token"]
