"""The only code that talks to providers, against a server that means it no good."""

import gzip
import json
import logging
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from grantkeeper import provider_http as module
from grantkeeper.errors import ProviderUnavailable, TokenResponseRejected
from grantkeeper.model import HttpRequest
from grantkeeper.provider_http import Httpx2ProviderHttp
from tests.support.adversary import Adversary, Authority, answering

MEGABYTE = 1024 * 1024
IN_TIME = 4.0  # seconds, for budgets of half a one: the other side goes on for ten, and a busy machine may stand still
SECRET = "grant_type=refresh_token&refresh_token=s3cret"
FORM = (("content-type", "application/x-www-form-urlencoded"), ("authorization", "Basic s3cret"))


@pytest.fixture
def adversary():
    """Start servers that end with the test."""
    started = []

    def start(behave, **options):
        started.append(Adversary(behave, **options))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def http():
    http = Httpx2ProviderHttp(allow_private_addresses=True)
    http._made_client()  # loading authorities takes a good part of the short budgets below
    return http


def post(url, **changes):
    return HttpRequest(**({"method": "POST", "url": url, "headers": FORM, "body": SECRET.encode()} | changes))


def failed(http, request, *, budget=2.0, error=ProviderUnavailable):
    with pytest.raises(error) as caught:
        http.send(request, budget=budget)
    assert "s3cret" not in str(caught.value) + repr(caught.value) + str(caught.value.extensions)
    assert caught.value.__cause__ is None
    return caught.value


# --- the good case -----------------------------------------------------------


def test_a_request_arrives_and_its_answer_comes_back(http, adversary):
    """Byte for byte; header names in lower case, repeated ones joined."""
    server = adversary(
        answering(b'{"a":1}', status="400 Bad Request", headers=b"X-A: 1\r\nx-a: 2\r\nRetry-After: 3\r\n")
    )

    answer = http.send(post(server.url("/token?x=y")))

    assert (answer.status, answer.body) == (400, b'{"a":1}')
    assert (answer.headers["x-a"], answer.headers["retry-after"]) == ("1, 2", "3")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /token?x=y HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % server.port)
    assert b"accept-encoding: identity" in head
    assert body == SECRET.encode()


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [("GET", None, None), ("POST", None, b"0"), ("DELETE", b'{"access_token":"a"}', b"20")],
)
def test_every_method_is_sent_with_its_length(http, adversary, method, body, length):
    """A POST without a body says so (Dropbox); a DELETE may have one (GitHub)."""
    server = adversary(answering())
    http.send(HttpRequest(method, server.url(), (), body))

    head = server.requests[0].lower()
    assert (b"content-length: " + length in head) if length is not None else (b"content-length" not in head)


def test_the_path_arrives_as_it_was_built(http, adversary):
    """A signature over the URL (OAuth 1.0a) is one over these bytes; nothing is quoted, joined or resolved anew."""
    server = adversary(answering())
    path = "/a/../b//c%2fd;e?x=%7e&y='|{}[]\"^`%zz&&=+"
    http.send(post(server.url(path)))

    assert server.requests[0].startswith(b"POST " + path.encode() + b" HTTP/1.1\r\n")


def test_connections_are_kept(http, adversary):
    """A TLS handshake per refresh would be most of its cost."""
    server = adversary(answering())
    for _ in range(5):
        http.send(post(server.url()))

    assert (server.connections, len(server.requests)) == (1, 5)


def test_a_kept_connection_that_the_provider_closed_is_not_used(http, adversary):
    """Its end is seen before a refresh token is written into it."""

    def once(wire, request):
        answering()(wire, request)
        return False

    server = adversary(once)
    for _ in range(3):
        assert http.send(post(server.url())).status == 200
        time.sleep(0.05)  # for the closing to arrive

    assert server.connections == 3


def test_a_connection_is_not_kept_when_the_provider_says_so(http, adversary):
    """`connection: close` is obeyed."""
    server = adversary(answering(headers=b"connection: close\r\n"))
    for _ in range(2):
        http.send(post(server.url()))

    assert server.connections == 2


def test_a_connection_idle_for_long_is_not_used(http, adversary, monkeypatch):
    """A frozen execution environment wakes up with dead connections."""
    server = adversary(answering())
    http.send(post(server.url()))
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 11)
    http.send(post(server.url()))

    assert server.connections == 2


