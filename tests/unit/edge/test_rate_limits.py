"""How often anybody may call, and how fast anybody may guess."""

from __future__ import annotations

from typing import Any

import pytest

from grantkeeper.api_key_format import ApiKeyText, new_api_key
from grantkeeper.edge import rate_limits
from grantkeeper.edge.http import Request
from grantkeeper.edge.operations import ANY, Access
from grantkeeper.edge.principals import permitted
from grantkeeper.edge.rate_limits import READ, SIGN_IN, TOKEN, WRITE, Remembered, network, take
from grantkeeper.errors import StoreUnavailable, TooManyRequests, Unauthenticated
from grantkeeper.model import ApiKey
from tests.doubles.deployment import audit_event, deployment
from tests.doubles.provider import NOON

MINE, HIS = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def wiring():
    return deployment()


def made(wiring: Any, **changes: Any) -> ApiKeyText:
    text = new_api_key()
    fields = {"client_id": "backend", **changes}
    key = ApiKey(text.key_id, text.secret_hash, ("connections:token",), NOON, NOON + 10**6, **fields)
    wiring.api_keys.put(key, audit=audit_event("api_key.created"))
    return text


def call(wiring: Any, text: str, *, address: str = MINE, now: int = NOON, method: str = "GET", **headers: str) -> bool:
    """True for let in, False for refused; raises TooManyRequests."""
    headers = {"x-api-key": text, **headers}
    route = f"{method} /v1/things"
    request = Request(route, method, "/v1/things", {}, {}, headers, {}, b"", address, "r")
    try:
        permitted(request, Access("connections:token", ANY), ports=wiring, now=now)
    except Unauthenticated:
        return False
    return True


def writes(wiring: Any, name: str = "update_item") -> int:
    return len([c for c in wiring.aws.dynamodb.faults.calls if name in repr(c) and "RL#" in repr(c)])


def admitted(kind: Any, tries: int, *, limit: int, limits: Any, remembered: Remembered, now: int = NOON) -> int:
    count, waits = 0, set()
    for _ in range(tries):
        try:
            take(kind, "caller", limit=limit, limits=limits, now=now, remembered=remembered)
        except TooManyRequests as error:
            waits.add(error.retry_after)
        else:
            count += 1
    assert waits <= {60 - now % 60}
    return count


def test_w21_one_environment_counts_exactly(wiring):
    """Whole blocks: not one call more, not one less, and all again in the next minute."""
    environment = Remembered()
    take_of = {"limit": 640, "limits": wiring.rate_limits, "remembered": environment}

    assert admitted(TOKEN, 2000, **take_of) == 640
    assert admitted(TOKEN, 2000, now=NOON + 59, **take_of) == 0
    assert admitted(TOKEN, 2000, now=NOON + 60, **take_of) == 640


@pytest.mark.parametrize("environments", [2, 5, 10])
def test_w21_many_environments_admit_the_limit_and_a_block_each_at_most(wiring, environments):
    """Nobody is refused below his limit: within 5 % of it for ten environments."""
    fleet = [Remembered() for _ in range(environments)]
    count = 0
    for turn in range(9000):
        remembered = fleet[turn % environments]
        count += admitted(TOKEN, 1, limit=6400, limits=wiring.rate_limits, remembered=remembered)

    assert 6400 <= count <= 6400 + 32 * environments
    assert abs(count - 6400) <= 6400 * 0.05


@pytest.mark.parametrize("calls", [1, 31, 32, 63, 64, 640, 5000])
def test_w21_token_calls_cost_a_write_for_32_and_no_read(wiring, calls):
    """Also beyond the limit; and who calls rarely costs none."""
    text = made(wiring).text
    call(wiring, text)
    before = len(wiring.aws.dynamodb.faults.calls)

    for _ in range(calls - 1):
        call(wiring, text)

    assert len(wiring.aws.dynamodb.faults.calls) - before == calls // 32
    assert writes(wiring) == calls // 32


def test_w21_calls_of_one_a_minute_cost_no_write_at_all(wiring):
    """A block that is not used up is nobody's."""
    text = made(wiring).text
    for minute in range(40):
        call(wiring, text, now=NOON + 60 * minute)

    assert writes(wiring) == 0


def test_w21_a_spent_minute_is_429_with_retry_after(wiring):
    """The caller is told when to come back, and it costs nothing."""
    wiring.__dict__["calls_per_minute"] = 640
    text = made(wiring).text
    for _ in range(640):
        assert call(wiring, text, now=NOON + 10)
    calls = len(wiring.aws.dynamodb.faults.calls)

    with pytest.raises(TooManyRequests) as refused:
        call(wiring, text, now=NOON + 10)
    assert refused.value.retry_after == 50
    assert len(wiring.aws.dynamodb.faults.calls) == calls
    assert call(wiring, text, now=NOON + 60)


def test_w21_another_key_of_the_client_is_the_same_caller(wiring):
    """A thousand keys with one call each are a thousand calls; another client is not held up by them."""
    wiring.__dict__["calls_per_minute"] = 640
    keys = [made(wiring).text for _ in range(20)]
    for turn in range(640):
        call(wiring, keys[turn % 20])

    with pytest.raises(TooManyRequests):
        call(wiring, made(wiring).text)
    assert call(wiring, made(wiring, client_id="spa").text)


def test_w21_the_kinds_of_routes_are_counted_apart(wiring):
    """Whoever wrote too much still reads."""
    wiring.__dict__["calls_per_minute"] = 640
    text = made(wiring).text
    for _ in range(64):
        call(wiring, text, method="POST")
    with pytest.raises(TooManyRequests):
        call(wiring, text, method="POST")
    assert call(wiring, text)


