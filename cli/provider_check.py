"""Is a provider's record sound, does the provider's own metadata still say the same, and will it redirect to us?"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from grantkeeper.errors import GrantkeeperError, InvalidProviderRecord, ProviderUnavailable, TokenResponseRejected
from grantkeeper.oauth.endpoints import callback_uri
from grantkeeper.ports import ProviderHttp
from grantkeeper.providers.catalog import Catalog
from grantkeeper.providers.record import Provider
from grantkeeper.providers.validate import check_record, is_loopback_name
from grantkeeper.services.complete_record import ENDPOINTS, discover


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be said of one provider; `wrong` when an operator has to act."""

    provider: str
    record: str
    discovery: str
    redirect: str
    unverified: int
    wrong: bool


def check(provider_id: str, *, catalog: Catalog, http: ProviderHttp | None, our_issuer: str | None) -> Finding:
    """
    Check one provider.

    Args:
        provider_id: Of a built-in record or of the deployment's own.
        catalog: Where the record is.
        http: Reads the provider's discovery document; None to stay offline.
        our_issuer: Of the deployment, to see whether the provider takes its redirect URI.

    Raises:
        UnknownProvider: There is none.
    """
    try:
        provider = catalog.get(provider_id)
        check_record(provider, allow_private_addresses=provider.allow_private_addresses)
    except InvalidProviderRecord as error:
        return Finding(provider_id, error.detail, "", "", 0, wrong=True)
    discovery, differs = _discovery(provider, http)
    redirect, refused = _redirect(provider, our_issuer)
    unverified = sum(source.status == "unverified" for source in provider.sources)
    return Finding(provider_id, "sound", discovery, redirect, unverified, wrong=differs or refused)


def _discovery(provider: Provider, http: ProviderHttp | None) -> tuple[str, bool]:
    """What the issuer's metadata says, and whether that contradicts the record."""
    if provider.issuer is None:
        return "no issuer", False
    if http is None:
        return "not asked", False
    try:
        fields = discover(provider.issuer, http)
    except (ProviderUnavailable, TokenResponseRejected):
        return "no answer", False
    except GrantkeeperError as error:
        return error.detail, True
    differing = [
        f"{name}: {fields[name]}"
        for name in ENDPOINTS
        if name in fields and getattr(provider, name) not in (None, fields[name])
    ]
    return "; ".join(differing) or "agrees", bool(differing)


def _redirect(provider: Provider, our_issuer: str | None) -> tuple[str, bool]:
    """Whether the provider takes a redirect URI under our issuer."""
    if our_issuer is None or provider.protocol == "api_key":
        return "", False
    refused = redirect_refusal(provider, our_issuer)
    if refused is not None:
        return refused, True
    return ("https" if urlsplit(our_issuer).scheme == "https" else "local"), False


def redirect_refusal(provider: Provider, our_issuer: str) -> str | None:
    """
    Say why the provider would not redirect to us, by its record's rule; None when it would.

    Args:
        provider: The record.
        our_issuer: Of the deployment; its callback stands under it.
    """
    parts, rule = urlsplit(our_issuer), provider.redirect_uris
    if provider.protocol == "api_key":
        return None
    if rule.max_length is not None and len(callback_uri(our_issuer, provider.id)) > rule.max_length:
        return f"it is over the provider's {rule.max_length} characters"
    if parts.scheme == "https":
        return None
    accepted = rule.localhost if parts.hostname == "localhost" else rule.loopback_ip
    if not is_loopback_name(parts.hostname or ""):
        return "http is for this machine alone"
    return None if accepted == "allowed" else f"{parts.hostname} over http is refused by the provider"