def test_fifty_threads_get_each_their_own_answer(http, adversary):
    """No answer goes to another's refresh."""

    def echo(wire, request):
        answering(request.partition(b"\r\n\r\n")[2])(wire, request)

    server = adversary(echo)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda i: http.send(post(server.url(), body=b"%d" % i), budget=20).body, range(500)))

    assert answers == [b"%d" % i for i in range(500)]
    assert server.connections <= 50


def test_fifty_connections_are_kept_for_fifty_threads(http, adversary):
    """What a batch opened in its first round it uses in its second; the client is made once, whoever comes first."""
    everybody = threading.Barrier(50)

    def together(wire, request):
        everybody.wait(10)
        answering()(wire, request)

    server = adversary(together)
    with ThreadPoolExecutor(50) as pool:
        for _ in range(2):
            answers = list(pool.map(lambda _: http.send(post(server.url()), budget=20).status, range(50)))
            assert answers == [200] * 50

    assert server.connections == 50


def test_no_cookie_goes_from_one_request_into_another(http, adversary):
    """They are different users' requests."""
    server = adversary(answering(headers=b"set-cookie: sid=alice; path=/\r\nset-cookie: \xff=;;expires=,\r\n"))
    for _ in range(2):
        assert http.send(post(server.url())).status == 200

    assert b"alice" not in server.requests[1]
    assert b"cookie:" not in server.requests[1].lower()
    assert list(http._made_client().cookies.jar) == []  # nor is it kept for one


def test_the_library_writes_nothing_into_our_logs(http, adversary, caplog):
    """It would log every address at INFO, and headers at DEBUG."""
    server = adversary(answering(headers=b"x-secret: s3cret\r\n"))
    with caplog.at_level(logging.DEBUG):
        http.send(post(server.url("/revoke/s3cret")))

    assert caplog.records == []


# --- where it goes -----------------------------------------------------------


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_c42_o04_a_redirect_is_an_answer_not_a_direction(http, adversary, status):
    """The secret never reaches the second host."""
    second = adversary(answering())
    first = adversary(answering(b"", status=status, headers=b"location: %s\r\n" % second.url().encode()))

    assert http.send(post(first.url())).status == int(status[:3])
    time.sleep(0.05)
    assert second.connections == 0


@pytest.mark.parametrize(
    "location", [b"http://[::1", b"http://a:99999999/", b"\xff\xfe", b"//", b"x" * 70000, b"gopher:"]
)
def test_c42_a_direction_that_makes_no_sense_is_not_read(http, adversary, location):
    """The status is the answer; the library must not stumble over the rest."""
    server = adversary(answering(b"", status="302 Found", headers=b"location: %s\r\n" % location))

    assert http.send(post(server.url())).status == 302


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://127.0.0.1:9001/", "http://169.254.170.2/v2/credentials"]
)
def test_o02_o05_a_deployed_function_reaches_no_private_address(url):
    """Lambda's own endpoints among them; without a byte sent."""
    error = failed(Httpx2ProviderHttp(), post(url))

    assert (error.extensions["reason"], error.outcome_unknown) == ("address_refused", False)


def test_o03_a_name_that_turns_private_is_refused_at_the_next_connection(adversary, authority):
    """Rebinding: every connection goes to an address judged for it."""
    server = adversary(answering(headers=b"connection: close\r\n"), tls=authority.server("op.example"))
    addresses = iter(["127.0.0.1", "169.254.169.254"])

    def resolver(_host, _port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(addresses), server.port))]

    http = Httpx2ProviderHttp(allow_private_addresses=True, ca_file=str(authority.file), resolver=resolver)

    assert http.send(post(f"https://op.example:{server.port}/")).status == 200
    assert failed(http, post(f"https://op.example:{server.port}/")).extensions["reason"] == "address_refused"


def test_o11_proxy_variables_are_ignored(http, adversary, monkeypatch):
    """Whoever sets the environment does not get the secrets."""
    proxy, server = adversary(answering()), adversary(answering())
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url(""))
    http.send(post(server.url()))

    assert (proxy.connections, server.connections) == (0, 1)


def test_o11_the_environment_neither_names_an_authority_nor_gets_the_keys(adversary, authority, monkeypatch, tmp_path):
    """SSL_CERT_FILE and SSLKEYLOGFILE are for debugging, and as good as a switch."""
    keys = tmp_path / "keys"
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    server = adversary(answering(), tls=authority.server("op.example"))
    untrusting, request = https(authority, server, trusted=False)
    trusting, _ = https(authority, server)

    assert failed(untrusting, request).extensions["reason"] == "upstream_tls"
    assert trusting.send(request).status == 200
    assert not keys.exists()


