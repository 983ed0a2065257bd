"""Providers' published keys, over the wire."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from grantkeeper.errors import ProviderMisconfigured, ProviderUnavailable
from grantkeeper.provider_http import Httpx2ProviderHttp
from grantkeeper.providers.record import Provider, Variable
from grantkeeper.services import provider_keys
from grantkeeper.services.provider_keys import ProviderKeys
from tests.support.adversary import Adversary

NOW = 1_800_000_000


def key(kid):
    return {"kty": "EC", "crv": "P-256", "x": "eA", "y": "eQ", "kid": kid}


class Published:
    """A JWKS endpoint: what it answers, and how often it was asked."""

    def __init__(self):
        self.status, self.body = 200, b""
        self.publish("k1")
        self.server = Adversary(self._behave)

    @property
    def fetches(self):
        return len(self.server.requests)

    def publish(self, *kids):
        self.body = json.dumps({"keys": [key(kid) for kid in kids]}).encode()

    def _behave(self, wire, _request):
        wire.sendall(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (self.status, len(self.body)) + self.body)


@pytest.fixture
def published():
    endpoint = Published()
    yield endpoint
    endpoint.server.close()


@pytest.fixture
def http():
    http = Httpx2ProviderHttp(allow_private_addresses=True)
    yield http
    http.close()


@pytest.fixture
def provider(published):
    url = published.server.url("/jwks")
    return Provider("example", "Example", "https://op.example/a", "https://op.example/t", jwks_uri=url)


def kids(keys, provider, now=NOW, kid=None):
    return [found["kid"] for found in keys.keys(provider, now, kid)]


def test_keys_are_fetched_once_an_hour(http, published, provider):
    """Not per sign-in."""
    keys = ProviderKeys(http)

    for now in (NOW, NOW + 1, NOW + 3599):
        assert kids(keys, provider, now, "k1") == ["k1"]
    assert published.fetches == 1
    kids(keys, provider, NOW + 3600)
    assert published.fetches == 2


def test_c68_oidcc_client_test_signing_key_rotation_just_before_signing(http, published, provider):
    """An unknown kid costs one fetch at once, even right after the last."""
    keys = ProviderKeys(http)
    kids(keys, provider)
    published.publish("k1", "k2")

    assert kids(keys, provider, NOW + 1, "k2") == ["k1", "k2"]
    assert published.fetches == 2


def test_c68_a_flood_of_unknown_kids_costs_one_fetch_in_five_minutes(http, published, provider):
    """A thousand random ones."""
    keys = ProviderKeys(http)
    kids(keys, provider)
    for i in range(1000):
        kids(keys, provider, NOW + i // 5, f"random-{i}")
    assert published.fetches == 2

    kids(keys, provider, NOW + 301, "random")
    assert published.fetches == 3


def test_c68_a_flood_from_many_threads_costs_one_fetch(http, published, provider):
    """Of many callers one asks, the others take what it got."""
    keys = ProviderKeys(http)
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda i: kids(keys, provider, NOW, f"random-{i}"), range(100)))

    assert found == [["k1"]] * 100
    assert published.fetches == 2


def test_c68_a_failed_fetch_for_an_unknown_kid_is_not_repeated_either(http, published, provider):
    """Nor does it lose the keys we have."""
    keys = ProviderKeys(http)
    kids(keys, provider)
    published.status = 500
    for i in range(50):
        assert kids(keys, provider, NOW + i, "k9") == ["k1"]
    assert published.fetches == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, b""), (500, b""), (302, b""), (200, b"<html>"), (200, b'{"keys":[]}'), (200, b"[]"), (200, b" " * 300_000)],
    ids=["404", "500", "redirect", "html", "no keys", "array", "too large"],
)
def test_c88_an_outage_is_bridged_for_a_day_by_the_last_good_keys(http, published, provider, status, body):
    """Never by doing without verification."""
    keys = ProviderKeys(http)
    kids(keys, provider)
    published.status, published.body = status, body

    assert kids(keys, provider, NOW + 3600) == ["k1"]
    assert kids(keys, provider, NOW + 24 * 3600 - 1) == ["k1"]
    with pytest.raises(ProviderUnavailable):
        kids(keys, provider, NOW + 24 * 3600)


def test_c88_while_a_provider_is_down_it_is_asked_every_half_minute(http, published, provider):
    """Not for every sign-in, each waiting three seconds."""
    keys = ProviderKeys(http)
    kids(keys, provider)
    published.status = 500
    for second in range(60):
        kids(keys, provider, NOW + 3600 + second)
    assert published.fetches == 1 + 2


def test_c88_without_any_good_keys_there_is_no_answer(http, published, provider):
    """A typed error, and the next caller asks again."""
    keys = ProviderKeys(http)
    published.status = 500
    with pytest.raises(ProviderUnavailable):
        kids(keys, provider)
    published.status = 200

    assert kids(keys, provider, NOW + 1) == ["k1"]


def test_c88_a_provider_that_hangs_is_left_after_three_seconds(http, provider, monkeypatch):
    """Measured at a tenth of it, with a server that accepts and is silent."""
    assert provider_keys.BUDGET == 3.0
    monkeypatch.setattr(provider_keys, "BUDGET", 0.3)
    release = threading.Event()
    silent = Adversary(lambda *_: release.wait(10))
    started = time.monotonic()
    with pytest.raises(ProviderUnavailable):
        ProviderKeys(http).keys(replace(provider, jwks_uri=silent.url()), NOW)

    assert 0.25 < time.monotonic() - started < 2.5
    release.set()
    silent.close()


def test_c89_a_removed_key_is_gone_after_an_hour(http, published, provider):
    """Or at the next fetch for an unknown kid."""
    keys = ProviderKeys(http)
    published.publish("k1", "k2")
    kids(keys, provider)
    published.publish("k2")

    assert kids(keys, provider, NOW + 3599) == ["k1", "k2"]
    assert kids(keys, provider, NOW + 3600) == ["k2"]


def test_c90_private_parts_raise_an_alarm_and_serve_nobody(http, published, provider):
    """Whoever publishes them has lost the key."""
    alarms = []
    published.body = json.dumps({"keys": [key("k1") | {"d": "eA"}, {"kty": "oct", "k": "eA"}, key("k2")]}).encode()
    keys = ProviderKeys(http, alarm=lambda *alarm: alarms.append(alarm))

    assert kids(keys, provider) == ["k2"]
    assert alarms == [("private_key_published", "example")]


def test_c91_two_records_never_share_keys(http, published, provider):
    """Although both claim the same issuer, or point to the same place."""
    keys = ProviderKeys(http)
    kids(keys, provider)
    published.publish("other")

    assert kids(keys, replace(provider, id="other")) == ["other"]
    assert kids(keys, provider) == ["k1"]
    elsewhere = replace(provider, jwks_uri=published.server.url("/moved"))
    assert kids(keys, elsewhere) == ["other"]


def test_a_record_without_keys_is_misconfigured(http, provider):
    """Not: nothing to verify."""
    with pytest.raises(ProviderMisconfigured):
        ProviderKeys(http).keys(replace(provider, jwks_uri=None), NOW)


def test_endpoint_variables_are_filled(http, published, provider):
    """Microsoft's keys are per tenant alias."""
    url = published.server.url("/{tenant}/keys")
    templated = replace(provider, jwks_uri=url, variables=(Variable("tenant", "[a-z]+", "common"),))

    assert kids(ProviderKeys(http), templated) == ["k1"]
    assert published.server.requests[0].startswith(b"GET /common/keys ")
