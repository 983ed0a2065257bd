"""
The pages people see of us: choose how to sign in, and what went wrong; `consent_page` makes a third.

Plain HTML that needs no script, no image and nobody else's server. The one
style sheet is allowed by its hash, so injected markup could not even be
styled. Everything that varies is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from grantkeeper.edge.http import Response

# Text has a contrast of at least 4.5:1 to what is behind it, the edge of what can be pressed 3:1 (WCAG 1.4.3, 1.4.11).
_STYLE = """
:root{color-scheme:light dark;
--ground:#f4f5f7;--card:#fff;--text:#17191c;--soft:#5b626d;--line:#dde1e7;--edge:#868e9a;--accent:#1f5fbf;
--over:#eff4fb}
@media (prefers-color-scheme:dark){
:root{--ground:#121417;--card:#1c1f24;--text:#eceef1;--soft:#a3abb6;--line:#31373f;--edge:#747d8a;--accent:#8ab4f8;
--over:#252c37}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;min-height:100dvh;display:grid;place-items:center;padding:clamp(.75rem,5vw,1.5rem);
background:var(--ground);color:var(--text);font:1rem/1.5 system-ui,sans-serif}
main{width:100%;max-width:26rem;padding:clamp(1.25rem,7vw,2.25rem);background:var(--card);
border:1px solid var(--line);border-radius:.75rem;box-shadow:0 1px 2px #0000000f,0 .5rem 1.5rem #0000000f}
h1{margin:0 0 .5rem;font-size:1.4rem;line-height:1.3;overflow-wrap:anywhere;text-wrap:balance}
p{margin:.5rem 0 0;overflow-wrap:anywhere;text-wrap:pretty}
p.soft{color:var(--soft)}
ul{list-style:none;margin:1.5rem 0 0;padding:0;display:grid;gap:.75rem}
a{display:block;padding:.75rem 1rem;border:1px solid var(--edge);border-radius:.5rem;
color:inherit;text-decoration:none;text-align:center;font-weight:600;overflow-wrap:anywhere}
a:hover{border-color:var(--accent);background:var(--over)}
a:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
footer{margin-top:1.5rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.875rem}
code{display:block;font:.8125rem/1.5 ui-monospace,monospace;overflow-wrap:anywhere;user-select:all}
"""


def _policy(style: str, form_action: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'; "
        f"form-action {form_action}"
    )


CONTENT_SECURITY_POLICY = _policy(_STYLE, "'none'")


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to sign in: what it is called and where it leads."""

    display_name: str
    url: str


def chooser_page(client_name: str, choices: Iterable[Choice], *, proving: bool = False) -> Response:
    """
    Let the user pick a provider. Choosing starts the trip; showing the page starts nothing.

    Args:
        proving: He proves to us who he is, and is signed in nowhere by it.
    """
    items = "".join(
        f'<li><a href="{escape(choice.url)}">Continue with {escape(choice.display_name)}</a></li>' for choice in choices
    )
    title = f"{client_name} asks for your consent" if proving else f"Sign in to {client_name}"
    hint = "First show who you are: choose how you sign in." if proving else "Choose the account to sign in with."
    return page(title, f'<h1>{escape(title)}</h1><p class="soft">{hint}</p><ul>{items}</ul>')


def error_page(detail: str, *, status: int = 400, title: str = "That did not work", request_id: str = "") -> Response:
    """
    Say what went wrong where there is no trusted place to send the browser.

    Args:
        detail: One safe sentence; shown escaped.
        request_id: For the person who asks for help.
    """
    reference = (
        f"<footer>Reference, if you ask for help: <code>{escape(request_id)}</code></footer>" if request_id else ""
    )
    body = (
        f"<h1>{escape(title)}</h1><p>{escape(detail)}</p>"
        f'<p class="soft">Go back to the application and start again. You can close this page.</p>{reference}'
    )
    return page(title, body, status=status)


def notice_page(title: str, detail: str) -> Response:
    """Say that something is done."""
    return page(title, f"<h1>{escape(title)}</h1><p>{escape(detail)}</p>")


def page(title: str, body: str, *, status: int = 200, more_style: str = "", form_action: str = "'none'") -> Response:
    """
    A whole page.

    Args:
        body: HTML; what varies in it is escaped.
        more_style: Rules for what only this page has.
        form_action: Where its forms may lead, redirects included.
    """
    style = _STYLE + more_style
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="robots" content="noindex"><title>{escape(title)}</title><style>{style}</style></head>'
        f"<body><main>{body}</main></body></html>"
    )
    policy = CONTENT_SECURITY_POLICY if not more_style else _policy(style, form_action)
    return Response(status, html, {"content-type": "text/html; charset=utf-8", "content-security-policy": policy})
