"""The browser-binding cookie."""

from __future__ import annotations

import pytest

from grantkeeper import ids
from grantkeeper.edge import cookies

HTTPS, LOOPBACK = "https://id.example.com", "http://localhost:8080"


def test_s22_cookie_is_host_only_and_unreadable_for_scripts():
    """On https it carries the __Host- prefix, which a sibling domain cannot plant (W-11)."""
    value = cookies.set_binding(cookies.BrowserBinding("s" * 43), issuer=HTTPS)

    assert value == f"__Host-gk_browser={'s' * 43}; Max-Age=600; Path=/; HttpOnly; SameSite=Lax; Secure"


def test_loopback_cookie_has_no_prefix():
    """Cookie jars other than Chromium's refuse __Host- on http."""
    value = cookies.set_binding(cookies.BrowserBinding("s" * 43), issuer=LOOPBACK)

    assert value.startswith("gk_browser=")
    assert "Secure" not in value


def test_c04_browser_keeps_its_secret_over_parallel_trips():
    """A second tab starts a second trip with the same binding, so that both can come back."""
    jar = {"__Host-gk_browser": "s" * 43}

    assert cookies.binding_for_trip(jar, issuer=HTTPS).secret == "s" * 43


def test_new_browser_gets_a_new_secret():
    """256 random bits each."""
    first, second = (cookies.binding_for_trip({}, issuer=HTTPS).secret for _ in range(2))

    assert first != second
    assert len(first) == 43


@pytest.mark.parametrize("value", ["", "short", "s" * 44, "s" * 42 + "!", "s" * 42 + "\n", "é" * 43])
def test_w11_cookie_that_cannot_be_ours_is_none(value):
    """Nothing is read from the store for it, and a trip gets a fresh one."""
    assert cookies.read_binding({"__Host-gk_browser": value}, issuer=HTTPS) is None
    assert cookies.binding_for_trip({"__Host-gk_browser": value}, issuer=HTTPS).secret != value


def test_w11_unprefixed_cookie_counts_for_nothing_on_https():
    """A sibling domain can plant `gk_browser`, not `__Host-gk_browser`."""
    assert cookies.read_binding({"gk_browser": "s" * 43}, issuer=HTTPS) is None


def test_c36_form_post_cookie_is_for_one_callback_path():
    """SameSite=None only there, and only for a provider that answers by POST."""
    value = cookies.set_form_post_binding(cookies.BrowserBinding("s" * 43), issuer=HTTPS, path="/oauth2/callback/apple")

    assert value.startswith("__Secure-gk_post=")
    assert "Path=/oauth2/callback/apple;" in value
    assert value.endswith("HttpOnly; SameSite=None; Secure")
    assert cookies.read_form_post_binding({"__Secure-gk_post": "s" * 43}, issuer=HTTPS).secret == "s" * 43
    assert cookies.read_binding({"__Secure-gk_post": "s" * 43}, issuer=HTTPS) is None


def test_binding_hides_its_secret():
    """Its repr shows nothing, its hash is what is stored."""
    binding = cookies.BrowserBinding("s" * 43)

    assert "sss" not in repr(binding)
    assert binding.browser_hash == ids.digest("s" * 43)
