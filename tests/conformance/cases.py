"""Which dialects there are to check, and what is the same in all tests of one."""

from __future__ import annotations

from functools import cache

from grantkeeper.providers.catalog import Catalog
from grantkeeper.providers.record import Provider
from tests.conformance.dialects import DIALECTS
from tests.conformance.vendor import Vendor
from tests.conformance.world import World
from tests.support.functions import Answer

NO_VENDOR = frozenset({"demo", "openid"})  # local ones, made here
MINUTES = 120  # seconds: longer than a generation is young


@cache
def records() -> dict[str, Provider]:
    """The built-in records of real vendors; users' own API keys follow no protocol."""
    found = [provider for provider in Catalog({}).all() if provider.id not in NO_VENDOR]
    return {provider.id: provider for provider in found if provider.protocol != "api_key"}


def dialects(which: str = "connect") -> list[str]:
    """
    Keys of the dialects whose record is in the catalogue.

    Args:
        which: Those that `connect`; of these, those that `refresh` or can be `revoked`; or those that `signin`.
    """

    def chosen(dialect: type[Vendor]) -> bool:
        record = records()[dialect.record_id]
        if which == "signin":
            return bool(record.signin_scopes)
        if which == "refresh" and dialect.refresh_token == "never":
            return False
        return bool(record.services) and (dialect.revocable or which != "revoked")

    return [key for key, dialect in DIALECTS.items() if dialect.record_id in records() and chosen(dialect)]


def services() -> list[tuple[str, str, str]]:
    """Every (dialect, service, access level)."""
    return [
        (key, service.id, access)
        for key in dialects()
        for service in records()[DIALECTS[key].record_id].services
        for access in service.access
    ]


def unknown_records() -> set[str]:
    """Built-in records that nobody has written a dialect for."""
    return set(records()) - {dialect.record_id for dialect in DIALECTS.values()}


def stale(world: World, connection_id: str, *, name: str = "main", **query: object) -> Answer:
    """
    Ask for a token of a connection that cannot be served as it is, a while after its last refresh.

    The token has expired at the vendor; where the vendor does not say when tokens end, the caller says that it was
    refused.
    """
    grant = world.grant(connection_id, name)
    world.clock.skip(MINUTES)
    if grant.expires_at is not None:
        world.clock.skip(max(0, grant.expires_at - world.clock.now + 10))
        return world.token(connection_id, name, **query)
    return world.token(connection_id, name, rejected_generation=grant.generation, **query)
