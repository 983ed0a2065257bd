"""Erasing over the API, and the function that goes on with it."""

from __future__ import annotations

import json

import pytest

from grantkeeper.services.erase_user import SETTLES, erasure_state
from tests.doubles.api import api_of
from tests.doubles.connect_world import BOB
from tests.doubles.deployment import trail
from tests.doubles.provider import Account
from tests.handlers.test_admin import admin
from tests.support.functions import CONTEXT, Function
from tests.unit.services.test_erase_user import furnished, of_hers

TICK = {"source": "aws.scheduler", "detail": "{}"}


@pytest.fixture
def api(monkeypatch):
    api = api_of(monkeypatch, "admin", "account")
    furnished(api.world)
    return api


def ask(api, what, *, sub="usr_alice", as_=None, body=None):
    method = "POST" if what == "erase" else "GET"
    parts = {} if body is None else {"json": body}
    path, route = f"/v1/admin/users/{sub}/{what}", f"/v1/admin/users/{{sub}}/{what}"
    return api.call(method, path, route=route, as_=as_ or admin(api), **parts)


def tick(api, monkeypatch, *, context=CONTEXT):
    function = Function("erasure", api.world.wiring)
    monkeypatch.setattr(function.module.time, "time", lambda: float(api.world.now))
    return function.module.handler(TICK, context)


def test_an_admin_erases_a_user_and_is_told_what_is_left(api):
    """At once: her token is refused, her page says erased and nothing else; what is left is counted by kind."""
    own = api.user("usr_alice", scope="openid profile")
    assert api.call("GET", "/v1/profile", as_=own).status == 200

    answer = ask(api, "erase", body={"confirm": "usr_alice"})

    assert (answer.status, answer.body["state"]) == (202, "erasing")
    assert answer.body["left"] == ask(api, "traces").body["left"] == {"past_connections": 3}
    assert answer.body["removed"]["identities"] == 2
    api.world.now += 31  # what an environment remembers of her
    assert api.call("GET", "/v1/profile", as_=own).status == 401
    shown = api.call("GET", "/v1/admin/users/usr_alice", route="/v1/admin/users/{sub}", as_=admin(api)).body
    assert (shown["status"], shown["email"], shown["name"], shown["counts"]["sessions"]) == ("erased", None, None, 0)
    (entry,) = [entry for entry in trail(api.world.wiring) if entry["action"] == "user.erasure_started"]
    assert entry["actor"] == "user:usr_root"


def test_what_was_begun_ends_by_itself(api, monkeypatch):
    """A tick every five minutes; in the end nothing is listed, and one that was erased is no more looked at."""
    ask(api, "erase", body={"confirm": "usr_alice"})
    api.world.work()

    assert tick(api, monkeypatch) == {"unfinished": 1, "erased": 0, "failed": 0}
    api.world.now += SETTLES
    assert tick(api, monkeypatch) == {"unfinished": 1, "erased": 1, "failed": 0}
    assert tick(api, monkeypatch) == {"unfinished": 0, "erased": 0, "failed": 0}
    proof = ask(api, "traces", as_=api.key(None, "admin:read")).body
    assert (proof["state"], proof["left"], proof["again_at"]) == ("erased", {}, None)
    assert of_hers(api.world, "grants")[1] == []


def test_whoever_is_being_erased_is_listed_as_that_until_it_is_done(api, monkeypatch):
    """So that an operator sees what takes long; of whom nothing is left, no list knows."""
    key = api.key(None, "admin:read")

    def erased():
        page = api.call("GET", "/v1/admin/users", as_=key, query={"status": "erased", "limit": "1"}).body
        return [user["sub"] for user in page["users"]]

    assert erased() == []
    ask(api, "erase", body={"confirm": "usr_alice"})
    assert erased() == ["usr_alice"]
    assert "usr_alice" not in str(api.call("GET", "/v1/admin/users", as_=key).body)

    api.world.work()
    api.world.now += SETTLES
    tick(api, monkeypatch)
    assert erased() == []


