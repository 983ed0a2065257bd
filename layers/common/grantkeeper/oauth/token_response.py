"""
The token response (RFC 6749 section 5.1): does it hold tokens, what of it is sealed, what is read back.

    answer ── granted? ──► sealable ──► (sealed, stored, opened) ──► token_set
              └─ no ─────► failure

What is sealed is the answer itself, so that nothing is lost by a wrong reading of it: the reading happens afterwards,
and can be done again by better code.
"""

from __future__ import annotations

import json
import math
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from grantkeeper.errors import TokenResponseRejected
from grantkeeper.model import TokenSet
from grantkeeper.oauth.answers import lenient_object, parse_answer
from grantkeeper.oauth.failure import Failure, failure
from grantkeeper.oauth.json_pointer import lookup, without
from grantkeeper.oauth.same_account import account_marks
from grantkeeper.oauth.scopes import normalise_scopes

if TYPE_CHECKING:
    from grantkeeper.model import HttpResponse
    from grantkeeper.providers.record import Provider, TokenPath

__all__ = [
    "Failure",
    "expiry_hint",
    "failure",
    "granted",
    "id_token_of",
    "kept_claims",
    "normalise_scopes",
    "sealable",
    "sealed_answer",
    "succeeds",
    "token_names",
    "token_set",
]

TEN_YEARS = 10 * 365 * 86_400
MAX_CLAIM = 255  # characters of a claim that is kept
_UNTYPED = "N_A"


def token_names(provider: Provider) -> tuple[str, ...]:
    """Names of the tokens an answer of this provider can hold: `("main",)` for nearly all."""
    return tuple(path.name for path in provider.token_response.tokens)


def granted(
    http: HttpResponse, *, provider: Provider, names: Sequence[str] | None = None, lenient: bool = False
) -> list[str]:
    """
    Tell which named tokens an answer grants; none means that `failure` has the word.

    Args:
        http: The answer of the token endpoint.
        provider: Its record knows where tokens stand and how success is told.
        names: The tokens looked for: all of the record's by default, one for a refresh.
        lenient: For a refresh, where refusing an answer can lose the grant: accepts an answer of poor quality as long
            as its access token can be read. A code exchange refuses it (C-47), and nothing is lost.

    Returns:
        The names found, in the record's order.
    """
    if not 200 <= http.status < 300:
        return []
    answer = parse_answer(http.body, provider=provider, lenient=lenient)
    if answer is None or not _succeeded(answer, provider, lenient=lenient):
        return []
    wanted = token_names(provider) if names is None else names
    found = []
    for name in token_names(provider):
        path = _path(answer, provider, name, alone=tuple(wanted) == (name,))
        if name in wanted and path is not None and (lenient or _typed(lookup(answer, path.token_type), provider)):
            found.append(name)
    return found


def succeeds(http: HttpResponse, *, provider: Provider, name: str, spent: TokenSet) -> bool:
    """
    Tell whether an answer without access token brings a new refresh token all the same.

    It may be the only one that is good from now on, so it is kept and spent. Nothing that tells an error counts, nor
    the refresh token that was sent.
    """
    if not 200 <= http.status < 300:
        return False
    answer = parse_answer(http.body, provider=provider, lenient=True)
    if answer is None or not _succeeded(answer, provider, lenient=False):
        return False
    successor = _refresh_token(answer, provider, name, alone=True)
    return successor is not None and successor != spent.refresh_token


def sealable(
    response_body: bytes,
    *,
    provider: Provider,
    name: str = "main",
    previous: TokenSet | None,
    received_at: int,
    id_claims: Mapping[str, Any] | None = None,
    client_id: str | None = None,
) -> bytes:
    """
    Make what is sealed of an answer: the answer less ID token and other tokens, and what must be carried on.

    Total: it never raises, and what it cannot read it keeps whole, so no answer that holds a token is lost here.

    Args:
        response_body: The body in which `granted` found the token.
        provider: Its record knows where tokens stand.
        name: Whose token set it is.
        previous: The set just spent; its refresh token lives on when the answer has none (RFC 6749 section 6), and
            only then: a spent token is a secret for nothing, and weighs as much as the one that replaced it.
        received_at: Epoch seconds; `expires_in` counts from here.
        id_claims: The validated claims of its ID token, of which the record may keep some.
        client_id: Ours at the provider, to tell an answer that was made for another (`same_account`).
    """
    envelope: dict[str, Any] = {"received_at": received_at}
    if id_claims is not None:
        envelope["metadata"] = kept_claims(id_claims, provider=provider)
    if previous is not None:
        envelope |= {"refresh_token": previous.refresh_token, "metadata": dict(previous.metadata)}
        envelope["refresh_token_expires_at"] = previous.refresh_token_expires_at
    try:
        answer = parse_answer(response_body, provider=provider, lenient=True)
        if answer is not None:
            alone = previous is not None or len(provider.token_response.tokens) == 1
            envelope |= account_marks(answer, provider=provider, client_id=client_id, previous=previous)
            own = _own_part(answer, provider, name, alone=alone)
            return _dump(_without_spent(envelope, own, provider, name, alone=alone) | {"answer": own, "alone": alone})
    except Exception:  # noqa: BLE001, S110 - a bug here must not cost a grant
        pass
    envelope.pop("metadata", None)
    return _dump(envelope | {"raw": b64encode(response_body).decode("ascii")})