def test_o12_verification_cannot_be_switched_off():
    """No such switch exists anywhere in the product."""
    sources = Path(module.__file__).parent.rglob("*.py")
    words = ("CERT_NONE", "check_hostname", "_create_unverified", "verify=False", "verify_mode")

    assert not [path for path in sources for word in words if word in path.read_text()]


# --- TLS ---------------------------------------------------------------------


def https(authority, server, *, trusted=True):
    def resolver(_host, _port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]

    ca_file = str(authority.file) if trusted else None
    http = Httpx2ProviderHttp(allow_private_addresses=True, ca_file=ca_file, resolver=resolver)
    return http, post(f"https://op.example:{server.port}/token")


def test_o03_the_name_goes_into_sni_certificate_check_and_host(adversary, authority):
    """Although the connection goes to an address."""
    context = authority.server("op.example")
    names = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    server = adversary(answering(), tls=context)
    http, request = https(authority, server)

    assert [http.send(request).status for _ in range(2)] == [200, 200]
    assert names == ["op.example"]
    assert server.connections == 1
    assert b"\r\nHost: op.example:%d\r\n" % server.port in server.requests[0]


@pytest.mark.parametrize(
    ("options", "trusted"),
    [
        ({"name": "op.example", "self_signed": True}, True),
        ({"name": "op.example", "days": -1}, True),
        ({"name": "other.example"}, True),
        ({"name": "127.0.0.1"}, True),
        ({"name": "op.example"}, False),
    ],
    ids=["self-signed", "expired", "wrong name", "address only", "unknown authority"],
)
def test_c43_a_certificate_that_cannot_be_trusted_ends_the_connection(adversary, authority, options, trusted):
    """Before a byte of the request is sent."""
    server = adversary(answering(), tls=authority.server(**options))
    http, request = https(authority, server, trusted=trusted)

    error = failed(http, request)
    assert (error.extensions["reason"], error.outcome_unknown) == ("upstream_tls", False)
    assert server.requests == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_c43_tls_before_1_2_is_refused(adversary, authority):
    """However willing the server."""
    context = authority.server("op.example")
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    http, request = https(authority, server := adversary(answering(), tls=context))

    assert failed(http, request).extensions["reason"] == "upstream_tls"
    assert server.requests == []


def test_c43_a_server_that_speaks_no_tls_is_refused(adversary, authority):
    """Plain HTTP on the TLS port."""
    server = adversary(answering(), greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n")
    http, request = https(authority, server)

    assert failed(http, request).extensions["reason"] == "upstream_tls"


def test_c54_a_handshake_that_hangs_ends_in_time(adversary, authority):
    """The server accepts and says nothing."""
    server = adversary(answering())  # it waits for a request in clear, which never comes
    http, request = https(authority, server)
    started = time.monotonic()

    error = failed(http, request, budget=0.3)
    assert time.monotonic() - started < IN_TIME
    assert error.outcome_unknown is False


# --- time --------------------------------------------------------------------


def dripping(data, *, pause=0.02):
    """A server that sends a byte at a time, and never ends."""

    def behave(wire, _request):
        wire.sendall(data)
        while True:
            time.sleep(pause)
            wire.sendall(b"a")

    return behave


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nx-", HEAD, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1"],
    ids=["status line", "status", "header", "body", "chunk size"],
)
def test_c54_a_server_that_drips_bytes_gains_no_time(http, adversary, data):
    """The budget is for the whole exchange, not for each read."""
    server = adversary(dripping(data))
    started = time.monotonic()

    error = failed(http, post(server.url()), budget=0.4)
    assert time.monotonic() - started < IN_TIME
    assert (error.extensions["reason"], error.outcome_unknown) == ("timeout", True)


@pytest.mark.parametrize(
    "data", [b"", HEAD, b"HTTP/1.1 100 Continue\r\n\r\n"], ids=["at once", "in the body", "at 100"]
)
def test_c54_a_server_that_hangs_ends_in_time_with_an_unknown_outcome(http, adversary, data):
    """The refresh token may be spent: whoever asked must know."""

    def hang(wire, _request):
        wire.sendall(data)
        server.closing.wait(10)

    server = adversary(hang)
    started = time.monotonic()

    error = failed(http, post(server.url()), budget=0.3)
    assert time.monotonic() - started < IN_TIME
    assert (error.extensions["reason"], error.outcome_unknown) == ("timeout", True)


