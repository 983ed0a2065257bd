"""Records a deployment brings."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantkeeper.errors import InvalidProviderRecord
from grantkeeper.providers.google import GOOGLE
from grantkeeper.providers.load import load_record
from grantkeeper.providers.openid import OPENID
from grantkeeper.providers.record import ErrorRule, TokenPath

ACME = {
    "issuer": "https://id.acme.example",
    "authorization_endpoint": "https://id.acme.example/authorize",
    "token_endpoint": "https://id.acme.example/token",
    "jwks_uri": "https://id.acme.example/keys",
}
SERVICE = {"id": "wiki", "display_name": "Wiki", "access": {"read": ["wiki:read"]}}


def load(mapping, base=OPENID, provider_id="acme", **options):
    return load_record(provider_id, json.loads(json.dumps(mapping)), base, **options)


def refused(mapping, base=OPENID, **options):
    with pytest.raises(InvalidProviderRecord) as caught:
        load(ACME | mapping, base, **options)
    assert str(caught.value).startswith(caught.value.extensions["field"])
    return caught.value.extensions["field"]


def test_an_openid_provider_needs_its_endpoints_only():
    """The generic record supplies scopes, a service under the provider's own id, and the safe side of rotation."""
    provider = load(ACME)

    assert (provider.id, provider.display_name, provider.issuer) == ("acme", "acme", "https://id.acme.example")
    assert [service.id for service in provider.services] == ["acme"]
    assert provider.signin_scopes == ("openid", "email", "profile")
    assert provider.refresh.previous_refresh_token == "revoked"


def test_a_plain_rfc_6749_provider_needs_two_endpoints_and_a_service():
    """The defaults describe the standard."""
    mapping = {
        "protocol": "oauth2",
        "authorization_endpoint": "https://wiki.example/a",
        "token_endpoint": "https://wiki.example/t",
        "services": [SERVICE],
    }
    provider = load(mapping, base=None)

    assert provider.services[0].access == {"read": ("wiki:read",)}
    assert provider.token_endpoint_auth_method == "client_secret_basic"


def test_a_change_keeps_what_it_does_not_mention():
    """Nested rules are merged field by field; the base itself is untouched."""
    provider = load({"refresh": {"keepalive_days": 7}}, GOOGLE, provider_id="google")

    assert provider.refresh.keepalive_days == 7
    assert provider.refresh.inactivity_days == GOOGLE.refresh.inactivity_days
    assert provider.display_name == "Google"
    assert GOOGLE.refresh.keepalive_days == 60


def test_nested_lists_become_records():
    """Tokens, errors, variables, requests: all as JSON has them."""
    provider = load(
        ACME
        | {
            "token_response": {"tokens": [{"name": "bot"}, {"name": "user", "access_token": "/u/access_token"}]},
            "errors": [{"outcome": "dead", "error": "gone", "reason": "revoked_by_user"}],
            "connect_params": {"prompt": "consent"},
            "profile": {"requests": [{"name": "me", "url": "https://id.acme.example/me", "headers": [["x-a", "b"]]}]},
        }
    )

    assert provider.token_response.tokens[1] == TokenPath("user", access_token="/u/access_token")
    assert provider.errors == (ErrorRule("dead", error="gone", reason="revoked_by_user"),)
    assert provider.connect_params == (("prompt", "consent"),)
    assert provider.profile.requests[0].headers == (("x-a", "b"),)


