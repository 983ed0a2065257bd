"""Clients registered, changed, given secrets and switched by an admin."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from grantkeeper import ids
from grantkeeper.errors import Conflict, NotFound, PreconditionFailed, StoreUnavailable
from grantkeeper.model import Client, Principal
from grantkeeper.providers.catalog import Catalog
from grantkeeper.services.acting import Acting
from grantkeeper.services.client_registration import ClientMetadata
from grantkeeper.services.manage_clients import (
    add_secret,
    create_client,
    end_old_secrets,
    read_client,
    replace_client,
    switch_client,
)
from tests.doubles.aws import ENVIRONMENT, memory_wiring
from tests.stores.records import NOON

ADMIN = Principal("user", frozenset({"admin:write"}), client_id="console", sub="usr_admin", role="admin")
BY = Acting.of(ADMIN, now=NOON, request_id="req")
CONFIDENTIAL = {"token_endpoint_auth_method": "client_secret_basic"}


@pytest.fixture
def world() -> Any:
    return memory_wiring()


def metadata(**changes: Any) -> ClientMetadata:
    body = {"client_name": "App", "redirect_uris": ["https://a.example/cb"], **changes}
    return ClientMetadata.parse(body, catalog=Catalog({}))


def create(world: Any, **changes: Any) -> Any:
    return create_client(metadata(**changes), clients=world.client_versions, by=BY)


def events(world: Any, action: str = "") -> list[Any]:
    """Entries whose action begins so, in no order: all are of the same second."""
    return [each for each in world.audit.day("2026-11-21", limit=100)[0] if each.action.startswith(action)]


def test_t12_a_client_is_registered_with_who_did_it(world: Any) -> None:
    """And what it may do from then on."""
    client = create(world).found.client
    assert world.clients.get(client.client_id) == client
    (told,) = events(world)
    assert (told.action, told.actor, told.client_id) == ("client.registered", "user:usr_admin", client.client_id)
    assert json.loads(told.details["redirect_uris"]) == ["https://a.example/cb"]


def test_t09_a_secret_is_shown_once_and_kept_as_a_hash(world: Any) -> None:
    """Neither tables nor trail hold it."""
    shown = create(world, **CONFIDENTIAL)
    assert shown.secret is not None
    assert shown.found.client.secret_hashes == (ids.digest(shown.secret),)
    for table in ("GRANTS_TABLE", "AUDIT_TABLE", "REQUESTS_TABLE"):
        assert shown.secret not in str(world.aws.dynamodb.dump(ENVIRONMENT[table]))
    assert shown.secret not in repr(shown)


def test_a_public_client_has_no_secret(world: Any) -> None:
    """And cannot be given one."""
    shown = create(world)
    assert (shown.secret, shown.found.client.secret_hashes) == (None, ())
    with pytest.raises(Conflict):
        add_secret(shown.found.client.client_id, keep_previous=True, clients=world.client_versions, by=BY)


def test_t12_a_change_is_told_from_what_to_what(world: Any) -> None:
    """What stayed is not told."""
    found = create(world, origins=["https://a.example"]).found
    changed = replace_client(
        found, metadata(redirect_uris=["https://b.example/cb"]), clients=world.client_versions, by=BY
    )
    assert changed.client == replace(found.client, redirect_uris=("https://b.example/cb",), origins=())
    assert not world.clients.allows_origin("https://a.example")
    (told,) = events(world, "client.changed")
    assert told.details == {
        "redirect_uris_before": '["https://a.example/cb"]',
        "redirect_uris": '["https://b.example/cb"]',
        "origins_before": '["https://a.example"]',
        "origins": "[]",
    }


def test_a_change_that_changes_nothing_is_not_written_down(world: Any) -> None:
    """The version stays, so nobody else is refused for it."""
    found = create(world).found
    assert replace_client(found, metadata(), clients=world.client_versions, by=BY) == found
    assert len(events(world)) == 1


def test_of_two_editors_the_second_is_told(world: Any) -> None:
    """Even where the first came between the reading of the second and his writing."""
    found = create(world).found
    replace_client(found, metadata(client_name="First"), clients=world.client_versions, by=BY)
    with pytest.raises(PreconditionFailed):
        replace_client(found, metadata(client_name="Second"), clients=world.client_versions, by=BY)
    assert read_client(found.client.client_id, clients=world.client_versions).client.client_name == "First"


def test_a_change_keeps_what_the_sender_does_not_decide(world: Any) -> None:
    """Id, age, status and secrets; a client that proves itself otherwise from now on loses its secrets."""
    found = create(world, **CONFIDENTIAL).found
    found = switch_client(found.client.client_id, active=False, clients=world.client_versions, by=BY)
    kept = replace_client(found, metadata(client_name="New", **CONFIDENTIAL), clients=world.client_versions, by=BY)
    assert kept.client == replace(found.client, client_name="New")
    public = replace_client(kept, metadata(client_name="New"), clients=world.client_versions, by=BY)
    assert (public.client.secret_hashes, public.client.status) == ((), "disabled")


def test_a_secret_rotates_with_both_good_meanwhile(world: Any) -> None:
    """Old and new, then the new one alone; a third is not made while two are good."""
    shown = create(world, **CONFIDENTIAL)
    client_id, clients = shown.found.client.client_id, world.client_versions
    second = add_secret(client_id, keep_previous=True, clients=clients, by=BY)
    assert second.found.client.secret_hashes == (ids.digest(second.secret), ids.digest(shown.secret))
    with pytest.raises(Conflict):
        add_secret(client_id, keep_previous=True, clients=clients, by=BY)
    ended = end_old_secrets(client_id, clients=clients, by=BY)
    assert ended.client.secret_hashes == (ids.digest(second.secret),)
    assert end_old_secrets(client_id, clients=clients, by=BY) == ended
    at_once = add_secret(client_id, keep_previous=False, clients=clients, by=BY)
    assert at_once.found.client.secret_hashes == (ids.digest(at_once.secret),)
    assert sorted(each.action for each in events(world, "client.secret")) == [
        "client.secret_added",
        "client.secret_added",
        "client.secrets_ended",
    ]


def test_switching_changes_the_status_and_its_origins(world: Any) -> None:
    """Nothing is deleted, so enabling brings all of it back; switched as it is, it stays without an entry."""
    client_id = create(world, origins=["https://a.example"]).found.client.client_id
    for active in (False, False, True):
        found = switch_client(client_id, active=active, clients=world.client_versions, by=BY)
        assert found.client.status == ("active" if active else "disabled")
        assert world.clients.allows_origin("https://a.example") is active
    assert sorted(each.action for each in events(world)) == ["client.disabled", "client.enabled", "client.registered"]


def test_t10_nobody_disables_the_client_he_is_signed_in_at(world: Any) -> None:
    """He could not enable it again."""
    mine = create(world).found.client.client_id
    by = replace(BY, client_id=mine)
    with pytest.raises(Conflict):
        switch_client(mine, active=False, clients=world.client_versions, by=by)
    assert world.clients.get(mine).status == "active"


@pytest.mark.parametrize("client_id", ["cli_unknown", "", "a b", "../x"])
def test_an_unknown_client_is_not_found(world: Any, client_id: str) -> None:
    """Whatever is asked of it; what cannot be an id is not looked up."""
    with pytest.raises(NotFound):
        switch_client(client_id, active=False, clients=world.client_versions, by=BY)


def test_a_client_that_keeps_changing_is_given_up_after_a_few_rounds(world: Any, monkeypatch: Any) -> None:
    """Nothing was changed, and the caller may try again."""
    client_id = create(world).found.client.client_id
    monkeypatch.setattr(world.client_versions, "replace", lambda *_args, **_kwargs: False)
    with pytest.raises(StoreUnavailable):
        switch_client(client_id, active=False, clients=world.client_versions, by=BY)


def test_clients_are_listed_by_id_page_by_page(world: Any) -> None:
    """Each once."""
    made = sorted(create(world, client_name=f"App {n}").found.client.client_id for n in range(7))
    found: list[str] = []
    after: str | None = None
    for _ in range(4):
        page, after = world.client_versions.page(limit=3, after=after)
        found += [client.client_id for client in page]
        if after is None:
            break
    assert (found, after) == (made, None)


def test_what_the_command_line_wrote_is_edited_too(world: Any) -> None:
    """One table, one client."""
    client = Client("cli_1", "App", ("https://a.example/cb",), NOON)
    world.clients.put(client, audit=BY.event("client.registered"))
    found = switch_client("cli_1", active=False, clients=world.client_versions, by=BY)
    assert world.clients.get("cli_1") == found.client == replace(client, status="disabled")