def test_c54_a_server_that_does_not_read_gains_no_time(http):
    """Writing ends at the deadline as reading does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        started = time.monotonic()
        error = failed(http, post(url, body=b"a" * 16 * MEGABYTE), budget=0.4)

    assert time.monotonic() - started < IN_TIME
    assert (error.extensions["reason"], error.outcome_unknown) == ("timeout", True)


def test_c54_an_answer_given_before_the_request_was_read_is_an_answer(http):
    """A provider that refuses says so and closes; the request breaks off in the middle of being written."""

    def refuse():
        wire, _ = listener.accept()
        wire.recv(1024)
        wire.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        wire.close()  # with bytes unread: a reset

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=refuse, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"

        assert http.send(post(url, body=b"a" * 16 * MEGABYTE)).status == 413


def test_c54_nobody_there_is_known_to_have_done_nothing(http):
    """Connection refused: the lease may be given back at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    error = failed(http, post(f"http://127.0.0.1:{port}/"))
    assert (error.extensions["reason"], error.outcome_unknown) == ("connect_failed", False)


def test_c54_a_connect_that_hangs_ends_in_time():
    """The name resolves after the time is over."""
    release = threading.Event()
    http = Httpx2ProviderHttp(resolver=lambda *_, **__: release.wait(10) and [])
    started = time.monotonic()

    error = failed(http, post("https://op.example/"), budget=0.2)
    release.set()
    assert time.monotonic() - started < IN_TIME
    assert (error.extensions["reason"], error.outcome_unknown) == ("dns_failed", False)


def test_an_address_that_does_not_answer_leaves_time_for_the_next(adversary):
    """Two addresses, the first refuses."""
    server = adversary(answering())

    def resolver(_host, _port, **_):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            closed = listener.getsockname()[1]
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", closed)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port)),
        ]

    http = Httpx2ProviderHttp(allow_private_addresses=True, resolver=resolver)
    assert http.send(post("http://op.localhost/")).status == 200


def test_c54_a_reset_after_the_request_leaves_the_outcome_unknown(http, adversary):
    """Also a silent close, and one in the middle of the body."""

    def reset(wire, _request):
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        return False

    def close(_wire, _request):
        return False

    def cut(wire, _request):
        wire.sendall(HEAD + b"abc")
        return False

    for behave in (reset, close, cut):
        error = failed(http, post(adversary(behave).url()))
        assert (error.extensions["reason"], error.outcome_unknown) == ("connection_lost", True)


# --- size and shape ----------------------------------------------------------


def endless(head, unit):
    """A server that never stops sending."""

    def behave(wire, _request):
        wire.sendall(head)
        while True:
            wire.sendall(unit)

    return behave


@pytest.mark.parametrize(
    ("head", "unit"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 65536),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"10000\r\n" + b"a" * 65536 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n", b"a" * 65536),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 262145\r\n\r\n", b"a" * 65536),
    ],
    ids=["until close", "chunked", "10 GB", "one too many"],
)
def test_c47_o08_an_answer_without_end_is_cut_off(http, adversary, head, unit):
    """At 256 KiB, in little memory."""
    server = adversary(endless(head, unit))
    tracemalloc.start()
    error = failed(http, post(server.url()), error=TokenResponseRejected)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert error.extensions["reason"] == "upstream_too_large"
    assert peak < 4 * MEGABYTE


def test_c47_an_answer_of_exactly_the_limit_is_read(http, adversary):
    """256 KiB and not a byte more."""
    server = adversary(answering(b"a" * 256 * 1024))

    assert len(http.send(post(server.url())).body) == 256 * 1024


@pytest.mark.parametrize(
    "unit", [b"x-a: " + b"a" * 1000 + b"\r\n", b"a" * 65536, b"x: y\r\n"], ids=["many long", "one long", "many short"]
)
def test_o08_headers_without_end_are_cut_off(http, adversary, unit):
    """In number and in length."""
    server = adversary(endless(b"HTTP/1.1 200 OK\r\n", unit))
    started = time.monotonic()

    error = failed(http, post(server.url()), budget=30)
    assert error.outcome_unknown is True
    assert error.extensions["reason"] != "timeout"  # there was time for much more
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "GZIP"])
def test_c47_a_bomb_is_not_unpacked(http, adversary, coding):
    """A hundred megabytes in a hundred kilobytes; nobody asked for packing."""
    data = b"\x00" * 100 * MEGABYTE
    packed = zlib.compress(data) if coding == "deflate" else gzip.compress(data)
    del data
    server = adversary(answering(packed, headers=b"content-encoding: %s\r\n" % coding.encode()))
    tracemalloc.start()
    error = failed(http, post(server.url()), error=TokenResponseRejected)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert error.extensions["reason"] == "upstream_too_large"
    assert peak < 4 * MEGABYTE