@pytest.mark.parametrize(
    ("mapping", "field"),
    [
        ({"tokn_endpoint": "https://x.example"}, "tokn_endpoint"),
        ({"id": "other"}, "id"),
        ({"display_name": 7}, "display_name"),
        ({"display_name": ""}, "display_name"),
        ({"nonce": "yes"}, "nonce"),
        ({"pkce": "plain"}, "pkce"),
        ({"pkce": True}, "pkce"),
        ({"token_endpoint": None}, "token_endpoint"),
        ({"token_endpoint": "x" * 3000}, "token_endpoint"),
        ({"services": {}}, "services"),
        ({"services": [{"id": "a"}]}, "services[0].display_name"),
        ({"services": [SERVICE | {"scope": "x"}]}, "services[0].scope"),
        ({"services": [SERVICE | {"id": "No Slug"}]}, "services[0].id"),
        ({"services": [SERVICE, SERVICE]}, "services[1].id"),
        ({"services": [SERVICE | {"default_access": "write"}]}, "services[0].default_access"),
        ({"services": [SERVICE | {"access": {"read": ["a b"]}}]}, "services[0].access.read"),
        ({"services": [SERVICE | {"access": {"read": "a"}}]}, "services[0].access.read"),
        ({"signin_scopes": ["email"]}, "signin_scopes"),
        ({"issuer": None}, "issuer"),
        ({"jwks_uri": None}, "jwks_uri"),
        ({"refresh": {"rotation": "sometimes"}}, "refresh.rotation"),
        ({"refresh": {"grace_seconds": True}}, "refresh.grace_seconds"),
        ({"refresh": {"absolute_days": "90"}}, "refresh.absolute_days"),
        ({"refresh": []}, "refresh"),
        ({"errors": [{"outcome": "dead"}]}, "errors[0]"),
        ({"errors": [{"outcome": "dead", "error": "x", "reason": "sad"}]}, "errors[0].reason"),
        ({"errors": [{"outcome": "config", "error": "x", "reason": "revoked_by_user"}]}, "errors[0].reason"),
        ({"authorization_params": {"state": "x"}}, "authorization_params"),
        ({"connect_params": {"code_challenge_method": "plain"}}, "connect_params"),
        ({"signin_params": [["redirect_uri", "https://evil.example"]]}, "signin_params"),
        ({"signin_params": [["a"]]}, "signin_params[0]"),
        ({"code_params": {"grant_type": "password"}}, "code_params"),
        ({"refresh_params": {"refresh_token": "x"}}, "refresh_params"),
        ({"token_request_headers": {"authorization": "x"}}, "token_request_headers"),
        ({"token_request_headers": {"Host": "evil.example"}}, "token_request_headers"),
        ({"token_request_headers": {"x-a": "b\r\nx-c: d"}}, "token_request_headers"),
        ({"revocation": {"kind": "custom"}}, "revocation.url_template"),
        ({"revocation": {"kind": "rfc7009"}}, "revocation_endpoint"),
        ({"profile": {"map": {"phone": ["id_token#/phone"]}}}, "profile.map.phone"),
        ({"profile": {"map": {"name": ["me#/name"]}}}, "profile.map.name"),
        ({"profile": {"map": {"name": ["id_token/name"]}}}, "profile.map.name"),
        ({"profile": {"id_template": "constant"}}, "profile.id_template"),
        ({"profile": {"id_template": "{id_token#tid}"}}, "profile.id_template"),
        ({"token_response": {"tokens": []}}, "token_response.tokens"),
        ({"token_response": {"error_pointer": "error"}}, "token_response.error_pointer"),
        ({"token_response": {"default_expires_in": "soon"}}, "token_response.default_expires_in"),
        ({"variables": [{"name": "t", "pattern": "["}]}, "variables[0].pattern"),
        ({"variables": [{"name": "t", "pattern": ".*"}]}, "variables[0].pattern"),
        ({"variables": [{"name": "t", "pattern": "[a-z/]+"}]}, "variables[0].pattern"),
        ({"variables": [{"name": "token", "pattern": "[a-z]+"}]}, "variables[0].name"),
        ({"variables": [{"name": "t", "pattern": "[a-z]+", "default": "A"}]}, "variables[0].default"),
        ({"allow_private_addresses": True}, "allow_private_addresses"),
    ],
)
def test_a_mistake_is_told_with_the_name_of_its_field(mapping, field):
    """So that an operator can mend it."""
    assert refused(mapping) == field


@pytest.mark.parametrize(
    "url",
    [
        "http://id.acme.example/t",
        "ftp://id.acme.example/t",
        "file:///etc/passwd",
        "//id.acme.example/t",
        "https:/t",
        "https://",
        "https://user:pass@id.acme.example/t",
        "https://id.acme.example@evil.example/t",
        "https://id.acme.example\\@evil.example/t",
        "https://id.acme.example/t#f",
        "https://id.acme.example/ t",
        "https://id.acme.example/t\n",
        "https://id.acme.example:8443/t",
        "https://id.acme.example:99999/t",
        "https://127.0.0.1/t",
        "https://2130706433/t",
        "https://0x7f.1/t",
        "https://0177.0.0.1/t",
        "https://169.254.169.254/t",
        "https://[::1]/t",
        "https://[::ffff:127.0.0.1]/t",
        "https://localhost/t",
        "https://localhost./t",
        "https://a.localhost/t",
        "https://intranet/t",
        "https://id.acme.example./t",
        "https://exämple.example/t",
        "https://{host}/t",
        "https://id.acme.example/{}/t",
        "",
    ],
)
@pytest.mark.parametrize("field", ["token_endpoint", "authorization_endpoint"])
def test_c87_o01_o02_o06_o07_an_endpoint_is_a_public_https_url(field, url):
    """Refused when the record is loaded, before any request."""
    assert refused({field: url}) == field


