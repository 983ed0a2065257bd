"""HubSpot: the refresh token never changes, and whose it is stands in the token response."""

from __future__ import annotations

from grantkeeper.providers.record import (
    ErrorRule,
    ProfileRequest,
    ProfileRule,
    Provider,
    RefreshRule,
    RevocationRule,
    SameAccount,
    ScopeParameter,
    ScopeRule,
    Service,
    Source,
    TokenResponseRule,
)

_READ = ("crm.objects.contacts.read", "crm.objects.companies.read", "crm.objects.deals.read")
_WRITE = ("crm.objects.contacts.write", "crm.objects.companies.write", "crm.objects.deals.write")

HUBSPOT = Provider(
    id="hubspot",
    display_name="HubSpot",
    protocol="oauth2",
    authorization_endpoint="https://app.hubspot.com/oauth/authorize",
    token_endpoint="https://api.hubapi.com/oauth/2026-03/token",  # HubSpot turns /oauth/v1 off on 2027-02-16
    revocation_endpoint="https://api.hubapi.com/oauth/2026-03/token/revoke",
    nonce=False,
    pkce="unsupported",
    scope=ScopeRule(
        # what a portal without the product may leave out is asked in a parameter of its own; no level of ours needs it
        extra=(ScopeParameter("optional_scope", prefix="optional:"),),
    ),
    services=(
        Service(
            id="hubspot",
            display_name="HubSpot",
            access={"read": _READ, "write": (*_READ, *_WRITE)},
            base_scopes=("oauth",),
            docs_url="https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/scopes",
        ),
    ),
    token_endpoint_auth_method="client_secret_post",
    token_response=TokenResponseRule(
        more_error_pointers=("/status",),  # the form of v1, still sent beside the standard one
        metadata=(("hub_id", "/hub_id"), ("user_id", "/user_id")),
        default_expires_in=1800,
    ),
    refresh=RefreshRule(
        rotation="none",  # the same one is answered
        previous_refresh_token="valid",
        previous_access_token="valid",
    ),
    revocation=RevocationRule(
        kind="rfc7009",
        auth="client_secret_post",
        token_hint="refresh_token",  # it alone dies; access tokens last their half hour
        effect="grant",
        success_statuses=(200, 204),
        gone=("BAD_REFRESH_TOKEN", "invalid_grant"),
        manual_url="https://app.hubspot.com/l/integrations-settings/installed",
    ),
    profile=ProfileRule(
        requests=(
            # it wants our secret beside the token; v1's, which did not, ends on 2027-02-16
            ProfileRequest(
                "info", "https://api.hubapi.com/oauth/2026-03/token/introspect", method="POST", auth="introspection"
            ),
        ),
        id_template="{metadata#/hub_id}:{metadata#/user_id}",  # a person in a portal
        same_account=(
            SameAccount("info#/hub_id", ("metadata#/hub_id",)),
            SameAccount("info#/user_id", ("metadata#/user_id",)),
        ),
        map={"email": ("info#/user",), "name": ("info#/hub_domain",)},
    ),
    errors=(
        ErrorRule("dead", error="BAD_REFRESH_TOKEN", reason="revoked_by_user"),
        ErrorRule("config", error="BAD_CLIENT_ID"),  # also said of a wrong secret
    ),
    registration_url="https://app.hubspot.com/l/developer-overview",
    sources=(
        Source(
            "https://github.com/NangoHQ/nango/blob/master/packages/providers/providers.yaml",
            "2026-11-21",
            note="scopes",
        ),
        Source(
            "https://developers.hubspot.com/docs/api-reference/latest/authentication/oauth-tokens/revoke-token",
            "2026-11-21",
            note="endpoints of 2026-03, hub_id and user_id in the token response, standard errors",
        ),
        Source(
            "https://developers.hubspot.com/docs/api-reference/2026-03/authentication/oauth-tokens/token-introspect",
            "2026-11-21",
            note="introspection: a form with client_id, client_secret and token; hub_id, user_id, user, hub_domain",
        ),
        Source(
            "https://developers.hubspot.com/changelog/v1-oauth-api-deprecation",
            "2026-11-21",
            note="v1 ends on 2027-02-16",
        ),
        Source(
            "https://developers.hubspot.com/docs/api-reference/legacy/authentication/manage-oauth-tokens",
            "2026-11-21",
            status="unverified",
            note="1800 seconds; BAD_REFRESH_TOKEN and BAD_CLIENT_ID; members of the token's information; scope names; "
            "manual_url",
        ),
    ),
)
