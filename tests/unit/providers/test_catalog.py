"""All providers of a deployment."""

import pytest

from grantkeeper.errors import InvalidProviderRecord, UnknownProvider, UnknownService
from grantkeeper.providers.catalog import Catalog

ACME = {
    "issuer": "https://id.acme.example",
    "authorization_endpoint": "https://id.acme.example/authorize",
    "token_endpoint": "https://id.acme.example/token",
    "jwks_uri": "https://id.acme.example/keys",
}
KEYS = {
    "protocol": "api_key",
    "services": [{"id": "heygen", "display_name": "HeyGen", "access": {"full": []}, "default_access": "full"}],
}


def test_a_built_in_is_found_by_id_and_by_service():
    """One provider, several services."""
    provider, service = Catalog().service("gmail")

    assert provider is Catalog().get("google")
    assert service.id == "gmail"


@pytest.mark.parametrize("provider_id", ["", "nobody", "openid", "demo", "../google", "GOOGLE"])
def test_an_unknown_provider_is_told(provider_id):
    """The generic base is no provider; the demo provider is not there when deployed."""
    with pytest.raises(UnknownProvider):
        Catalog().get(provider_id)


def test_an_unknown_service_is_told():
    """Also where its provider is for local use only."""
    for service_id in ("", "nothing", "demo", "{id}"):
        with pytest.raises(UnknownService):
            Catalog().service(service_id)
    assert Catalog(allow_private_addresses=True).service("demo")[0].id == "demo"


def test_a_deployment_adds_a_provider():
    """It is there by id, by service, for sign-in and in the list."""
    catalog = Catalog({"acme": ACME})

    assert catalog.get("acme").issuer == "https://id.acme.example"
    assert catalog.service("acme")[0].id == "acme"
    assert "acme" in {provider.id for provider in catalog.signin()}
    assert "acme" in {provider.id for provider in catalog.all()}


def test_a_deployment_changes_a_built_in():
    """Its change wins; the built-in record is not harmed for others."""
    own = Catalog({"google": {"display_name": "Acme's Google"}})

    assert own.get("google").display_name == "Acme's Google"
    assert own.service("gmail")[0].display_name == "Acme's Google"
    assert Catalog().get("google").display_name == "Google"


def test_a_record_may_start_from_another():
    """GitHub Enterprise is GitHub at other addresses, with a service of its own."""
    catalog = Catalog(
        {
            "ghe": {
                "base": "github",
                "issuer": "https://git.acme.example/login/oauth",
                "authorization_endpoint": "https://git.acme.example/login/oauth/authorize",
                "token_endpoint": "https://git.acme.example/login/oauth/access_token",
                "services": [{"id": "ghe", "display_name": "Acme Git", "access": {"read": ["repo"]}}],
            }
        }
    )

    assert catalog.service("ghe")[0].scope.response_separator == ","
    assert catalog.service("github")[0].id == "github"


def test_one_tenant_of_microsoft_is_an_override():
    """With its own issuer no other tenant signs in."""
    issuer = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"
    provider = Catalog({"microsoft": {"issuer": issuer, "issuer_template": None}}).get("microsoft")

    assert (provider.issuer, provider.issuer_template) == (issuer, None)


def test_an_unknown_base_is_told():
    """With the field."""
    for base in ("nobody", 7, "acme"):
        with pytest.raises(InvalidProviderRecord) as caught:
            Catalog({"acme": ACME | {"base": base}}).get("acme")
        assert caught.value.extensions == {"field": "base"}


def test_a_provider_whose_users_bring_keys_has_no_endpoints():
    """HeyGen and its like."""
    provider, service = Catalog({"heygen": KEYS}).service("heygen")

    assert (provider.protocol, service.default_access) == ("api_key", "full")
    assert provider.id not in {found.id for found in Catalog({"heygen": KEYS}).signin()}


def test_one_broken_record_does_not_take_the_others_away():
    """Only asking for it says what is wrong."""
    catalog = Catalog({"acme": {"issuer": "http://id.acme.example"}, "heygen": KEYS})

    assert {"heygen", "google"} <= {provider.id for provider in catalog.all()}
    assert catalog.service("gmail")[0].id == "google"
    with pytest.raises(InvalidProviderRecord):
        catalog.get("acme")


def test_a_changed_record_is_loaded_anew_and_an_unchanged_one_is_kept():
    """An admin's change is seen at once; between changes nothing is parsed."""
    first = Catalog({"acme": ACME}).get("acme")

    assert Catalog({"acme": dict(ACME)}).get("acme") is first
    assert Catalog({"acme": ACME | {"display_name": "Acme"}}).get("acme").display_name == "Acme"


def test_a_record_is_judged_again_for_another_kind_of_run():
    """What a local run accepted is not accepted when deployed."""
    mapping = {"demo": {"display_name": "Demo 2"}}

    assert Catalog(mapping, allow_private_addresses=True).get("demo").display_name == "Demo 2"
    with pytest.raises(InvalidProviderRecord):
        Catalog(mapping).get("demo")
