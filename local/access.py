"""
Who may call what, as a table: made from the committed description of the API, and nothing else.

    python -m local.access           write docs/access.md
    python -m local.access --check   say whether the committed one follows from the description

tests/security/test_access_matrix.py makes every call of the table against the functions.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from grantkeeper.edge.operations import Caller as Kind
from grantkeeper.model import ALL_SCOPES
from grantkeeper.services.scopes import OPERATOR_SCOPES, ROLE_SCOPES
from local.aws import ROOT
from local.openapi import COMMITTED

PAGE = ROOT / "docs" / "access.md"
USER, AUDITOR, ADMIN = ROLE_SCOPES["user"], ROLE_SCOPES["auditor"], ROLE_SCOPES["admin"]
ANY = frozenset(ALL_SCOPES)
IN_A_BROWSER = USER - {"connections:token"}

# Whose the thing is that the call is about: the caller's, here; the caller's, but at another client; somebody else's.
Relation = Literal["own", "elsewhere", "other"]


@dataclass(frozen=True, slots=True)
class Caller:
    """
    Somebody who calls, with every scope he can have.

    Args:
        name: The column's head.
        words: Who that is.
        kind: Of his credential; None when it is good for nothing.
        lacks: He has every scope but the route's own.
        recent: He signed in within 15 minutes; true of keys too, which never did, because no such route takes them.
    """

    name: str
    words: str
    kind: Kind | None
    scopes: frozenset[str] = frozenset()
    relation: Relation = "own"
    lacks: bool = False
    recent: bool = True


CALLERS = (
    Caller("user", "a user, at the team's backend he signed in at a minute ago", "user", USER),
    Caller("no scope", "the same, whose token lacks the route's scope", "user", USER, lacks=True),
    Caller("an hour ago", "the same, who signed in an hour ago", "user", USER, recent=False),
    Caller("elsewhere", "the same, at another client, which has no consent of his", "user", USER, "elsewhere"),
    Caller("in a page", "the same, at a public client, whose tokens a page holds", "user", IN_A_BROWSER, "elsewhere"),
    Caller("other user", "somebody else, at the first client", "user", USER, "other"),
    Caller("auditor", "somebody else with the role auditor", "user", AUDITOR, "other"),
    Caller("admin", "somebody else with the role admin", "user", ADMIN, "other"),
    Caller("own key", "an API key of the user's", "user_key", USER),
    Caller("own, no scope", "an API key of the user's without the route's scope", "user_key", USER, lacks=True),
    Caller("own, elsewhere", "an API key of the user's at the other client", "user_key", USER, "elsewhere"),
    Caller("other's key", "an API key of somebody else's", "user_key", USER, "other"),
    Caller("client key", "an API key of the client that has the user's consent", "client_key", ANY),
    Caller("client, no scope", "an API key of the client's without the route's scope", "client_key", ANY, lacks=True),
    Caller("other client", "an API key of another client, naming the same user", "client_key", ANY, "other"),
    Caller("operator", "the operator's key", "operator_key", OPERATOR_SCOPES, "other"),
    Caller("op., no scope", "the same without the route's scope", "operator_key", OPERATOR_SCOPES, "other", lacks=True),
)  # fmt: skip
NOBODY = (
    Caller("nobody", "no credential", None),
    Caller("suspended", "a user who is suspended", None),
    Caller("signed out", "a user whose session was revoked", None),
    Caller("suspended's key", "an API key of a user who is suspended", None),
    Caller("revoked key", "an API key that was revoked", None),
    Caller("expired key", "an API key that has expired", None),
    Caller("disabled client", "an API key of a client that is switched off", None),
)

HEAD = """# Who may call what

Made by `python -m local.access` from the description of the API (`x-access` in
[openapi.json](../functions/discovery/openapi.json)), and held against the functions call by call by
`tests/security/test_access_matrix.py`. A route that says nothing of who may call fails the build.

Every call but the public ones is looked at in this order:

1. **Credential.** None, or one that is good for nothing: **401**, and all read the same. So it is for {nobody}.
2. **Scope.** The route's scope is missing: **403** `insufficient-scope`. A token has what was asked for, as far as both
   the client and the user's role have it, now and not when it was issued. The operator's keys have operators' scopes
   only, users' keys only those that reach connections, and a public client's tokens never `connections:token`.