@pytest.mark.parametrize("kind", [TOKEN, READ])
def test_w21_reads_go_on_uncounted_while_the_table_is_down(wiring, kind):
    """A valid credential is not turned away because we cannot count."""
    wiring.aws.dynamodb.faults.unreachable("update_item", times=10_000)

    assert admitted(kind, 80, limit=64, limits=wiring.rate_limits, remembered=Remembered()) == 80


@pytest.mark.parametrize("kind", [WRITE, SIGN_IN])
def test_w21_sign_ins_and_changes_stop_while_the_table_is_down(wiring, kind):
    """And go on as soon as it is back."""
    environment = Remembered()
    wiring.aws.dynamodb.faults.unreachable("update_item", times=10_000)
    refused = 0
    for _ in range(kind.block + 2):
        try:
            take(kind, "caller", limit=640, limits=wiring.rate_limits, now=NOON, remembered=environment)
        except StoreUnavailable:
            refused += 1
    assert refused == 3

    wiring.aws.dynamodb.faults.clear()
    assert admitted(kind, 10, limit=640, limits=wiring.rate_limits, remembered=environment) == 10


def test_w10_the_address_is_the_gateways_word(wiring):
    """X-Forwarded-For, Forwarded and the rest change nothing: the guesser stays one guesser."""
    key = made(wiring)
    wrong = ApiKeyText(key.key_id, "x" * 40).text
    for turn in range(6):
        spoofed = {"x-forwarded-for": f"203.0.113.{turn}", "forwarded": f"for=203.0.113.{turn}", "x-real-ip": HIS}
        assert not call(wiring, wrong, **spoofed)

    with pytest.raises(TooManyRequests):
        call(wiring, wrong, **{"x-forwarded-for": "203.0.113.99"})


def test_w22_ten_thousand_guesses_are_a_handful_and_the_owner_is_let_in(wiring):
    """The pause doubles from the sixth failure on; the right secret from another address never waits."""
    key = made(wiring)
    wrong = ApiKeyText(key.key_id, "x" * 40).text
    judged, now, waits = 0, NOON, set()
    for turn in range(10_000):
        now = NOON + turn // 3  # three guesses a second, for most of an hour
        try:
            call(wiring, wrong, now=now)
            judged += 1
        except TooManyRequests as paused:
            waits.add(paused.retry_after)
        assert turn % 500 or call(wiring, key.text, address=HIS, now=now)

    assert judged <= 5 + 10 + 4
    assert (min(waits), max(waits)) == (1, 900)
    with pytest.raises(TooManyRequests):
        call(wiring, key.text, now=now)  # also the right one, from where it is guessed at
    assert call(wiring, key.text, now=now + 900)


def test_w22_failures_of_other_environments_count(wiring, monkeypatch):
    """What one learned by its own failures is everybody's sum."""
    wrong = ApiKeyText(made(wiring).key_id, "x" * 40).text
    for tries in (5, 3):
        monkeypatch.setattr(rate_limits, "_SHARED", Remembered())
        for _ in range(tries):
            assert not call(wiring, wrong)

    with pytest.raises(TooManyRequests):
        call(wiring, wrong)


def test_w22_good_calls_and_malformed_keys_count_nothing(wiring):
    """Only a wrong secret is a guess; what cannot be a key costs no write."""
    key = made(wiring)
    for _ in range(20):
        assert call(wiring, key.text)
        assert not call(wiring, key.text[:-1] + "!")
        assert not call(wiring, "gk_nonsense")

    assert writes(wiring) == 0
    assert call(wiring, key.text)


def test_w22_a_failure_that_cannot_be_counted_is_still_a_refusal(wiring):
    """401 as ever, and the environment counts by itself."""
    wrong = ApiKeyText(made(wiring).key_id, "x" * 40).text
    wiring.aws.dynamodb.faults.unreachable("update_item", times=10_000)
    for _ in range(6):
        assert not call(wiring, wrong)
    with pytest.raises(TooManyRequests):
        call(wiring, wrong)


def test_what_is_remembered_is_bounded(wiring, monkeypatch):
    """However many callers and guessers there are."""
    environment = Remembered()
    monkeypatch.setattr(rate_limits, "_SHARED", environment)
    for number in range(1500):
        take(READ, str(number), limit=640, limits=wiring.rate_limits, now=NOON, remembered=environment)
        call(wiring, new_api_key().text, address=str(number))

    assert len(environment.windows) <= 1024
    assert len(environment.guessers) <= 1024


def test_callers_of_this_minute_are_forgotten_last(wiring):
    """Room is made of minutes that are over."""
    environment = Remembered()
    for number in range(1023):
        take(READ, str(number), limit=640, limits=wiring.rate_limits, now=NOON, remembered=environment)
    later = {"limit": 640, "limits": wiring.rate_limits, "now": NOON + 60, "remembered": environment}
    for caller in ("a", "b"):
        take(READ, caller, **later)

    assert {key[2] for key in environment.windows} == {"a", "b"}


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:0db8:0000:0000::/64"),
        ("2001:db8:0:0:ffff::9", "2001:0db8:0000:0000::/64"), ("2001:db8:0:1::1", "2001:0db8:0000:0001::/64"),
        ("", ""), (":odd", ":odd"),
    ],
)  # fmt: skip
def test_w10_a_64_of_ipv6_counts_as_one_address(address, counted):
    """One host has all of it to choose from."""
    assert network(address) == counted
