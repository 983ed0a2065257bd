"""The description of the API says what the functions do, and says it of every route."""

from __future__ import annotations

import json
import re
from typing import get_type_hints

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from grantkeeper.edge import schemas
from grantkeeper.providers.catalog import Catalog
from grantkeeper.services import (
    add_api_key,
    ask_consent,
    confirm_connection,
    confirm_link,
    open_connect_session,
    open_link,
    own_api_keys,
    own_profile,
)
from local.openapi import COMMITTED, apps, describe
from local.openapi_words import EXAMPLES, kinds
from tests.infrastructure.template import of_type

NOT_DESCRIBED = ("OPTIONS", "HEAD")  # a browser or a link preview asks for these by itself


def test_committed_description_is_what_the_functions_do():
    """Nobody has to remember to write it anew: this fails until it is."""
    assert json.loads(COMMITTED.read_text()) == describe(), "run python -m local.openapi"


def test_description_is_valid_openapi():
    """OpenAPI 3.1, as its own validator judges."""
    validate(json.loads(COMMITTED.read_text()))


def test_t01_every_route_of_the_api_is_described():
    """A route without an operation has no access rule, and fails here before it is deployed."""
    deployed = {route["Properties"]["RouteKey"] for route in of_type("AWS::ApiGatewayV2::Route").values()}
    described = {key for _, app in apps() for key in app.operations}

    assert {key for key in deployed if not key.startswith(NOT_DESCRIBED)} == described


def test_t01_every_route_under_v1_says_who_may_call():
    """What is public is public on purpose."""
    public = {"GET /v1/providers"}
    open_routes = {
        key
        for _, app in apps()
        for key, operation in app.operations.items()
        if re.match(r"\w+ /v1/", key) and operation.access is None
    }

    assert open_routes == public


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (open_connect_session, "ConnectSessionRequest"),
        (confirm_connection, "Confirmation"),
        (open_link, "IdentityLinkRequest"),
        (confirm_link, "LinkConfirmation"),
        (ask_consent, "ConsentRequest"),
        (add_api_key, "ApiKeyConnection"),
        (own_profile, "ProfileChange"),
        (own_api_keys, "ApiKeyRequest"),
    ],
)
def test_t06_described_members_are_those_that_are_accepted(module, name):
    """What a body may hold is listed once for the reader and once for the gate."""
    assert set(get_type_hints(getattr(schemas, name))) == set(module.MEMBERS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_what_they_are_examples_of(name):
    """Whoever copies one sends what is accepted in form, and reads what is answered."""
    model = "Problem" if name.startswith("problem-") else name
    schema = {"$ref": f"#/components/schemas/{model}", "components": json.loads(COMMITTED.read_text())["components"]}

    assert [error.message for error in Draft202012Validator(schema).iter_errors(EXAMPLES[name])] == []


def test_every_kind_of_error_is_in_the_catalogue():
    """With its status and one sentence; a slug names one kind."""
    catalogue = json.loads(COMMITTED.read_text())["info"]["description"]
    slugs = [error.slug for error in kinds()]

    assert len(slugs) == len(set(slugs)) > 30
    assert all(f"| `{error.slug}` | {error.status} | " in catalogue for error in kinds())


def test_every_service_in_an_example_exists():
    """Nobody copies the name of one that is not there."""
    services = {service.id for provider in Catalog().all() for service in provider.services}

    assert {example["service"] for example in EXAMPLES.values() if "service" in example} <= services