def kept_claims(id_claims: Mapping[str, Any], *, provider: Provider) -> dict[str, Any]:
    """What the record keeps of validated claims, by name; texts only, so that nothing large is carried along. Total."""
    found = {name: lookup(id_claims, pointer) for name, pointer in provider.token_response.kept_claims}
    return {name: value for name, value in found.items() if isinstance(value, str) and 0 < len(value) <= MAX_CLAIM}


def token_set(sealed_plaintext: bytes, *, provider: Provider, name: str = "main", to_spend: bool = False) -> TokenSet:
    """
    Read a token set out of what `sealable` made.

    Lenient: a field that is no use reads as absent. `expires_at` is None only when the answer did not say and the
    record gives no number; an `expires_in` that is no proper number reads as expired at once, never as endless (C-45).
    `scopes` are in the record's names, None when the answer did not say.

    Args:
        to_spend: For a refresh or a revocation, which need no access token: a set that holds a refresh token alone is
            read as well, with an empty access token.

    Raises:
        TokenResponseRejected: There is no access token in it; `reason` is `access_token_missing`.
    """
    envelope = lenient_object(sealed_plaintext) or {}
    answer, alone = _opened(envelope, provider)
    path = _path(answer, provider, name, alone=alone)
    if path is None and to_spend:
        kept = _refresh_token(answer, provider, name, alone=alone) or _text(envelope.get("refresh_token"))
        if kept is not None:
            return _refresh_token_only(envelope, kept)
    if path is None:
        raise TokenResponseRejected("The answer holds no access token.", reason="access_token_missing")

    rule = provider.token_response
    received_at = int(envelope.get("received_at") or 0)
    refresh_token = _text(lookup(answer, path.refresh_token))
    refresh_expires_at = envelope.get("refresh_token_expires_at") if refresh_token is None else None
    if rule.refresh_token_expires_in is not None:
        told = lookup(answer, rule.refresh_token_expires_in)
        refresh_expires_at = refresh_expires_at if told is None else _expires_at(told, received_at)
    metadata = {key: value for key, pointer in rule.metadata if (value := lookup(answer, pointer)) is not None}
    carried, suspect = _object(envelope.get("metadata")), _text(envelope.get("suspect"))
    scope = lookup(answer, path.scope)
    return TokenSet(
        access_token=lookup(answer, path.access_token),
        token_type=_token_type(lookup(answer, path.token_type), provider),
        expires_at=_access_expires_at(lookup(answer, path.expires_in), provider, received_at),
        refresh_token=refresh_token or _text(envelope.get("refresh_token")),
        refresh_token_expires_at=refresh_expires_at,
        scopes=None if scope is None else _scopes(scope, path, provider),
        metadata=metadata | carried if suspect else carried | metadata,  # what a stranger's answer says is not kept
        subject=_text(envelope.get("subject")),
        suspect=suspect,
    )


def sealed_answer(sealed_plaintext: bytes, *, provider: Provider) -> bytes:
    """The provider's answer inside what `sealable` made, as JSON: for the profile, which may stand in it. Total."""
    envelope = lenient_object(sealed_plaintext) or {}
    answer, _ = _opened(envelope, provider)
    return json.dumps(answer).encode("ascii")


def expiry_hint(sealed_plaintext: bytes, *, provider: Provider, name: str = "main") -> int | None:
    """Epoch second at which the access token ends, for the due index; total: None when it cannot be told."""
    try:
        return token_set(sealed_plaintext, provider=provider, name=name).expires_at
    except Exception:  # noqa: BLE001 - the save comes first, whatever the answer looks like
        return None


def id_token_of(response_body: bytes, *, provider: Provider) -> str | None:
    """The ID token in an answer, unvalidated: for `validate_id_token` and nothing else."""
    answer = parse_answer(response_body, provider=provider)
    return None if answer is None else _text(lookup(answer, provider.token_response.id_token))


def _succeeded(answer: dict[str, Any], provider: Provider, *, lenient: bool) -> bool:
    """
    HTTP 200 is not enough: Slack answers `ok: false`, GitHub an `error` (C-46).

    An `error` beside a token counts as a failure only while nothing is lost by it: the word may stand in a good answer.
    """
    rule = provider.token_response
    if rule.success_pointer is not None:
        value = lookup(answer, rule.success_pointer)
        return bool(value == rule.success_value and isinstance(value, bool) == isinstance(rule.success_value, bool))
    return lenient or not lookup(answer, rule.error_pointer)