SITES = {"request": {"name": "sites", "url": "https://api.acme.example/sites"}, "keep": {"id": "/id"}}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"request": {"name": "sites", "url": "http://api.acme.example/sites"}}, "request.url"),
        ({"request": {"name": "sites", "url": "https://169.254.169.254/sites"}}, "request.url"),
        ({"request": {"name": "sites", "url": "https://api.acme.example/{tenant}"}}, "request.url"),
        ({"request": {"name": "sites", "url": "https://api.acme.example/{me#/id}"}}, "request.url"),
        ({"request": {"name": "sites", "url": "{metadata#/instance_url}/sites"}}, "request.url"),
        ({"request": SITES["request"] | {"name": "Sites!"}}, "request.name"),
        ({"request": SITES["request"] | {"name": "kept_already"}}, "request.name"),
        ({"request": SITES["request"] | {"auth": "oauth1"}}, "request.auth"),
        ({"request": SITES["request"] | {"headers": {"Authorization": "x"}}}, "request.headers"),
        ({"entries": "values"}, "entries"),
        ({"keep": {}}, "keep"),
        ({"keep": {"id": "id"}}, "keep.id"),
        ({"required": "yes"}, "required"),
        ({"hook": "atlassian"}, "hook"),
    ],
)
def test_a_step_after_the_connect_is_checked_like_everything_a_token_goes_to(changes, field):
    """Its host is fixed, its name is its own, and there is something to keep."""
    metadata = {"metadata": {"kept_already": "/x"}}

    assert load(ACME | {"post_connect": [SITES]}).post_connect[0].keep == (("id", "/id"),)
    assert refused({"token_response": metadata, "post_connect": [SITES | changes]}) == f"post_connect[0].{field}"


def test_a_browser_does_not_wait_for_many_steps():
    """The callback has 25 seconds for all its calls."""
    steps = [SITES | {"request": SITES["request"] | {"name": f"step{n}"}} for n in range(3)]

    assert len(load(ACME | {"post_connect": steps[:2]}).post_connect) == 2
    assert refused({"post_connect": steps}) == "post_connect"


@pytest.mark.parametrize("host", ["localhost:9400", "127.0.0.1:9400", "[::1]:9400", "demo.localhost"])
def test_a_local_run_may_use_http_at_a_loopback_host(host):
    """And nowhere else."""
    url = f"http://{host}/token"

    assert load(ACME | {"token_endpoint": url}, allow_private_addresses=True).token_endpoint == url
    assert refused({"token_endpoint": "http://10.0.0.1/token"}, allow_private_addresses=True) == "token_endpoint"
    assert refused({"token_endpoint": "http://id.acme.example"}, allow_private_addresses=True) == "token_endpoint"
    assert refused({"token_endpoint": url}) == "token_endpoint"


def test_declared_variables_may_stand_in_endpoints():
    """GitHub Enterprise, one tenant, a shop."""
    provider = load(
        ACME
        | {
            "token_endpoint": "https://{shop}.shops.example/t",
            "variables": [{"name": "shop", "pattern": "[a-z0-9-]{1,40}"}],
        }
    )

    assert provider.variables[0].name == "shop"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


@given(field=st.sampled_from(sorted(OPENID.__dataclass_fields__)), value=JSON)
def test_whatever_stands_in_a_field_it_loads_or_is_refused_with_a_name(field, value):
    """No other exception: a record is an operator's text, not ours."""
    refusal = None
    try:
        load_record("acme", ACME | {field: value}, OPENID)
    except InvalidProviderRecord as error:
        refusal = error

    assert refusal is None or refusal.extensions["field"]
