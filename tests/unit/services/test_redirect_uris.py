"""Which redirect URIs a client may use (W-01, C-34)."""

import pytest

from grantkeeper.errors import BadRequest
from grantkeeper.services.redirect_uris import matches, require_registered

REGISTERED = "https://app.example/connected"

ATTACKS = [
    "",
    "https://evil.example/connected",
    "//app.example/connected",
    "//evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "https:/app.example/connected",
    "https:///app.example/connected",
    "javascript:alert(1)",
    "data:text/html,x",
    "https://app.example/connected\r\nset-cookie: a=b",
    "https://app.example/connected\n",
    " https://app.example/connected",
    "https://app.example/connected ",
    "https://user@app.example/connected",
    "https://app.example@evil.example/connected",
    "https://app.example:443/connected",
    "https://app.example:444/connected",
    "https://app.example./connected",
    "https://APP.example/connected",
    "HTTPS://app.example/connected",
    "https://xn--pp-fka.example/connected",
    "https://\u0430pp.example/connected",  # a Cyrillic letter
    "https://app.example%2fevil/connected",
    "https://app.example\\@evil.example/connected",
    "https://app.example\t/connected",
    "https://app.example/connected/",
    "https://app.example/connected/..",
    "https://app.example/x/../connected",
    "https://app.example/%63onnected",
    "https://app.example/connected?next=x",
    "https://app.example/connected?",
    "https://app.example/connected#f",
    "https://app.example/connected#",
    "https://app.example/Connected",
    "https://sub.app.example/connected",
    "https://app.example.evil.example/connected",
    "http://app.example/connected",
    "https://[::ffff:7f00:1]/connected",
    "https://app.example/connected" + "a" * 2100,
]

LOOPBACK_ATTACKS = [
    "http://127.0.0.1.evil.example/back",
    "http://127.0.0.1:80@evil.example/back",
    "http://evil.example:80/back",
    "http://user@127.0.0.1:80/back",
    "http://127.0.0.1:99999/back",
    "http://127.0.0.1:0/back",
    "http://127.0.0.1:/back",
    "http://127.0.0.1:8a/back",
    "http://127.0.0.1:80\\@evil.example/back",
    "http://127.0.0.1:80/other",
    "http://127.0.0.1:80/back?x=1",
    "http://127.0.0.1:80/back#x",
    "http://127.0.0.2:80/back",
    "http://127.1:80/back",
    "http://2130706433/back",
    "http://0x7f000001/back",
    "http://[::1]:80/back",
    "http://localhost:80/back",
    "https://127.0.0.1:80/back",
    "http://127.0.0.1:80\n/back",
    "http://127.0.0.1:80/back\n",
    "http://127.0.0.1:٨٠/back",
]


@pytest.mark.parametrize("presented", ATTACKS)
def test_w01_c34_nothing_but_the_registered_string_is_a_redirect_target(presented):
    """No reading of a URI by any parser sends a browser elsewhere: only the same string matches."""
    with pytest.raises(BadRequest):
        require_registered(presented, [REGISTERED])


@pytest.mark.parametrize("presented", LOOPBACK_ATTACKS)
def test_w01_a_loopback_registration_frees_the_port_and_nothing_else(presented):
    """Host, path and query are compared as strings, and the port is a number."""
    assert not matches(presented, "http://127.0.0.1/back")


@pytest.mark.parametrize("presented", [None, 7, ["https://app.example/connected"]])
def test_a_redirect_uri_is_a_string(presented):
    """Other JSON types are refused, not converted."""
    with pytest.raises(BadRequest):
        require_registered(presented, [REGISTERED])


def test_the_registered_uri_is_allowed():
    """The same string, character by character."""
    assert require_registered(REGISTERED, ["https://app.example/other", REGISTERED]) == REGISTERED


@pytest.mark.parametrize(
    ("presented", "registered"),
    [
        ("http://127.0.0.1:49152/back", "http://127.0.0.1/back"),
        ("http://127.0.0.1/back", "http://127.0.0.1:3000/back"),
        ("http://localhost:3001/back?a=1", "http://localhost:3000/back?a=1"),
        ("http://[::1]:1/back", "http://[::1]/back"),
    ],
)
def test_a_native_app_may_use_any_loopback_port(presented, registered):
    """RFC 8252 section 7.3: it cannot know its port when it registers."""
    assert matches(presented, registered)