3. **Kind.** The route is not for this kind of credential: **403**.
4. **Time.** For keys and identities one must have signed in within 15 minutes: **401** `reauthentication_required`.
5. **Ownership.** Somebody else's thing is **404**, with the body of an id that was never given out; roles change
   nothing about that. What operators see of people and connections they see under `/v1/admin`, and tokens nowhere.
   Where an id is a confirmation's, whoever is not meant is answered **403** and has ended it: an attacker's try must
   not leave it open.

## Callers

{callers}

## Calls

The number is the status that the caller is answered. {id} in a path is the id of the first user's thing.

{table}

Public, for everybody and without a credential: {public}.

By OAuth's own rules: {oauth}.
"""


def main() -> int:
    """Returns 1 when `--check` finds a difference."""
    text = page(json.loads(COMMITTED.read_text()))
    if "--check" not in sys.argv:
        PAGE.write_text(text)
        return 0
    if PAGE.exists() and PAGE.read_text() == text:
        return 0
    print("docs/access.md does not follow from functions/discovery/openapi.json: run python -m local.access")
    return 1


def operations(description: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every route with what is said of it."""
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def answer(route: str, operation: Mapping[str, Any], caller: Caller, *, description: Mapping[str, Any]) -> int:
    """The status of a call that is right in every other way."""
    access = operation["x-access"]
    if caller.kind is None:
        return 401
    if caller.lacks or access["scope"] not in caller.scopes or caller.kind not in access["callers"]:
        return 403
    if access["recent"] and not caller.recent:
        return 401
    if access["owned"] and caller.relation == "other" and _names_his(route, operation, caller, description):
        return int(access["others"])
    if caller.relation == "elsewhere" and access["elsewhere"] is not None:
        return int(access["elsewhere"])
    return good(operation)


def good(operation: Mapping[str, Any]) -> int:
    """The status of a good answer."""
    return min(int(status) for status in operation["responses"] if status < "400")


def names_person(operation: Mapping[str, Any], *, description: Mapping[str, Any]) -> bool:
    """Tell whether a client's key says by `user_sub` whom a call is about."""
    names = {parameter["name"] for parameter in operation.get("parameters", ())}
    for content in operation.get("requestBody", {}).get("content", {}).values():
        names |= set(description["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]["properties"])
    return "user_sub" in names


def page(description: Mapping[str, Any]) -> str:
    """docs/access.md."""
    routes = list(operations(description))
    guarded = [(route, operation) for route, operation in routes if "x-access" in operation]
    rows = ["| Route | Scope | " + " | ".join(caller.name for caller in CALLERS) + " |"]
    rows.append("|---|---|" + "---|" * len(CALLERS))
    for route, operation in guarded:
        statuses = (str(answer(route, operation, caller, description=description)) for caller in CALLERS)
        rows.append(f"| `{route}` | `{operation['x-access']['scope']}` | {' | '.join(statuses)} |")
    open_routes = [(route, operation) for route, operation in routes if "x-access" not in operation]
    return HEAD.format(
        id="`{id}`",
        nobody=", ".join(caller.words for caller in NOBODY),
        callers="\n".join(f"- **{caller.name}**: {caller.words}" for caller in CALLERS),
        table="\n".join(rows),
        public=", ".join(f"`{route}`" for route, operation in open_routes if not operation["security"]),
        oauth=", ".join(f"`{route}` ({_rule(operation)})" for route, operation in open_routes if operation["security"]),
    )


def _names_his(route: str, operation: Mapping[str, Any], caller: Caller, description: Mapping[str, Any]) -> bool:
    by_id = "{" in route
    return by_id or (caller.kind == "client_key" and names_person(operation, description=description))


def _rule(operation: Mapping[str, Any]) -> str:
    match [sorted(each) for each in operation["security"]]:
        case [["user"]]:
            return "an access token with `openid`"
        case [["client"]]:
            return "a confidential client's authentication"
        case _:
            return "a client's authentication, or a public client's id"


if __name__ == "__main__":
    sys.exit(main())
