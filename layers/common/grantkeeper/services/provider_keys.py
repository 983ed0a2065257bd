"""Providers' published keys (RFC 7517), fetched rarely, kept for an hour, and never done without."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from grantkeeper.errors import GrantkeeperError, ProviderMisconfigured, ProviderUnavailable, TokenResponseRejected
from grantkeeper.model import HttpRequest
from grantkeeper.oauth.answers import strict_object
from grantkeeper.oauth.endpoints import resolve
from grantkeeper.oauth.jwk import PRIVATE_PARTS, verification_keys

if TYPE_CHECKING:
    from grantkeeper.ports import ProviderHttp
    from grantkeeper.providers.record import Provider

FRESH = 3600  # seconds a key set is used without asking
LAST_KNOWN_GOOD = 24 * 3600  # seconds it is used while the provider does not answer
UNKNOWN_KID_EVERY = 300  # seconds between two fetches for a kid nobody knows
RETRY_AFTER = 30  # seconds between two attempts while the provider does not answer
BUDGET = 3.0  # seconds for one fetch


@dataclass(frozen=True, slots=True)
class _KeySet:
    keys: Sequence[dict[str, Any]]
    fetched_at: int
    tried_at: int
    forced_at: int | None = None  # the last fetch made for an unknown kid


class ProviderKeys:
    """
    The keys of all providers, one instance per execution environment, safe for threads.

    Kept per provider record and URL, never per issuer: two records that claim one issuer do not share a key (C-91).
    """

    def __init__(self, http: ProviderHttp, *, alarm: Callable[[str, str], None] | None = None) -> None:
        """
        Args:
            http: Sends the fetches.
            alarm: Told (`"private_key_published"`, provider id) when a key set shows private parts.
        """
        self._http = http
        self._alarm = alarm
        self._sets: dict[tuple[str, str], _KeySet] = {}
        self._locks: dict[tuple[str, str], Lock] = defaultdict(Lock)

    def keys(self, provider: Provider, now: int, kid: str | None = None) -> Sequence[dict[str, Any]]:
        """
        Return the keys that may verify the provider's ID tokens.

        A `kid` that is not among them is looked for once per 5 minutes and provider, however many tokens name one
        (C-68). While the provider does not answer, the last good keys are used for 24 hours.

        Args:
            provider: Its record; endpoint variables are filled with the defaults where they are still open.
            now: Epoch seconds.
            kid: `key_id_of` the token, when it names one.

        Raises:
            ProviderMisconfigured: The record names no key set.
            ProviderUnavailable: No keys are known and none can be fetched.
        """
        url = resolve(provider).jwks_uri
        if url is None:
            raise ProviderMisconfigured("The record of the provider names no keys.", provider=provider.id)
        place = (provider.id, url)
        with self._locks[place]:  # of many callers one fetches, the others take what it got
            known = self._sets.get(place)
            if known is None or now - known.fetched_at >= FRESH:
                known = self._renewed(provider, url, known, now)
            elif kid is not None and not _has(known, kid) and _may_force(known, now):
                known = self._forced(provider, url, known, now)
            self._sets[place] = known
            return known.keys

    def _renewed(self, provider: Provider, url: str, known: _KeySet | None, now: int) -> _KeySet:
        if known is not None and now - known.tried_at < RETRY_AFTER and now - known.fetched_at < LAST_KNOWN_GOOD:
            return known
        try:
            return _KeySet(self._fetch(provider, url), now, now, None if known is None else known.forced_at)
        except GrantkeeperError:
            if known is None or now - known.fetched_at >= LAST_KNOWN_GOOD:
                raise
            return replace(known, tried_at=now)

    def _forced(self, provider: Provider, url: str, known: _KeySet, now: int) -> _KeySet:
        try:
            return _KeySet(self._fetch(provider, url), now, now, now)
        except GrantkeeperError:
            return replace(known, tried_at=now, forced_at=now)

    def _fetch(self, provider: Provider, url: str) -> Sequence[dict[str, Any]]:
        try:
            response = self._http.send(HttpRequest("GET", url, (("accept", "application/json"),)), budget=BUDGET)
        except TokenResponseRejected:  # over the size limit
            raise ProviderUnavailable("The provider publishes no keys.", provider=provider.id) from None
        document = strict_object(response.body) if response.status == 200 else None
        keys = verification_keys(document)
        if self._alarm is not None and _shows_private_parts(document):
            self._alarm("private_key_published", provider.id)
        if not keys:
            raise ProviderUnavailable("The provider publishes no keys.", provider=provider.id)
        return keys


def _has(known: _KeySet, kid: str) -> bool:
    return any(key.get("kid") == kid for key in known.keys)


def _may_force(known: _KeySet, now: int) -> bool:
    return known.forced_at is None or now - known.forced_at >= UNKNOWN_KID_EVERY


def _shows_private_parts(document: Any) -> bool:
    keys = document.get("keys") if isinstance(document, dict) else None
    return any(
        isinstance(key, dict) and key.get("kty") != "oct" and not PRIVATE_PARTS.isdisjoint(key)
        for key in (keys if isinstance(keys, list) else [])
    )
