"""
schemathesis against the deployed stack (W-19): what the description says is what is answered, whatever is sent.

Every route by everybody it is for, and the public ones by nobody. `SCHEMATHESIS_CASES` asks for more cases than one
round makes, as the nightly run does (100,000); each round has the next seed, so that any of them can be made again with
`SCHEMATHESIS_SEED`. The summary is printed and written to artifacts/schemathesis.json.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from local.seed import CLIENT_KEY_SCOPES
from tests.e2e.schemathesis_runs import CHECKS, Outcome, Run, run
from tests.support.described import description
from tests.support.stack import ROTATING

ROOT = Path(__file__).parents[2]
ARTIFACT = ROOT / "artifacts" / "schemathesis.json"
CASES = int(os.environ.get("SCHEMATHESIS_CASES", "0"))  # at least; one round makes some 1,500
SEED = int(os.environ.get("SCHEMATHESIS_SEED", "1"))
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "2"))
DROWNED = 0.3  # of a caller's answers, at most, may be 429: or the limits were tested and nothing else
ENDS_ITSELF = "DELETE /v1/sessions"  # whoever calls it is nobody afterwards
PACE = 3  # cases a second, at the least
AT_ONCE = 2  # processes: one waits where the other computes
HIS_OWN = "/v1/connections/{id}"  # the first person has one
IN_THE_FORM = ("client_id", "client_secret", "client_assertion", "client_assertion_type")  # and not in the header too
OPERATOR_SCOPES = ("admin:read", "admin:write", "audit:read", "metrics:read")
DESK = "/v1/admin"  # what a plain user is refused there, whatever he sends, test_access_matrix holds
PEOPLE = 8  # who share a user's routes, so that nobody's minute is spent

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("schemathesis"), pytest.mark.timeout(600 + CASES // PACE)]


def test_w19_whatever_is_sent_is_answered_as_described(
    stack, tmp_path, new_browser, sign_in, walk_through, grantkeeper, capsys
):
    """No 5xx, no undescribed status, type or form, nothing accepted that the description refuses."""
    outcomes, wrong, round_ = [], [], 0
    begun = time.monotonic()
    while round_ == 0 or sum(outcome.cases for outcome in outcomes) < CASES:
        seed = SEED + round_

        def let_loose(wanted: Run, seed: int = seed) -> Outcome:
            place = tmp_path / f"{seed} {wanted.name}"
            return run(wanted, description(), api_url=stack.api_url, directory=place, examples=EXAMPLES, seed=seed)

        *together, last = _runs(stack, new_browser, sign_in, walk_through, grantkeeper, round_)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = [*pool.map(let_loose, together), let_loose(last)]
        wrong += [f"{each.name}, seed {seed}:\n{each.text}" for each in found if each.failures or not each.complete]
        outcomes += found
        round_ += 1

    summary = _summary(outcomes, rounds=round_, seconds=time.monotonic() - begun)
    ARTIFACT.parent.mkdir(exist_ok=True)
    ARTIFACT.write_text(json.dumps(summary, indent=2) + "\n")
    with capsys.disabled():
        print(f"\nschemathesis: {json.dumps(summary)}")
    assert not wrong, "\n".join(wrong)
    for caller, told in summary["callers"].items():
        drowned = told["statuses"].get("429", 0) / max(1, sum(told["statuses"].values()))
        assert drowned < DROWNED, (caller, told)
    assert summary["callers"]["user"]["statuses"].get("200"), "he is somebody"
    assert summary["callers"]["client key"]["statuses"].get("200"), "its key opens something"


def _runs(stack, new_browser, sign_in, walk_through, grantkeeper, round_):
    """Who asks for what, with credentials made for this round: an access token lives 15 minutes."""
    people, browsers = [], [new_browser() for _ in range(PEOPLE)]
    for number, browser in enumerate(browsers):
        signed_in = sign_in(browser, f"ada-{round_}-{number}", scope="openid profile email account:write")
        people.append({"Authorization": f"Bearer {signed_in['access_token']}"})
    connection = _connected(stack, browsers[0], people[0], f"ada-{round_}-0", walk_through)
    key = httpx2.post(
        f"{stack.api_url}/v1/api-keys",
        headers=people[0],
        trust_env=False,
        timeout=30,
        json={"name": "fuzz", "scopes": ["connections:read", "connections:write"], "expires_in_days": 1},
    )
    assert key.status_code == 201, key.text
    told = grantkeeper(
        "clients", "register", "--name", "Fuzz", "--confidential", "--redirect-uri", "http://127.0.0.1/back", "--json"
    )
    client = json.loads(told)
    basic = base64.b64encode(f"{client['client_id']}:{client['client_secret']}".encode()).decode()
    here = {
        "id": connection,
        "user_id": "42",
        "service": ROTATING,
        "status": "active",
        "client_id": stack.client_id,
        "redirect_uri": stack.connect_redirect_uri,
    }

    for n in range(AT_ONCE):
        yield Run(f"nobody {n}", _public()[n::AT_ONCE])
    for_users = [route for route in _for("user") if route != ENDS_ITSELF and DESK not in route]
    yield Run("user 0", tuple(route for route in for_users if HIS_OWN in route), "user", people[0], here)
    for n, person in enumerate(people[1:], 1):
        rest = sorted((route for route in for_users if HIS_OWN not in route), key=lambda r: r.startswith("GET"))
        yield Run(f"user {n}", tuple(rest[n - 1 :: PEOPLE - 1]), "user", person, here)
    yield Run("user key", _for("user_key"), "user_key", {"X-API-Key": key.json()["api_key"]}, here)
    # keys of their own: wrong ones are tried as well, and whoever guesses at a key waits, with him who has it
    of_client = _key(grantkeeper, "--client", stack.client_id, scopes=CLIENT_KEY_SCOPES)
    yield Run("client key", _for("client_key"), "client_key", of_client, here)
    # What a list answers, schemathesis takes for ids elsewhere. So what changes something is asked by a process that
    # has seen no list: or it revokes the keys of others, and its own.
    reads = tuple(route for route in _for("operator_key") if route.startswith("GET"))
    changes = tuple(route for route in _for("operator_key") if not route.startswith("GET"))
    for name, routes in (("operator", reads), ("operator, changes", changes)):
        yield Run(name, routes, "operator_key", _key(grantkeeper, scopes=OPERATOR_SCOPES))
    yield Run("client", _for("client"), "client", {"Authorization": f"Basic {basic}"}, without=IN_THE_FORM)
    yield Run("user, at last", (ENDS_ITSELF,), "user", people[1])


def _key(grantkeeper, *whose, scopes):
    """The header of a key made for this run."""
    each = [text for scope in scopes for text in ("--scope", scope)]
    made = json.loads(grantkeeper("api-keys", "create", "--name", "fuzz", *whose, *each, "--json"))
    return {"X-API-Key": made["api_key"]}


def _routes():
    for path, methods in description()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def _for(scheme):
    """The routes that take a kind of credential."""
    return tuple(route for route, operation in _routes() if any(scheme in each for each in operation["security"]))


def _public():
    return tuple(route for route, operation in _routes() if not operation["security"])


def _connected(stack, browser, person, login, walk_through):
    """A connection of the person's, at the client whose key asks as well: so that an id means something."""
    with httpx2.Client(base_url=stack.api_url, headers=person, timeout=30, trust_env=False) as http:
        wanted = {"service": ROTATING, "redirect_uri": stack.connect_redirect_uri}
        opened = http.post("/v1/connect-sessions", json=wanted)
        assert opened.status_code == 201, opened.text
        told = walk_through(browser, opened.json()["connect_url"], login)
        url = f"/v1/connect-sessions/{told['connect_session']}/complete"
        confirmed = http.post(url, json={"confirmation": told["confirmation"]})
        assert confirmed.status_code == 200, confirmed.text
        return confirmed.json()["id"]


def _summary(outcomes, *, rounds, seconds):
    callers = {}
    for outcome in outcomes:
        told = callers.setdefault(
            outcome.name.rstrip(" 0123456789"), {"cases": 0, "failures": {}, "statuses": Counter()}
        )
        told["cases"] += outcome.cases
        told["statuses"].update({str(status): count for status, count in outcome.statuses.items()})
        for check, count in outcome.failures.items():
            told["failures"][check] = told["failures"].get(check, 0) + count
    return {
        "cases": sum(outcome.cases for outcome in outcomes),
        "failures": sum(sum(outcome.failures.values()) for outcome in outcomes),
        "rounds": rounds,
        "seeds": [SEED, SEED + rounds - 1],
        "checks": list(CHECKS),
        "seconds": round(seconds),
        "callers": {
            name: told | {"statuses": dict(sorted(told["statuses"].items()))} for name, told in callers.items()
        },
    }
