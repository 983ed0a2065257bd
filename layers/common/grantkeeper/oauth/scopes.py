"""Scopes in an answer, brought back to the names they were asked for (RFC 6749 section 3.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grantkeeper.providers.record import Provider, ScopeRule


def normalise_scopes(provider: Provider, value: Any, requested: Sequence[str]) -> tuple[str, ...]:
    """
    Bring the scopes of an answer to the names that were asked for.

    Total and idempotent: anything that is no scope is left out, and what was normalised comes back unchanged.

    Args:
        provider: Its `scope` rule knows separators, aliases, prefixes and case.
        value: The `scope` of the answer: a string, a list, or None when the answer did not say.
        requested: What was asked for, or granted before.

    Returns:
        The granted scopes without duplicates: the requested ones in their order, then what came on top. For None,
        `requested` where the record says that an omitted scope means so, else nothing.
    """
    rule = provider.scope
    if value is None:
        return tuple(dict.fromkeys(requested)) if rule.omitted_means == "requested" else ()

    asked = {_fold(rule, _strip(rule, name)): name for name in reversed(requested)}
    for name, bare in _without_prefix(provider, requested):
        asked.setdefault(_fold(rule, _strip(rule, bare)), name)
    granted: dict[str, None] = {}
    for name in _split(rule, value):
        plain = _strip(rule, rule.aliases.get(name, name))
        granted[asked.get(_fold(rule, plain), plain)] = None
    granted |= {name: None for name in rule.never_returned if name in requested}

    known = [name for name in dict.fromkeys(requested) if name in granted]
    return (*known, *(name for name in granted if name not in requested))


def scope_parameters(provider: Provider, scopes: Sequence[str]) -> dict[str, str]:
    """
    Spell scopes as the request's parameters: one, none, or several (Slack's `user_scope`).

    Args:
        provider: Its `scope` rule knows parameters, separators and prefixes.
        scopes: In our names, in the order asked.
    """
    rule = provider.scope
    if rule.parameter is None:
        return {}
    named: dict[str, list[str]] = {}
    separators = {rule.parameter: rule.separator}
    for scope in scopes:
        extra = next((each for each in rule.extra if scope.startswith(each.prefix)), None)
        name = rule.parameter if extra is None else extra.parameter
        if extra is not None:
            separators[name] = rule.separator if extra.separator is None else extra.separator
        named.setdefault(name, []).append(scope if extra is None else scope.removeprefix(extra.prefix))
    return {name: separators[name].join(values) for name, values in named.items()}


def _without_prefix(provider: Provider, requested: Sequence[str]) -> Iterator[tuple[str, str]]:
    """
    Requested scopes of a second parameter for the same token, as the answer spells them: HubSpot's `optional_scope`.

    A prefix that a token carries in its own answer (Slack's user token) is put before its scopes there.
    """
    told = {path.scope_prefix for path in provider.token_response.tokens}
    for prefix in (extra.prefix for extra in provider.scope.extra if extra.prefix not in told):
        yield from ((name, name.removeprefix(prefix)) for name in requested if name.startswith(prefix))


def _split(rule: ScopeRule, value: Any) -> list[str]:
    if isinstance(value, str):
        separator = rule.separator if rule.response_separator is None else rule.response_separator
        # white space separates everywhere: no provider has scopes with spaces in them
        value = re.split(rf"[\s{re.escape(separator)}]+" if separator.strip() else r"\s+", value)
    elif not isinstance(value, list | tuple):
        return []
    # what cannot be printed (a lone surrogate, a control character) is no scope, and no table would take it
    return [name for name in value if isinstance(name, str) and name and name.isprintable()]


def _strip(rule: ScopeRule, name: str) -> str:
    """Cut a prefix that means nothing: `https://graph.microsoft.com/Mail.Read` is `Mail.Read`."""
    for prefix in rule.strip_prefixes:
        if _fold(rule, name).startswith(_fold(rule, prefix)) and len(name) > len(prefix):
            return name[len(prefix) :]
    return name


def _fold(rule: ScopeRule, name: str) -> str:
    return name.casefold() if rule.case_insensitive else name
