"""Files of provider records, as in `providers.d`: what they say and what is wrong, by file, record and field."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from grantkeeper.errors import GrantkeeperError
from grantkeeper.ports import ProviderHttp
from grantkeeper.providers.catalog import Catalog
from grantkeeper.providers.record import Provider
from grantkeeper.services.complete_record import discover

SUFFIXES = (".json", ".yaml", ".yml")


class OverlayError(Exception):
    """A file of records cannot be used; the message names the file, the record and the field."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc] # yaml comes without types
    """SafeLoader to which a day is a text, since no field of a record is a day and some API versions look like one."""


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.construct_yaml_str)


@dataclass(frozen=True, slots=True)
class Overlay:
    """One entry of a file: the fields of a record, and the credentials there, if the file has them."""

    file: Path
    provider_id: str
    record: Mapping[str, Any]
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)

    def error(self, what: object) -> OverlayError:
        """The error that says where it is: what the record's checks say begins with the field."""
        return OverlayError(f"{self.file}: {self.provider_id}: {what}")


def read_overlays(path: Path) -> list[Overlay]:
    """
    Read a file, or every file of a folder in the order of their names.

    Args:
        path: JSON or YAML: provider id → fields of its record, and `credentials: {client_id, client_secret}` or none.

    Raises:
        OverlayError: A file cannot be read or has another shape, or two of them have the same provider.
    """
    files = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES) if path.is_dir() else [path]
    found = [overlay for each in files for overlay in _read(each)]
    seen: dict[str, Path] = {}
    for overlay in found:
        before = seen.setdefault(overlay.provider_id, overlay.file)
        if before != overlay.file:
            raise overlay.error(f"{before} has it too.")
    return found


def checked(
    overlay: Overlay,
    *,
    http: ProviderHttp | None,
    overrides: Mapping[str, Mapping[str, Any]],
    allow_private_addresses: bool,
) -> tuple[dict[str, Any], Provider]:
    """
    Complete an entry from its issuer's discovery document, if it names no endpoints, and check the record it makes.

    Args:
        overlay: The entry; what it says goes before what was discovered.
        http: Reads the document; None to stay offline.
        overrides: The deployment's other records, for what this one is based on.
        allow_private_addresses: On the local run: http and loopback are accepted.

    Returns:
        The fields to store, and the record.

    Raises:
        OverlayError: With file, record and field.
    """
    fields = dict(overlay.record)
    try:
        if http is not None and isinstance(fields.get("issuer"), str) and "token_endpoint" not in fields:
            fields = discover(fields["issuer"], http) | fields
        known = {**overrides, **({overlay.provider_id: fields} if fields else {})}
        return fields, Catalog(known, allow_private_addresses=allow_private_addresses).get(overlay.provider_id)
    except GrantkeeperError as error:
        raise overlay.error(error.detail or error.title) from None


def _read(path: Path) -> Sequence[Overlay]:
    try:
        content = yaml.load(path.read_text(), Loader=_Loader)  # noqa: S506 - a SafeLoader; JSON is YAML
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise OverlayError(f"{path}: The file cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise OverlayError(f"{path}: Provider ids with the fields of their records are expected.")
    return [_entry(path, str(provider_id), entry) for provider_id, entry in content.items()]


def _entry(path: Path, provider_id: str, entry: Any) -> Overlay:
    bare = Overlay(path, provider_id, {})
    if not isinstance(entry, dict) or not all(isinstance(name, str) for name in entry):
        raise bare.error("The fields of a record are expected.")
    credentials = entry.get("credentials", {})
    known = {"client_id", "client_secret"}
    if not isinstance(credentials, dict) or not all(isinstance(value, str) for value in credentials.values()):
        raise bare.error("credentials: {client_id: …, client_secret: …} is expected, both of them texts.")
    if unknown := sorted(str(name) for name in credentials if name not in known):
        raise bare.error(f"credentials.{unknown[0]}: There is no such field.")
    if "client_secret" in credentials and "client_id" not in credentials:
        raise bare.error("credentials.client_id: The field is missing.")
    record = {name: value for name, value in entry.items() if name != "credentials"}
    try:
        json.dumps(record)
    except (TypeError, ValueError):  # YAML knows bytes and sets, for two
        raise bare.error("A value of the record is of a kind that JSON does not have: put it in quotes.") from None
    return Overlay(path, provider_id, record, credentials.get("client_id"), credentials.get("client_secret"))
