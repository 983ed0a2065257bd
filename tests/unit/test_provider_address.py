"""Where a provider may be."""

import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantkeeper.errors import ProviderUnavailable
from grantkeeper.provider_address import Target, addresses_of, judge_address, parse_target

TARGET = Target("https", "op.example", 443, "/token")


def refused(call, *args, **options):
    with pytest.raises(ProviderUnavailable) as caught:
        call(*args, **options)
    assert caught.value.outcome_unknown is False
    return caught.value.extensions["reason"]


def answer(*addresses, port=443):
    return [(socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses]


def test_a_url_is_taken_apart():
    """Host in lower case, path with its query."""
    assert parse_target("https://OP.example/a/b?c=d%20e", allow_private_addresses=False) == Target(
        "https", "op.example", 443, "/a/b?c=d%20e"
    )
    assert parse_target("https://op.example:443?x", allow_private_addresses=False).path == "/?x"


@pytest.mark.parametrize(
    "url",
    [
        "http://op.example/",
        "ftp://op.example/",
        "file:///etc/passwd",
        "gopher://op.example/",
        "data:text/plain,x",
        "//op.example/",
        "https:op.example",
        "https:///token",
        "https://op.example:22/",
        "https://op.example:25/",
        "https://op.example:6379/",
        "https://op.example:8443/",
        "https://op.example:0/",
        "https://op.example:99999/",
        "https://op.example:/",
        "https://user@op.example/",
        "https://user:pass@op.example/",
        "https://op.example\\@evil.example/",
        "https://op.example/\\evil",
        "https://op.example/#f",
        "https://op.example#@evil.example/",
        "https://op.example/a b",
        "https://op.example/\r\nhost: evil",
        " https://op.example/",
        "https://op.example/\n",
        "https://exämple.example/",
        "https://op.example/é",
        "https://op%2eexample/",
        "https://[::1/",
        "https://./",
        "",
    ],
)
def test_o01_o06_o07_a_url_of_another_form_is_refused(url):
    """One form is parsed, everything else is not repaired."""
    assert refused(parse_target, url, allow_private_addresses=False) == "address_refused"


@given(url=st.text() | st.text().map(lambda text: f"https://{text}/"))
def test_o07_no_text_makes_it_raise_anything_else(url):
    """Parsed canonically, or refused."""
    try:
        target = parse_target(url, allow_private_addresses=False)
    except ProviderUnavailable:
        return
    assert (target.scheme, target.port) == ("https", 443)
    assert set(target.host) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-:")


PRIVATE = [
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "169.254.170.2",
    "0.0.0.0",
    "100.64.0.1",
    "192.0.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fd00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "2001:db8::1",
    "not an address",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_o02_o05_an_address_that_is_not_public_is_refused(address):
    """Whatever it is wrapped in; the metadata and credential endpoints among them."""
    assert refused(judge_address, address, TARGET, allow_private_addresses=False) == "address_refused"


@pytest.mark.parametrize("address", ["8.8.8.8", "142.250.1.1", "2606:4700::1", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"])
def test_a_public_address_is_accepted(address):
    """Also behind a NAT64 gateway."""
    judge_address(address, TARGET, allow_private_addresses=False)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "017700000001", "127.1", "localhost.", "[::1]"])
def test_o02_other_spellings_of_loopback_are_refused_by_what_they_resolve_to(host):
    """The system's own resolver says where they lead; we judge that."""
    target = parse_target(f"https://{host}/", allow_private_addresses=False)

    assert refused(addresses_of, target, allow_private_addresses=False, timeout=2) in ("address_refused", "dns_failed")


def test_o03_one_private_address_among_public_ones_refuses_them_all():
    """Whichever comes first."""
    for addresses in (("8.8.8.8", "10.0.0.1"), ("10.0.0.1", "8.8.8.8"), ("8.8.8.8", "::1")):
        reason = refused(
            addresses_of,
            TARGET,
            allow_private_addresses=False,
            timeout=1,
            resolver=lambda *_, found=addresses, **__: answer(*found),
        )
        assert reason == "address_refused"


def test_o03_a_name_is_resolved_once():
    """What was judged is what is connected to."""
    calls = []

    def resolver(host, port, **_):
        calls.append(host)
        return answer("8.8.8.8")

    assert addresses_of(TARGET, allow_private_addresses=False, timeout=1, resolver=resolver) == [
        (socket.AF_INET, ("8.8.8.8", 443))
    ]
    assert calls == ["op.example"]


def test_a_local_run_reaches_loopback_by_http_and_private_addresses_by_https_only():
    """And link-local ones never."""
    local = Target("http", "localhost", 9400, "/")

    judge_address("127.0.0.1", local, allow_private_addresses=True)
    judge_address("::1", local, allow_private_addresses=True)
    judge_address("10.0.0.1", TARGET, allow_private_addresses=True)
    for address, target in (("10.0.0.1", local), ("8.8.8.8", local), ("169.254.169.254", TARGET), ("fe80::1", TARGET)):
        assert refused(judge_address, address, target, allow_private_addresses=True) == "address_refused"


def test_a_resolver_that_hangs_or_fails_costs_no_more_than_its_time():
    """`getaddrinfo` has no timeout of its own."""
    release = threading.Event()

    def hanging(*_, **__):
        release.wait(10)
        return answer("8.8.8.8")

    def failing(*_, **__):
        raise socket.gaierror(-2, "unknown")

    started = time.monotonic()
    options = {"allow_private_addresses": False, "timeout": 0.1}
    assert refused(addresses_of, TARGET, resolver=hanging, **options) == "dns_failed"
    assert time.monotonic() - started < 4
    release.set()
    for resolver in (failing, lambda *_, **__: []):
        assert refused(addresses_of, TARGET, resolver=resolver, **options) == "dns_failed"
