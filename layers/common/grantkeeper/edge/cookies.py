"""
The browser-binding cookie: a trip can only be finished in the browser that started it.

One cookie per browser, reused by parallel trips, so that two tabs do not cut
each other off. On https it carries the `__Host-` prefix, which keeps a
sibling domain from planting one; cookie jars other than Chromium's refuse
that prefix on plain http, so on loopback it goes without (design section 5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from grantkeeper import ids

LIFETIME = 600  # seconds, as long as an authorization request
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class BrowserBinding:
    """The secret of one browser, read from its cookie or made anew."""

    secret: str = field(repr=False)

    @property
    def browser_hash(self) -> str:
        """What an authorization request keeps of it."""
        return ids.digest(self.secret)


def binding_cookie_name(issuer: str) -> str:
    """`__Host-gk_browser` on https, `gk_browser` on plain http."""
    return "__Host-gk_browser" if _https(issuer) else "gk_browser"


def form_post_cookie_name(issuer: str) -> str:
    """The twin for providers that answer by a cross-site POST, to which no Lax cookie is sent."""
    return "__Secure-gk_post" if _https(issuer) else "gk_post"


def read_binding(cookies: Mapping[str, str], *, issuer: str) -> BrowserBinding | None:
    """The binding this browser presents; None when there is none or it cannot be ours."""
    return _read(cookies.get(binding_cookie_name(issuer)))


def read_form_post_binding(cookies: Mapping[str, str], *, issuer: str) -> BrowserBinding | None:
    """The binding a browser presents with a provider's form post."""
    return read_binding(cookies, issuer=issuer) or _read(cookies.get(form_post_cookie_name(issuer)))


def binding_for_trip(cookies: Mapping[str, str], *, issuer: str) -> BrowserBinding:
    """The browser's binding, or a new one: what a starting trip is bound to."""
    return read_binding(cookies, issuer=issuer) or BrowserBinding(ids.new_secret())


def set_binding(binding: BrowserBinding, *, issuer: str) -> str:
    """The Set-Cookie value that starts or prolongs the binding."""
    secure = "; Secure" if _https(issuer) else ""
    return f"{binding_cookie_name(issuer)}={binding.secret}; Max-Age={LIFETIME}; Path=/; HttpOnly; SameSite=Lax{secure}"


def set_form_post_binding(binding: BrowserBinding, *, issuer: str, path: str) -> str:
    """
    The Set-Cookie value for a provider that answers by form post: SameSite=None, for its callback path alone.

    What keeps such a callback from being forged is `state`, which is bound to this same browser.
    """
    return (
        f"{form_post_cookie_name(issuer)}={binding.secret}; Max-Age={LIFETIME}; Path={path}; "
        "HttpOnly; SameSite=None; Secure"
    )


def _read(value: str | None) -> BrowserBinding | None:
    return None if value is None or _SECRET.match(value) is None else BrowserBinding(value)


def _https(issuer: str) -> bool:
    return issuer.startswith("https://")
