"""
Records of an archive into a stack: each in one transaction with its audit entry, and each but once.

What stands in the stack already is left as it is. A token set is taken from the archive and sealed at once under this
stack's VaultKey, for this stack's row; in clear it is in memory and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cli import operator
from cli.archive.connections import Arrival, put_connection
from cli.archive.lines import Line, record_of
from cli.archive.outcomes import Done, imported_by, is_imported_by, refused
from cli.archive.tables import Tables
from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import ApiKey, Avatar, Client, Identity, User
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.avatars import avatar_item
from grantkeeper.stores.identity_item import link_writes, user_item
from grantkeeper.stores.items import to_value
from grantkeeper.stores.one_time import NEW
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.table import key_item, new_write_id
from grantkeeper.wiring import Wiring

ROUNDS = 4
PARTS = ("record", "disabled")  # of a provider, beside its registrations


@dataclass(frozen=True, slots=True)
class Importer:
    """Writes into one stack. `source_is_gone`: nobody else will ever spend what the archive holds."""

    wiring: Wiring
    tables: Tables
    archive_id: str
    source_is_gone: bool = False
    dry_run: bool = False

    def take(self, line: Line) -> Done:
        """
        Import one record, or find it there.

        Raises:
            ArchiveUnreadable: The record is none.
            StoreUnavailable: DynamoDB or KMS does not answer: nothing of this record was written.
        """
        match line["type"]:
            case "client":
                return self._client(record_of(Client, line))
            case "api_key":
                return self._api_key(record_of(ApiKey, line))
            case "provider":
                return self._provider(line)
            case "user":
                return self._user(line)
        arrival = Arrival.read(line, self.archive_id)
        return put_connection(
            arrival, wiring=self.wiring, tables=self.tables, source_is_gone=self.source_is_gone, dry_run=self.dry_run
        )

    def _client(self, client: Client) -> Done:
        if self.wiring.clients.get(client.client_id) is not None:
            return Done("there")
        if not self.dry_run:
            event = operator.event("client.created", client_id=client.client_id, details={"archive": self.archive_id})
            self.wiring.clients.put(client, audit=event)
        return Done("imported")

    def _api_key(self, key: ApiKey) -> Done:
        if self.wiring.api_keys.get(key.key_id) is not None:
            return Done("there")
        owner = None if key.sub is None else self.wiring.users.get(key.sub)
        if owner is not None and owner.status == "erased":
            return refused("its user is erased here")
        if not self.dry_run:
            details = {"key_id": key.key_id, "archive": self.archive_id}
            event = operator.event("api_key.created", sub=key.sub, client_id=key.client_id, details=details)
            self.wiring.api_keys.put(key, audit=event)
        power = f"an operator's key: {' '.join(key.scopes)}" if key.client_id is None else None
        return Done("imported", power)  # power that comes with an archive is told: whoever wrote it may have made it up

    def _provider(self, line: Line) -> Done:
        """A provider's own record, switch and registrations; those whose secret is not in the archive are told."""
        provider_id = str(line.get("id"))
        key = keys.provider(provider_id)
        if self.tables.grants.get(key) is not None:
            return Done("there")
        told = list(line.get("registrations", ()))
        usable = [each for each in told if not each.get("confidential") or "secret" in each]
        parts = {name: line[name] for name in PARTS if name in line}
        missing = [str(each["client_id"]) for each in told if each not in usable]
        note = f"configure its credentials: {', '.join(missing)}" if missing else None
        if not self.dry_run and (parts or usable):
            if usable:
                parts["registrations"] = [self._registration(provider_id, at, each) for at, each in enumerate(usable)]
            item = key_item(key) | {name: to_value(value) for name, value in parts.items()}
            audit = operator.event("provider.configured", provider=provider_id, details={"archive": self.archive_id})
            try:
                put = self.tables.grants.to_put(item, condition=NEW)
                self.tables.grants.transact([put, *audit_writes(self.tables.audit, audit)])
            except TransactionFailed:
                return Done("there")
        return Done("imported", note)

    def _registration(self, provider_id: str, at: int, told: dict[str, Any]) -> dict[str, Any]:
        """With its secret under a name of this stack's own; the same name when it is done again."""
        kept = {name: value for name, value in told.items() if name not in ("secret", "confidential")}
        if "secret" not in told:
            return kept | {"secret_parameter": None}
        prefix = self.wiring.env["PARAMETER_PREFIX"].rstrip("/")
        parameter = f"{prefix}/providers/{provider_id}/{self.archive_id.rpartition('_')[2][:12]}-{at}"
        self.wiring.secrets.put(parameter, told["secret"])
        return kept | {"secret_parameter": parameter}

    def _user(self, line: Line) -> Done:
        for _ in range(ROUNDS):
            done = self._user_once(line)
            if done is not None:
                return done
        raise StoreUnavailable("The user keeps changing.", retry_after=1)

    def _user_once(self, line: Line) -> Done | None:
        """None when somebody signed in between our look and our write."""
        user = record_of(User, line)
        identities = [record_of(Identity, each, sub=user.sub) for each in line.get("identities", ())]
        taken = [i for i in identities if self._belongs_to_another(i)]
        if taken:
            return refused(f"an identity of it ({taken[0].provider}) is another user's here")
        if self.wiring.users.get(user.sub) is not None:
            return Done("imported" if self._ours(keys.user(user.sub)) else "there")
        done = Done("imported", None if user.role == "user" else f"has the role {user.role}")
        if self.dry_run:
            return done
        writes = [write for identity in identities for write in link_writes(self.tables.grants, identity)]
        own = user_item(user, new_write_id()) | imported_by(self.archive_id)
        writes.append(self.tables.grants.to_put(own, condition=NEW))
        if "avatar" in line:
            picture = record_of(Avatar, line["avatar"])
            writes.append(self.tables.grants.to_put(avatar_item(keys.user_avatar(user.sub), picture)))
        audit = operator.event("user.provisioned", sub=user.sub, details={"archive": self.archive_id})
        try:
            self.tables.grants.transact([*writes, *audit_writes(self.tables.audit, audit)])
        except TransactionFailed:
            return None
        return done

    def _belongs_to_another(self, identity: Identity) -> bool:
        found = self.wiring.users.find(identity.issuer, identity.subject)
        return found is not None and found.sub != identity.sub

    def _ours(self, key: keys.Key) -> bool:
        return is_imported_by(self.tables.grants.get(key), self.archive_id)
