"""
Whose tokens a refresh was answered with (OpenID Connect Core section 12.2; security.md C-81).

What an answer says of the account is compared with what was known before: the ID token's issuer, subject and audience,
and the ids by which the record names the account where they stand in token responses (Slack's team and user). A
signature is not looked at: the answer came from the token endpoint over TLS (section 3.1.3.7, item 6). What an answer
leaves out says nothing, and no time is compared: a clock that is off must not cast suspicion on every grant there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from grantkeeper import ids
from grantkeeper.oauth.answers import strict_object
from grantkeeper.oauth.issuers import is_issuer_of, knows_issuer
from grantkeeper.oauth.json_pointer import lookup

if TYPE_CHECKING:
    from grantkeeper.model import TokenSet
    from grantkeeper.providers.record import Provider

SUBJECT_HASH = 22  # characters: 132 bits of SHA-256, and 22 bytes of every sealed set
MAX_ID_TOKEN = 64 * 1024
_KEPT = re.compile(r"metadata#/([^/}]+)")


def account_marks(
    answer: Mapping[str, Any], *, provider: Provider, client_id: str | None, previous: TokenSet | None
) -> dict[str, str]:
    """
    Make what is sealed beside an answer of whose it is. Total: what cannot be read says nothing.

    Args:
        answer: Of the token endpoint, decoded.
        provider: Its record, with its endpoint variables filled in.
        client_id: Ours there; None when it is not at hand and the audience cannot be judged.
        previous: The set just spent; None at the consent, whose ID token was validated in full.

    Returns:
        `subject`: a hash of the account's subject, from the first answer that told it; `suspect`: the member by which
        the answer belongs to somebody else, when one does.
    """
    try:
        claims = _claims(answer, provider)
        suspect = None if previous is None else _differing(answer, claims, provider, client_id, previous)
        known = None if previous is None else previous.subject
        subject = known or (None if suspect else _subject(claims))
    except Exception:  # noqa: BLE001 - a bug here must not cost a grant
        return {}
    marks = {"subject": subject, "suspect": suspect}
    return {name: value for name, value in marks.items() if value is not None}


def _claims(answer: Mapping[str, Any], provider: Provider) -> Mapping[str, Any]:
    """Claims of the ID token, unverified; none of a record that names no issuer: it may be any kind of token."""
    token = lookup(answer, provider.token_response.id_token)
    if not isinstance(token, str) or len(token) > MAX_ID_TOKEN or token.count(".") != 2 or not knows_issuer(provider):
        return {}
    try:
        return strict_object(ids.b64url_decode(token.split(".")[1])) or {}
    except ValueError:
        return {}


def _subject(claims: Mapping[str, Any]) -> str | None:
    subject = claims.get("sub")
    return ids.digest(subject)[:SUBJECT_HASH] if isinstance(subject, str) and subject else None


def _differing(
    answer: Mapping[str, Any],
    claims: Mapping[str, Any],
    provider: Provider,
    client_id: str | None,
    previous: TokenSet,
) -> str | None:
    """Name the first member that says the tokens are another account's, or were made for another client."""
    issuer, audience, subject = claims.get("iss"), claims.get("aud"), _subject(claims)
    if isinstance(issuer, str) and not is_issuer_of(provider, issuer, claims):
        return "iss"
    if client_id is not None:
        if audience is not None and client_id not in (audience if isinstance(audience, list) else [audience]):
            return "aud"
        if claims.get("azp", client_id) != client_id:
            return "azp"
    if previous.subject is not None and subject is not None and subject != previous.subject:
        return "sub"
    for name, pointer in _account_ids(provider):
        before, now = previous.metadata.get(name), lookup(answer, pointer)
        if before is not None and now is not None and _comparable(before) != _comparable(now):
            return name
    return None


def _account_ids(provider: Provider) -> Iterator[tuple[str, str]]:
    """Name and place of what the record keeps of an answer and composes the account's id of."""
    rule = provider.profile
    places = " ".join((rule.id_template or "", *rule.map.get("provider_user_id", ())))
    composing = set(_KEPT.findall(places))
    return ((name, pointer) for name, pointer in provider.token_response.metadata if name in composing)


def _comparable(value: Any) -> Any:
    """An id that is an address names the account by its path: hosts are renamed (Salesforce's `id`)."""
    if isinstance(value, str) and value.startswith(("https://", "http://")):
        return value.partition("://")[2].partition("/")[2]
    return value
