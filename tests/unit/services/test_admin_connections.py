"""`services.admin_connections`: lists of everybody's connections, page by page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from grantkeeper.services.admin_connections import Wanted, list_all_connections
from tests.stores.records import connection


class Lists:
    """Two connections of each provider; notes where each list was begun."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str | None]] = []

    def page(self, provider: str, *, after: str | None, **_: Any) -> tuple[list[Any], str | None]:
        self.begun.append((provider, after))
        return [connection(f"con_{provider}_{n}", provider=provider) for n in range(2)], None


def listed(*, after: str | None) -> list[tuple[str, str | None]]:
    catalog: Any = SimpleNamespace(all=lambda: [SimpleNamespace(id=name, services=()) for name in ("box", "google")])
    lists: Any = Lists()
    list_all_connections(Wanted(), seen=lists, catalog=catalog, limit=9, after=after)
    return lists.begun


def test_a_page_goes_on_in_the_list_it_stopped_in() -> None:
    """And begins the following lists at their beginning."""
    assert listed(after=None) == [("box", None), ("google", None)]
    assert listed(after="box|active#files#con_5") == [("box", "active#files#con_5"), ("google", None)]
    assert listed(after="google|active#gmail#con_5") == [("google", "active#gmail#con_5")]


def test_a_place_in_a_list_that_is_gone_skips_nothing_of_another() -> None:
    """A deployment may take a provider out of the catalog between two pages: the lists begin anew."""
    assert listed(after="trello|revoked#trello#con_9") == [("box", None), ("google", None)]
