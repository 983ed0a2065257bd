"""
docs/providers: one page per service, written from the records and from notes by hand.

    python -m cli.provider_docs            # write the pages
    python -m cli.provider_docs --check    # exit 1 when a committed page is not what would be written

What a record says stands in the page once, in words; what no field can say stands in docs/providers/notes/<id>.md,
named after the service or its provider.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from cli.provider_facts import disconnecting, expiry, profile_facts, registering, requesting, sources
from grantkeeper.providers.catalog import Catalog
from grantkeeper.providers.record import Provider, Service

MARK = "<!-- Written by python -m cli.provider_docs from the provider's record. Edit that, or notes/. -->"
PAGES = Path(__file__).parents[1] / "docs" / "providers"


def pages(folder: Path = PAGES) -> Mapping[str, str]:
    """
    Write every page in memory.

    Args:
        folder: Where `notes/` is.

    Returns:
        File name → Markdown, the index among them.
    """
    catalog = Catalog()
    subjects = [(provider, service) for provider in catalog.all() for service in _services(provider)]
    written = {f"{_id(provider, service)}.md": _page(provider, service, folder) for provider, service in subjects}
    return written | {"README.md": _index(subjects)}


def stale(folder: Path = PAGES) -> list[str]:
    """Name the pages of `folder` that are missing, different, or of a service that is gone."""
    wanted = pages(folder)
    found = {path.name: path.read_text() for path in folder.glob("*.md")}
    written = {name for name, text in found.items() if MARK in text}
    return sorted(name for name in {*wanted, *written} if wanted.get(name) != found.get(name))


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` say which are not current."""
    if "--check" in arguments:
        for name in stale():
            print(f"docs/providers/{name} is not current: python -m cli.provider_docs")
        return 1 if stale() else 0
    wanted = pages()
    for path in PAGES.glob("*.md"):
        if path.name not in wanted and MARK in path.read_text():
            path.unlink()
    for name, text in wanted.items():
        (PAGES / name).write_text(text)
    return 0


def _services(provider: Provider) -> tuple[Service | None, ...]:
    """A provider without services signs users in and has a page of its own."""
    return provider.services or (None,)


def _id(provider: Provider, service: Service | None) -> str:
    return provider.id if service is None else service.id


def _page(provider: Provider, service: Service | None, folder: Path) -> str:
    name = f"Sign in with {provider.display_name}" if service is None else service.display_name
    parts = [
        f"# {name}",
        _head(provider, service),
        MARK,
        *_section("Register", registering(provider, service)),
        *_section("Sign in" if service is None else "Connect", requesting(provider, service)),
        *_section("What expires when", "" if service is None else expiry(provider)),
        *_section("What disconnecting does", "" if service is None else disconnecting(provider)),
        *_section("Whose account it is", profile_facts(provider)),
        *_section("Notes", _notes(provider, service, folder)),
        *_section("Sources", sources(provider)),
    ]
    return "\n\n".join(parts) + "\n"


def _head(provider: Provider, service: Service | None) -> str:
    facts = [f"provider `{provider.id}`"]
    if service is not None:
        facts.insert(0, f"service `{service.id}`")
    protocols = {"oidc": "OpenID Connect", "oauth2": "OAuth 2.0", "oauth1": "OAuth 1.0a", "api_key": "API key"}
    facts.append(protocols[provider.protocol])
    if provider.signin_scopes:
        facts.append("signs users in")
    return " · ".join(facts)


def _section(title: str, body: str) -> Iterator[str]:
    if body:
        yield f"## {title}\n\n{body}"


def _notes(provider: Provider, service: Service | None, folder: Path) -> str:
    ids = dict.fromkeys((_id(provider, service), provider.id))
    files = (folder / "notes" / f"{name}.md" for name in ids)
    return "\n\n".join(path.read_text().strip() for path in files if path.exists())


def _index(subjects: list[tuple[Provider, Service | None]]) -> str:
    rows = []
    for provider, service in sorted(subjects, key=lambda subject: _id(*subject)):
        levels = "" if service is None else ", ".join(f"`{level}`" for level in service.access)
        signin = "yes" if provider.signin_scopes else ""
        rows.append(
            f"| [{_id(provider, service)}]({_id(provider, service)}.md) | `{provider.id}` | {levels} | {signin} |"
        )
    head = "| service | provider | access levels | sign-in |\n| --- | --- | --- | --- |"
    more = (
        "Another provider is a record of your own, starting from any of these by `base`, or from `openid`, which needs"
        " an `issuer` and nothing else: [overlays.md](overlays.md) has the rules, worked examples, and how a secret"
        " rotates."
    )
    return f"# Providers\n\n{MARK}\n\n{head}\n" + "\n".join(rows) + f"\n\n{more}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
