"""
The page on which a user allows an application one of his connections.

It has no script. Its form goes to us alone and then to the application that asked: the policy names both, because a
browser holds a form's redirects against it too. What sends it proves the browser by its cookie, and the page by a
value made of that cookie's secret and the request's id, which no other site can know.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import urlsplit

from grantkeeper import ids
from grantkeeper.edge.http import Response
from grantkeeper.edge.pages import page
from grantkeeper.errors import BadRequest
from grantkeeper.model import Connection

_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?\Z", re.ASCII)
_STYLE = """
fieldset{margin:1.25rem 0 0;padding:0;border:0;display:grid;gap:.75rem}
legend{padding:0;margin-bottom:.5rem;font-weight:600}
label{display:grid;grid-template-columns:auto 1fr;gap:.25rem .75rem;padding:.75rem 1rem;border:1px solid var(--edge);
border-radius:.5rem;overflow-wrap:anywhere}
label:has(:checked){border-color:var(--accent);background:var(--over)}
input{width:1.1rem;height:1.1rem;margin:.2rem 0 0;accent-color:var(--accent)}
label span{grid-column:2;color:var(--soft);font-size:.875rem}
.answers{margin-top:1.5rem;display:grid;grid-template-columns:1fr 1fr;gap:.75rem}
button{padding:.75rem 1rem;border:1px solid var(--edge);border-radius:.5rem;background:none;color:inherit;
font:inherit;font-weight:600;cursor:pointer}
button:hover{border-color:var(--accent);background:var(--over)}
button.yes{background:var(--accent);border-color:var(--accent);color:var(--card)}
button:focus-visible,input:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
"""


def consent_page(
    client_name: str,
    connections: Sequence[Connection],
    *,
    services: Mapping[str, str],
    action: str,
    form_token: str,
    redirect_uri: str,
) -> Response:
    """
    Ask the user.

    Args:
        client_name: Who asks.
        connections: What he may allow, one of them; none, and only "no" is left.
        services: What each service is called.
        action: Where the form goes.
        form_token: As `form_token_of`.
        redirect_uri: Where the browser goes afterwards.
    """
    name = escape(client_name)
    if connections:
        title = f"Let {client_name} use a connection?"
        choices = "".join(_choice(c, services, checked=len(connections) == 1) for c in connections)
        body = (
            f'<p class="soft">{name} can then act there for you, as far as the list goes, until you take it back.</p>'
            f"<fieldset><legend>Which one?</legend>{choices}</fieldset>"
        )
        answers = _button("deny", "Deny") + _button("allow", "Allow", kind="yes")
    else:
        title = f"There is nothing {client_name} could use"
        body = f'<p class="soft">{name} asked for a connection that you do not have.</p>'
        answers = _button("deny", "Go back")
    html = (
        f'<h1>{escape(title)}</h1><form method="post" action="{escape(action)}">'
        f'<input type="hidden" name="form_token" value="{escape(form_token)}">'
        f'{body}<div class="answers">{answers}</div></form>'
    )
    shown = page(title, html, more_style=_STYLE, form_action=f"'self' {_source_of(redirect_uri)}")
    # With "no-referrer" a browser would say `Origin: null` even to us.
    return shown.with_headers(referrer_policy="same-origin")


def form_token_of(browser_secret: str, errand_id: str) -> str:
    """What the form of one request holds in one browser."""
    return ids.b64url(hmac.digest(browser_secret.encode(), f"consent {errand_id}".encode(), hashlib.sha256))


def require_own_form(
    headers: Mapping[str, str], form: Mapping[str, str], *, browser_secret: str, errand_id: str, issuer: str
) -> None:
    """
    Let through what our own page sent from this browser (W-04).

    Raises:
        BadRequest: Another origin, none that can be told, or not this browser's form.
    """
    split = urlsplit(issuer)
    if headers.get("origin") != f"{split.scheme}://{split.netloc}":
        raise BadRequest("Answer on our own page.")
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise BadRequest("Answer on our own page.")
    if not ids.same(form.get("form_token", ""), form_token_of(browser_secret, errand_id)):
        raise BadRequest("Answer on the page as it was shown in this browser.")


def _choice(connection: Connection, services: Mapping[str, str], *, checked: bool) -> str:
    called = escape(services.get(connection.service, connection.service))
    label = f" &middot; {escape(connection.label)}" if connection.label else ""
    scopes = escape(", ".join(connection.scopes)) or "whatever its key allows"
    ticked = " checked" if checked else ""
    return (
        f'<label><input type="radio" name="connection" value="{escape(connection.id)}" required{ticked}>'
        f"<b>{called}{label}</b><span>{scopes}</span></label>"
    )


def _button(value: str, text: str, *, kind: str = "") -> str:
    skips = "" if kind else " formnovalidate"
    return f'<button class="{kind}" name="answer" value="{value}"{skips}>{text}</button>'


def _source_of(redirect_uri: str) -> str:
    """Where a form's redirect may lead, as the policy can say it: an origin, or a scheme that has none."""
    split = urlsplit(redirect_uri)
    if split.scheme in ("http", "https") and _HOST.match(split.netloc):
        return f"{split.scheme}://{split.netloc}"
    return f"{split.scheme}:"