def _path(answer: dict[str, Any], provider: Provider, name: str, *, alone: bool) -> TokenPath | None:
    """Where the named token stands; a refresh may answer flat whatever the nesting of the first answer (Slack)."""
    path = next((path for path in provider.token_response.tokens if path.name == name), None)
    if path is None:
        return None
    if _text(lookup(answer, path.access_token)) is not None:
        return path
    flat = _flat(name, scope_prefix=path.scope_prefix)
    if alone and provider.token_response.flat_refresh and _text(lookup(answer, flat.access_token)) is not None:
        return flat
    return None


def _flat(name: str, *, scope_prefix: str = "") -> TokenPath:
    """Where a token stands by RFC 6749 section 5.1."""
    from grantkeeper.providers.record import TokenPath  # noqa: PLC0415 - comes with the provider, not before it

    return TokenPath(name=name, scope_prefix=scope_prefix)


def _refresh_token(answer: dict[str, Any], provider: Provider, name: str, *, alone: bool) -> str | None:
    """The named refresh token of an answer without access token."""
    path = next((path for path in provider.token_response.tokens if path.name == name), None)
    if path is None:
        return None
    flat = _text(lookup(answer, _flat(name).refresh_token))
    told = _text(lookup(answer, path.refresh_token))
    return told or (flat if alone and provider.token_response.flat_refresh else None)


def _refresh_token_only(envelope: Mapping[str, Any], refresh_token: str) -> TokenSet:
    return TokenSet(
        access_token="",
        expires_at=int(envelope.get("received_at") or 0),
        refresh_token=refresh_token,
        metadata=_object(envelope.get("metadata")),
        subject=_text(envelope.get("subject")),
        suspect=_text(envelope.get("suspect")),
    )


def _own_part(answer: dict[str, Any], provider: Provider, name: str, *, alone: bool) -> dict[str, Any]:
    """The answer without ID token and without the tokens of other names: each grant holds its own only."""
    own = _path(answer, provider, name, alone=alone)
    kept = without(answer, provider.token_response.id_token)
    for path in provider.token_response.tokens:
        if own is None or path.name == name:
            continue
        for pointer in (path.access_token, path.refresh_token):
            if pointer not in (own.access_token, own.refresh_token):
                kept = without(kept, pointer)
    return kept


def _without_spent(
    envelope: dict[str, Any], own: dict[str, Any], provider: Provider, name: str, *, alone: bool
) -> dict[str, Any]:
    """The envelope without the refresh token just spent, where `token_set` will find another beside an access token."""
    path = _path(own, provider, name, alone=alone)
    if path is None or _text(lookup(own, path.refresh_token)) is None:
        return envelope
    return {key: value for key, value in envelope.items() if key != "refresh_token"}


def _opened(envelope: Mapping[str, Any], provider: Provider) -> tuple[dict[str, Any], bool]:
    answer = envelope.get("answer")
    if isinstance(answer, dict):
        return answer, envelope.get("alone") is True
    try:
        raw = b64decode(envelope.get("raw") or "")
    except (ValueError, TypeError):
        return {}, False
    return parse_answer(raw, provider=provider, lenient=True) or {}, True


def _typed(value: Any, provider: Provider) -> bool:
    """RFC 6749 section 7.1: a token of a type we do not understand is not used. Missing counts as Bearer."""
    return (
        value is None
        or value == ""
        or (isinstance(value, str) and value.lower() in provider.token_response.token_types)
    )


def _token_type(value: Any, provider: Provider) -> str:
    return "Bearer" if _typed(value, provider) else _text(value) or _UNTYPED


def _access_expires_at(value: Any, provider: Provider, received_at: int) -> int | None:
    if value is None or value == "":
        default = provider.token_response.default_expires_in
        return received_at + default if isinstance(default, int) else None
    return _expires_at(value, received_at)


def _expires_at(value: Any, received_at: int) -> int:
    """Read seconds from a number or a string of one; anything else has expired, at most ten years are believed."""
    try:
        seconds = 0.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = 0.0
    if not math.isfinite(seconds) or seconds < 0:
        seconds = 0.0
    return received_at + int(min(seconds, TEN_YEARS))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _scopes(value: Any, path: TokenPath, provider: Provider) -> tuple[str, ...]:
    """In our names: the second token's scopes are told apart from the first's by their prefix."""
    names = normalise_scopes(provider, value, ())
    return tuple(name if name.startswith(path.scope_prefix) else path.scope_prefix + name for name in names)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dump(envelope: Mapping[str, Any]) -> bytes:
    kept = {key: value for key, value in envelope.items() if value not in (None, {})}
    return json.dumps(kept, separators=(",", ":")).encode("ascii")
