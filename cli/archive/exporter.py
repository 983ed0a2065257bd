"""What an archive is made of: clients, keys, providers, then user by user with all that is his."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cli import operator
from cli.archive.crowd import together
from cli.archive.frozen import Busy, Freezer, is_frozen
from cli.archive.ledger import Ledger
from cli.archive.lines import Line, plain
from cli.archive.tables import Tables
from grantkeeper.errors import GrantUnreadable, ProviderNotConfigured
from grantkeeper.model import ApiKey, Avatar, Binding, Client, Connection, Consent, Grant, Identity, User
from grantkeeper.stores import keys
from grantkeeper.stores.connection_item import read_connection
from grantkeeper.stores.grant_item import read_grant
from grantkeeper.stores.items import Item, from_item, from_value
from grantkeeper.stores.revocation import FROZEN
from grantkeeper.wiring import Wiring

USERS = 32  # whose records are in memory together
KEPT_OUT = ("sealed", "write_id", "due_at")  # of a grant: sealed anew, written anew, due anew


class Elsewhere(Exception):
    """The connection lives in another archive, and may go into no second one; says in which."""


@dataclass(frozen=True, slots=True)
class Options:
    """What goes into an archive beside users and connections, and whether connections are frozen on the way."""

    freeze: bool = False
    provider_secrets: bool = False


@dataclass(slots=True)
class Exporter:
    """Reads one stack. What cannot be exported is told in `left_out` by id and reason, and the rest goes on."""

    wiring: Wiring
    archive_id: str
    options: Options
    left_out: list[dict[str, str]] = field(default_factory=list)
    frozen: int = 0
    ledger: Ledger = field(init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        """Of the same stack."""
        self.ledger = Ledger(Tables.of(self.wiring))

    def lines(self) -> Iterator[Line]:
        """
        All records, in the order in which an import wants them.

        Raises:
            StoreUnavailable: DynamoDB or KMS does not answer.
        """
        tables = Tables.of(self.wiring)
        for item in tables.listed("CLIENT"):
            yield {"type": "client", **plain(from_item(Client, item))}
        for item in tables.listed("APIKEY"):
            yield {"type": "api_key", **plain(from_item(ApiKey, item))}
        yield from self._providers(tables)
        subs = (from_item(User, item).sub for item in tables.listed("USER"))
        for _, lines in together(subs, lambda sub: list(self._user(tables, sub)), size=USERS):
            yield from lines

    def complete(self) -> None:
        """
        Say in the trail that all this was handed out, and that nobody else may have what was frozen for it.

        Raises:
            Conflict: Somebody else has it.
            StoreUnavailable: DynamoDB does not answer.
        """
        if self.options.freeze:
            self.ledger.complete(self.archive_id)
        else:
            self.wiring.audit.record(operator.event("archive.copied", details={"archive": self.archive_id}))

    def _providers(self, tables: Tables) -> Iterator[Line]:
        for item in tables.grants.query(keys.provider("")[0]):
            parts = {name: from_value(value) for name, value in item.items() if name not in ("pk", "sk")}
            registrations = [self._registration(each) for each in parts.pop("registrations", ())]
            line = {"type": "provider", "id": item["sk"]["S"].removeprefix("PROVIDER#"), **parts}
            yield line | ({"registrations": registrations} if registrations else {})

    def _registration(self, registration: Any) -> dict[str, Any]:
        """Without the parameter's name, which is the stack's own; `secret` only when it was asked for."""
        kept = {name: value for name, value in registration.items() if name != "secret_parameter"}
        parameter = registration.get("secret_parameter")
        kept["confidential"] = parameter is not None
        if parameter is not None and self.options.provider_secrets:
            kept["secret"] = self.wiring.secrets.get(parameter)
        return kept

    def _user(self, tables: Tables, sub: str) -> Iterator[Line]:
        """A user and his connections, from one consistent look at his partition."""
        items = {item["sk"]["S"]: item for item in tables.grants.query(keys.user(sub)[0])}
        if "USER" not in items:  # erased since the list was read
            return
        user = from_item(User, items["USER"])
        if user.status == "erased":
            return
        identities = [from_item(Identity, item) for sk, item in items.items() if sk.startswith("IDENTITY#")]
        line = {"type": "user", **plain(user), "identities": [plain(each, without=("sub",)) for each in identities]}
        yield line | _picture(items.get("AVATAR"))
        consents = _consents(sub, items)
        for sk, item in items.items():
            if sk.startswith("CONN#"):
                yield from self._connection(tables, from_value(item["connection_id"]), consents)

    def _connection(self, tables: Tables, connection_id: str, consents: Sequence[Consent]) -> Iterator[Line]:
        items = {item["sk"]["S"]: item for item in tables.grants.query(keys.connection(connection_id)[0])}
        if "META" not in items:
            return
        connection = read_connection(items["META"])
        if connection.status not in ("active", "needs_reauth"):
            return
        grants = [item for sk, item in items.items() if sk.startswith("GRANT#")]
        try:
            for item in grants:
                self._opened(read_grant(item))  # what does not open is not frozen either
            held = self._grants(tables, connection, grants)
            exported = [self._opened(grant) for grant in held.grants]
        except Busy:
            self.left_out.append({"connection": connection_id, "reason": "a refresh is under way"})
            return
        except Elsewhere as where:
            self.left_out.append({"connection": connection_id, "reason": str(where)})
            return
        except (GrantUnreadable, ProviderNotConfigured) as error:
            self.left_out.append({"connection": connection_id, "reason": error.title})
            return
        if held.frozen:  # the archive has it as it was, and as it will be where it goes
            connection = replace(connection, status="active", reason=None)
        own = [plain(c, without=("sub", "connection_id")) for c in consents if c.connection_id == connection_id]
        line = {"type": "connection", **plain(connection), "frozen": held.frozen, "grants": exported, "consents": own}
        yield line | _picture(items.get("AVATAR"))

    def _grants(self, tables: Tables, connection: Connection, items: Sequence[Item]) -> _Held:
        read = [read_grant(item) for item in items]
        freezer = Freezer(tables, self.wiring, self.archive_id)
        if self.options.freeze and items and all(map(is_frozen, items)):
            for archive in {item[FROZEN]["S"] for item in items}:
                self._take_over(freezer, connection, read, archive=archive)
            return _Held([_thawed(grant) for grant in read], frozen=True)
        if not self.options.freeze or connection.status != "active":
            return _Held(read, frozen=False)
        grants = freezer.freeze(connection)
        frozen = bool(grants) and all(grant.status == "active" for grant in grants)
        with self._lock:
            self.frozen += frozen
        return _Held(grants, frozen=frozen)

    def _take_over(self, freezer: Freezer, connection: Connection, grants: Sequence[Grant], *, archive: str) -> None:
        """
        Take what an export froze that never came to its end.

        Raises:
            Elsewhere: The archive is whole: it lives there, and may be active already.
            Busy: Somebody else changed it.
        """
        if not self.ledger.give_up(archive):
            raise Elsewhere(f"it moved with {archive}; `grantkeeper thaw` that one, if it was imported nowhere")
        if not freezer.take_over(connection, grants, before=archive):
            raise Busy
        with self._lock:
            self.frozen += 1

    def _opened(self, grant: Grant) -> dict[str, Any]:
        """A grant with its token set in clear; only ever on its way into the encrypted file."""
        line = plain(grant, without=("connection_id", *KEPT_OUT))
        if not grant.sealed:
            return line
        return line | {"tokens": self.wiring.vault.open(grant.sealed, binding=Binding.of(grant)).decode("ascii")}


@dataclass(frozen=True, slots=True)
class _Held:
    """Grants as they go into the archive."""

    grants: Sequence[Grant]
    frozen: bool


def _thawed(grant: Grant) -> Grant:
    return replace(grant, status="active", reason=None)


def _consents(sub: str, items: dict[str, Item]) -> list[Consent]:
    return [
        from_item(Consent, item, sub=sub) for sk, item in items.items() if sk.startswith(("CONSENT#", "WITHDRAWN#"))
    ]


def _picture(item: Item | None) -> dict[str, Any]:
    return {} if item is None else {"avatar": plain(from_item(Avatar, item))}