def test_one_erasure_that_fails_holds_up_no_other(api, monkeypatch):
    """It has the next tick."""
    for sub in ("usr_alice", "usr_bob"):
        ask(api, "erase", sub=sub, body={"confirm": sub})
    api.world.now += SETTLES
    real = type(api.world.wiring.erasure).traces

    def traces(self, sub):
        if sub == "usr_alice":
            from grantkeeper.errors import StoreUnavailable

            raise StoreUnavailable("not now")
        return real(self, sub)

    monkeypatch.setattr(type(api.world.wiring.erasure), "traces", traces)

    assert tick(api, monkeypatch) == {"unfinished": 2, "erased": 1, "failed": 1}


def test_erasures_that_wait_hold_up_no_other(api, monkeypatch):
    """A tick has room for some, and does not always begin with the same ones."""
    for sub in ("usr_alice", "usr_bob"):
        ask(api, "erase", sub=sub, body={"confirm": sub})
    api.world.now += SETTLES  # hers waits for the provider, whom nobody told

    starts = iter(["usr_a", "usr_b", "usr_z"])
    function = Function("erasure", api.world.wiring)
    monkeypatch.setattr(function.module, "AT_ONCE", 1)
    monkeypatch.setattr(function.module.ids, "new_id", lambda _kind: next(starts))
    looked_at = []
    monkeypatch.setattr(function.module, "_go_on", lambda sub, _context: looked_at.append(sub) or done)
    done = erasure_state("usr_alice", ports=api.world.wiring, now=api.world.now)
    for _ in range(3):
        function.module.handler(TICK, CONTEXT)

    assert looked_at == ["usr_alice", "usr_bob", "usr_alice"]


def test_a_tick_goes_on_until_it_has_to_wait(api, monkeypatch):
    """However many parts that takes: what a user has connected is not served for hours while he is erased."""
    monkeypatch.setattr("grantkeeper.services.erase_user.ROOM", 2)
    for number in range(7):
        api.world.connect(BOB, account=Account(f"bobs-{number}"))
    assert ask(api, "erase", sub="usr_bob", body={"confirm": "usr_bob"}).body["left"]["connections"] == 5

    assert tick(api, monkeypatch) == {"unfinished": 1, "erased": 0, "failed": 0}

    assert ask(api, "traces", sub="usr_bob").body["left"] == {"past_connections": 7}


def test_a_tick_without_time_begins_nothing(api, monkeypatch):
    """What is not begun is not cut off."""
    ask(api, "erase", body={"confirm": "usr_alice"})

    class Late:
        @staticmethod
        def get_remaining_time_in_millis():
            return 1000

    assert tick(api, monkeypatch, context=Late()) == {"unfinished": 1, "erased": 0, "failed": 0}


@pytest.mark.parametrize("body", [{}, {"confirm": "usr_bob"}, {"confirm": "usr_alice", "now": True}, {"confirm": None}])
def test_there_is_no_erasure_by_mistake(api, body):
    """The body names the user once more, and nothing else."""
    assert ask(api, "erase", body=body).status == 400
    assert api.world.wiring.users.get("usr_alice").status == "active"


def test_t10_t11_a_key_erases_nobody_and_nobody_himself(api):
    """Nor does an admin who signed in an hour ago."""
    confirm = {"confirm": "usr_alice"}

    assert ask(api, "erase", as_=api.key(None, "admin:write"), body=confirm).status == 403
    assert ask(api, "erase", as_=admin(api, "late", age=3600), body=confirm).status == 401
    assert ask(api, "erase", sub="usr_root", body={"confirm": "usr_root"}).status == 403
    assert api.world.wiring.users.get("usr_alice").status == "active"


def test_the_trail_of_an_erased_user_names_nobody(api):
    """Who, what and when, by opaque ids; readable for as long as the trail is kept."""
    ask(api, "erase", body={"confirm": "usr_alice"})

    kept = [entry for entry in trail(api.world.wiring) if entry.get("sub") == "usr_alice"]

    assert {"connection.activated", "user.erasure_started", "user.traces_erased"} <= {e["action"] for e in kept}
    assert "alice@example.com" not in json.dumps(kept, default=str)
    assert "Alice" not in json.dumps(kept, default=str)


def test_nobody_is_erased_who_never_was(api):
    """To erase and to look."""
    for what, body in (("erase", {"confirm": "usr_never"}), ("traces", None)):
        assert ask(api, what, sub="usr_never", body=body).status == 404