def test_an_answer_packed_unasked_is_unpacked(http, adversary):
    """A server that packs always loses no grant."""
    body = json.dumps({"access_token": "at-1"}).encode()
    for coding, packed in (("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))):
        server = adversary(answering(packed, headers=b"content-encoding: %s\r\n" % coding.encode()))
        assert http.send(post(server.url())).body == body


@pytest.mark.parametrize(
    ("coding", "body"),
    [("br", b"abc"), ("gzip, gzip", b"abc"), ("gzip", b"not gzip"), ("gzip", gzip.compress(b"a" * 999)[:-9])],
    ids=["brotli", "twice", "garbage", "cut off"],
)
def test_c47_what_cannot_be_unpacked_is_rejected(http, adversary, coding, body):
    """With a typed error."""
    server = adversary(answering(body, headers=b"content-encoding: %s\r\n" % coding.encode()))

    error = failed(http, post(server.url()), error=TokenResponseRejected)
    assert error.extensions["reason"] == "upstream_malformed"


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"\x00\xff" * 100 + b"\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-5\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\nab",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nab",
    ],
)
def test_c47_what_is_not_http_is_no_answer(http, adversary, data):
    """And the outcome is unknown."""

    def behave(wire, _request):
        wire.sendall(data)
        return False

    error = failed(http, post(adversary(behave).url()))
    assert error.outcome_unknown is True
    assert error.extensions["reason"] in ("upstream_malformed", "connection_lost")


WHOLE = b'{"access_token":"at-1","refresh_token":"rt-1"}'


@pytest.mark.parametrize("end", ["reset", "close", "hang", "drip"])
@pytest.mark.parametrize(
    "head",
    [b"content-length: 99999", b"transfer-encoding: chunked", b"connection: close"],
    ids=["too long a length", "no last chunk", "until it closes"],
)
def test_c54_f10_an_answer_that_is_whole_counts_however_its_connection_ends(http, adversary, head, end):
    """The only valid refresh token may stand in it: neither a reset, a hang nor a drip behind the brace loses it."""
    body = b"%x\r\n%s\r\n" % (len(WHOLE), WHOLE) if b"chunked" in head else WHOLE

    def behave(wire, _request):
        wire.sendall(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n%s" % (head, body))
        if end == "reset":
            time.sleep(0.05)
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        while end in ("hang", "drip") and not server.closing.wait(0.1):
            if end == "drip" and b"chunked" not in head:
                wire.sendall(b" ")
        return False

    server = adversary(behave)
    began = time.monotonic()
    answer = http.send(post(server.url()), budget=0.6)

    assert answer.body.strip() == WHOLE
    assert time.monotonic() - began < IN_TIME


@pytest.mark.parametrize("body", [WHOLE[:-1], b"[1]", b"1", b'"a"', b"access_token=a", b"", WHOLE + b"{"])
def test_c54_what_is_cut_off_is_no_answer(http, adversary, body):
    """Only an object says itself that it has ended."""

    def behave(wire, _request):
        wire.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n" + body)
        return False

    assert failed(http, post(adversary(behave).url())).outcome_unknown is True


def test_f10_a_connection_that_cannot_be_closed_has_answered_all_the_same(http, adversary, monkeypatch):
    """Once the body is read, nothing the connection does turns the answer into an unknown outcome."""
    from grantkeeper.provider_client import _Body

    def broken(_self):
        raise OSError("close")

    monkeypatch.setattr(_Body, "close", broken)
    server = adversary(answering(WHOLE, headers=b"connection: close\r\n"))

    assert http.send(post(server.url())).body == WHOLE


def test_f10_bytes_behind_a_whole_answer_cost_nothing(http, adversary):
    """More than was announced, and then a reset: the answer is read, and its connection is not used again."""

    def behave(wire, _request):
        wire.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%sgarbage" % (len(WHOLE), WHOLE))
        time.sleep(0.3)  # a reset takes along what the other side has not read yet
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    server = adversary(behave)
    for _ in range(3):
        assert http.send(post(server.url())).body == WHOLE
    assert (server.connections, len(server.requests)) == (3, 3)  # and no request was sent twice


@pytest.mark.parametrize(
    "framing", [b"content-length: %d\r\n\r\n%s", b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"]
)
def test_f10_an_answer_too_many_is_nobodys(http, adversary, framing):
    """Two whole answers to one request: the second is not handed to whoever asks next."""

    def behave(wire, request):
        body = request.partition(b"\r\n\r\n")[2]
        answer = b"HTTP/1.1 200 OK\r\n" + framing % (len(body), body)
        wire.sendall(answer * 2)

    server = adversary(behave)
    for name in (b"alice", b"bob", b"carol"):
        assert http.send(HttpRequest("POST", server.url(), (), name)).body == name
    assert (server.connections, len(server.requests)) == (3, 3)


def test_connections_are_kept_whatever_ends_the_answer(http, adversary):
    """By its length or by its last chunk, after an informational answer, and without a body."""
    answers = iter([
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    ])  # fmt: skip
    server = adversary(lambda wire, _request: wire.sendall(next(answers)))
    for _ in range(5):
        http.send(post(server.url()))

    assert (server.connections, len(server.requests)) == (1, 5)


def test_c47_a_packed_answer_that_is_whole_counts_without_its_checksum(http, adversary):
    """Cut off in the trailer, behind the last brace."""
    server = adversary(answering(gzip.compress(WHOLE)[:-4], headers=b"content-encoding: gzip\r\n"))

    assert http.send(post(server.url())).body == WHOLE


@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_an_informational_answer_is_followed_by_the_real_one(http, adversary, status):
    """RFC 9110 section 15.2; a few of them or a flood, the deadline stands over all."""

    def behave(wire, _request):
        wire.sendall(b"HTTP/1.1 %s\r\n\r\n" % status * 3)
        wire.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(WHOLE), WHOLE))

    assert http.send(post(adversary(behave).url())).body == WHOLE


def test_c54_a_flood_of_informational_answers_gains_no_time(http, adversary):
    """None of them is the answer."""

    def behave(wire, _request):
        while not server.closing.is_set():
            wire.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            time.sleep(0.01)

    server = adversary(behave)
    began = time.monotonic()
    assert failed(http, post(server.url()), budget=0.5).outcome_unknown is True
    assert time.monotonic() - began < IN_TIME


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "\u2603", "a\x00b\r\n c"])
def test_a_header_cannot_be_split(http, adversary, value):
    """A token from a hostile provider becomes a header in the profile probe; nothing of it is sent."""
    server = adversary(answering())
    error = failed(http, post(server.url(), headers=(("authorization", f"Bearer {value}"),)))

    assert (error.extensions["reason"], error.outcome_unknown) == ("request_malformed", False)
    assert server.requests == []


def test_a_failed_exchange_leaves_no_connection_behind(http, adversary):
    """The next request starts on a clean one."""
    behaviours = [endless(b"HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n", b"a" * 65536), answering()]

    def behave(wire, request):
        return behaviours[min(server.connections, 2) - 1](wire, request)

    server = adversary(behave)
    failed(http, post(server.url()), error=TokenResponseRejected)

    assert http.send(post(server.url())).body == b'{"access_token":"at-1"}'


def test_the_library_is_loaded_by_the_first_request_and_not_before():
    """A start costs nothing of it; nor does a request that is refused."""
    code = (
        "import sys, secrets, socket, botocore.session, botocore.httpsession\n"
        "before = set(sys.modules)\n"
        "from grantkeeper.errors import ProviderUnavailable\n"
        "from grantkeeper.model import HttpRequest\n"
        "from grantkeeper.provider_http import Httpx2ProviderHttp\n"
        "http = Httpx2ProviderHttp(allow_private_addresses=True)\n"
        "def send(url):\n"
        "    try: http.send(HttpRequest('GET', url))\n"
        "    except ProviderUnavailable as error: return error.extensions['reason']\n"
        "print(send('gopher://127.0.0.1/'))\n"
        "loaded = set(sys.modules) - before - set(sys.builtin_module_names)\n"
        "print([m for m in loaded if not m.startswith('grantkeeper')])\n"
        "print(send('http://127.0.0.1:1/'), 'httpx2' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": "layers/common"}
    )

    assert result.stdout.splitlines() == ["address_refused", "[]", "connect_failed True"]
