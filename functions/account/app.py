"""A user's own account: his profile, identities, sessions, consents, keys, and the trail of what happened."""

from __future__ import annotations

import os
import time

from aws_lambda_powertools import Logger

from grantkeeper import wiring
from grantkeeper.edge.account_views import (
    audit_view,
    consent_view,
    ended_view,
    identity_view,
    profile_view,
    session_view,
)
from grantkeeper.edge.api_key_views import api_key_view, shown_key_view
from grantkeeper.edge.browser_routes import BrowserRoutes
from grantkeeper.edge.bugs import report_bugs
from grantkeeper.edge.cursors import Cursors, page_limit
from grantkeeper.edge.etags import etag_of, has_it, require_match
from grantkeeper.edge.http import App, Request, Response, json_response
from grantkeeper.edge.operations import CLIENT, PERSON, Access, Operation
from grantkeeper.edge.pictures import picture_response
from grantkeeper.edge.principals import permitted
from grantkeeper.errors import BadRequest, TooManyRequests
from grantkeeper.model import Principal
from grantkeeper.services.confirm_link import LinkConfirmation, confirm_link
from grantkeeper.services.consents import list_consents, withdraw_consent
from grantkeeper.services.identities import unlink_identity
from grantkeeper.services.open_link import LinkRequest, open_link
from grantkeeper.services.own_api_keys import (
    WantedKey,
    list_keys,
    make_key,
    parse_rotation,
    revoke_key,
    rotate_itself,
    rotate_own_key,
)
from grantkeeper.services.own_profile import OwnProfile, override, own_profile, parse_overrides
from grantkeeper.services.own_sessions import end_all, end_one, list_sessions

OWN = Access("connections:read", PERSON, owned=True)
READ = Access("profile", PERSON, owned=True)
WRITE = Access("account:write", PERSON, owned=True)
MINT = Access("account:write", PERSON, owned=True, recent=True)
ROTATE = Access("account:write", PERSON, owned=True, recent=True, elsewhere=404)
CONFIRM = Access("account:write", PERSON, owned=True, recent=True, others=403, elsewhere=403)  # and the link is over
RECENT = Access("account:write", PERSON, owned=True, recent=True)
LINKS_PER_MINUTE = 10

logger = Logger()
app = App(on_error=report_bugs(logger))
app_wiring = wiring.from_environment(os.environ)
app_wiring.warm_up("api_keys", "clients", "sessions", "users", "key_set", "audit", "rate_limits")
browser_route = BrowserRoutes(app, lambda: app_wiring.clients)


@browser_route("GET /v1/audit", Operation("AuditList", query=("limit", "cursor"), access=OWN))
def get_audit(request: Request) -> Response:
    """The caller's own trail, newest first."""
    principal, sub = _person(request)
    before = _cursors().read(request.one("cursor"), principal=principal, query=("audit",))
    events, position = app_wiring.audit.for_user(sub, limit=page_limit(request), before=before)
    cursor = position and _cursors().issue(position, principal=principal, query=("audit",))
    return json_response({"events": [audit_view(event, sub=sub) for event in events], "cursor": cursor})


@browser_route("GET /v1/profile", Operation("Profile", conditional=True, access=READ))
def get_profile(request: Request) -> Response:
    """The caller's own profile: what is shown, what he set himself, and what each provider says."""
    _, sub = _person(request)
    return _profile(own_profile(sub, users=app_wiring.users), request)


@browser_route("PUT /v1/profile", Operation("Profile", takes="ProfileChange", versioned=True, access=WRITE))
def put_profile(request: Request) -> Response:
    """
    Set what the caller shows instead of his providers' word: name, picture, language.

    The whole of it: what is left out is left to the providers again. If-Match holds the ETag that was read.
    """
    principal, sub = _person(request)
    if not request.body:
        raise BadRequest("Send a JSON object: an empty one leaves everything to the providers.")
    wanted = parse_overrides(request.json())
    profile = own_profile(sub, users=app_wiring.users)
    require_match(request, _etag(profile))
    changed = override(
        profile,
        wanted,
        principal=principal,
        users=app_wiring.users,
        now=_now(),
        request_id=request.request_id,
    )
    return _profile(changed, request)


@browser_route("GET /v1/sessions", Operation("SessionList", query=("limit", "cursor"), access=READ))
def get_sessions(request: Request) -> Response:
    """Where the caller is signed in, at whichever client, newest first."""
    principal, _ = _person(request)
    page = list_sessions(
        principal,
        sessions=app_wiring.sessions,
        clients=app_wiring.clients,
        now=_now(),
        limit=page_limit(request),
        after=_cursors().read(request.one("cursor"), principal=principal, query=("sessions",)),
    )
    position = page.next_position
    cursor = position and _cursors().issue(position, principal=principal, query=("sessions",))
    return json_response({"sessions": [session_view(listed) for listed in page.sessions], "cursor": cursor})


@browser_route("DELETE /v1/sessions/{sid}", Operation(status=204, access=WRITE))
def delete_session(request: Request) -> Response:
    """End one session of the caller's: its refresh token at once, its access tokens within a minute."""
    principal, _ = _person(request)
    end_one(
        principal,
        request.path_params["sid"],
        sessions=app_wiring.sessions,
        now=_now(),
        request_id=request.request_id,
    )
    return Response(204)


@browser_route("DELETE /v1/sessions", Operation("EndedSessions", query=("keep_current",), access=WRITE))
def delete_sessions(request: Request) -> Response:
    """End every session of the caller's, or with `keep_current=true` all the others; a hundred a call."""
    principal, _ = _person(request)
    ended = end_all(
        principal,
        keep_current=_flag(request, "keep_current"),
        sessions=app_wiring.sessions,
        now=_now(),
        request_id=request.request_id,
    )
    return json_response(ended_view(ended))


@browser_route("GET /v1/api-keys", Operation("ApiKeyList", access=READ))
def get_api_keys(request: Request) -> Response:
    """The caller's own API keys, without their secrets."""
    principal, _ = _person(request)
    found = list_keys(principal, api_keys=app_wiring.api_keys)
    return json_response({"api_keys": [api_key_view(key, now=_now()) for key in found]})


@browser_route(
    "POST /v1/api-keys",
    Operation("ShownApiKey", status=201, takes="ApiKeyRequest", access=MINT, errors=(409,)),
)
def post_api_key(request: Request) -> Response:
    """Make a key that acts as the caller at his client, and show it once."""
    principal, _ = _person(request)
    shown = make_key(
        WantedKey.parse(request.json()),
        principal=principal,
        api_keys=app_wiring.api_keys,
        now=_now(),
        request_id=request.request_id,
    )
    return json_response(shown_key_view(shown, now=_now()), status=201)


@browser_route(
    "POST /v1/api-keys/{id}/rotate",
    Operation("ShownApiKey", takes="ApiKeyRotation", access=ROTATE, errors=(409,)),
)
def post_rotate_api_key(request: Request) -> Response:
    """Give a key of the caller's its next secret, and show it once; the one before is good for seven days more."""
    principal, _ = _person(request)
    shown = rotate_own_key(
        request.path_params["id"],
        days=parse_rotation(request.json()),
        principal=principal,
        api_keys=app_wiring.api_keys,
        now=_now(),
        request_id=request.request_id,
    )
    return json_response(shown_key_view(shown, now=_now()))


@app.route(
    "POST /v1/api-keys/self/rotate",
    operation=Operation("ShownApiKey", access=Access("account:write", CLIENT), errors=(409,)),
)
def post_rotate_this_api_key(request: Request) -> Response:
    """
    Give the client's key that asks its next secret, and show it once. Never any CORS here: keys are for servers.

    The one before is good for seven days more; the key ends when it would have ended. It takes the scope
    `account:write`, which an operator gives a key that shall rotate itself.
    """
    shown = rotate_itself(
        permitted(request, app.access(request), ports=app_wiring, now=_now()),
        api_keys=app_wiring.api_keys,
        now=_now(),
        request_id=request.request_id,
    )
    return json_response(shown_key_view(shown, now=_now()))


@browser_route("DELETE /v1/api-keys/{id}", Operation(status=204, access=WRITE))
def delete_api_key(request: Request) -> Response:
    """Revoke a key of the caller's: refused everywhere within a minute."""
    principal, _ = _person(request)
    revoke_key(
        request.path_params["id"],
        principal=principal,
        api_keys=app_wiring.api_keys,
        now=_now(),
        request_id=request.request_id,
    )
    return Response(204)


@browser_route(
    "GET /v1/profile/avatar",
    Operation(media="image/*", conditional=True, access=READ, errors=(404,)),
)
def get_profile_avatar(request: Request) -> Response:
    """The caller's own picture, where the provider he signs in with shows it to a token's bearer only."""
    _, sub = _person(request)
    return picture_response(app_wiring.avatars.of_user(sub), request)


@browser_route("GET /v1/identities", Operation("IdentityList", access=READ))
def get_identities(request: Request) -> Response:
    """Whom the caller can sign in as, and the ids that clients know him by."""
    _, sub = _person(request)
    return json_response({"identities": [identity_view(identity) for identity in app_wiring.users.identities(sub)]})


@browser_route(
    "POST /v1/identities",
    Operation("IdentityLink", status=201, takes="IdentityLinkRequest", access=RECENT, errors=(404, 409, 429)),
)
def post_identity(request: Request) -> Response:
    """Let the caller prove another identity of his, to be linked with his account."""
    principal, _ = _person(request)
    wanted = LinkRequest.parse(request.json())
    wait = app_wiring.rate_limits.hit(f"link:{principal.actor}", limit=LINKS_PER_MINUTE, window=60, now=_now())
    if wait:
        raise TooManyRequests("Too many links were opened.", retry_after=wait)
    opened = open_link(
        wanted,
        principal=principal,
        clients=app_wiring.clients,
        sessions=app_wiring.sessions,
        errands=app_wiring.errands,
        provider_items=app_wiring.provider_items,
        catalog=app_wiring.catalog,
        issuer=app_wiring.issuer,
        now=_now(),
        request_id=request.request_id,
    )
    return json_response({"id": opened.id, "link_url": opened.url, "expires_at": opened.expires_at}, status=201)


@browser_route(
    "POST /v1/identities/{id}/complete",
    Operation("Identity", takes="LinkConfirmation", access=CONFIRM, errors=(409, 410)),
)
def post_identity_complete(request: Request) -> Response:
    """Link the identity that was proven, for the user who came back."""
    principal, _ = _person(request)
    identity = confirm_link(
        request.path_params["id"],
        LinkConfirmation.parse(request.json()),
        principal=principal,
        users=app_wiring.users,
        errands=app_wiring.errands,
        audit=app_wiring.audit,
        now=_now(),
        request_id=request.request_id,
    )
    return json_response(identity_view(identity))


@browser_route("DELETE /v1/identities/{id}", Operation(status=204, access=RECENT, errors=(409,)))
def delete_identity(request: Request) -> Response:
    """Take an identity away, unless it is the last that can sign in; sessions opened at its provider end."""
    principal, _ = _person(request)
    unlink_identity(
        request.path_params["id"],
        principal=principal,
        users=app_wiring.users,
        sessions=app_wiring.sessions,
        catalog=app_wiring.catalog,
        provider_items=app_wiring.provider_items,
        now=_now(),
        request_id=request.request_id,
    )
    return Response(204)


@browser_route("GET /v1/consents", Operation("ConsentList", query=("limit", "cursor"), access=READ))
def get_consents(request: Request) -> Response:
    """What the caller lets which client use, and what he let it use before."""
    principal, sub = _person(request)
    page = list_consents(
        sub,
        consents=app_wiring.consents,
        clients=app_wiring.clients,
        limit=page_limit(request),
        after=_cursors().read(request.one("cursor"), principal=principal, query=("consents",)),
    )
    position = page.next_position
    cursor = position and _cursors().issue(position, principal=principal, query=("consents",))
    return json_response({"consents": [consent_view(each) for each in page.consents], "cursor": cursor})


@browser_route("DELETE /v1/consents/{client_id}/{connection_id}", Operation(status=204, access=WRITE))
def delete_consent(request: Request) -> Response:
    """Withdraw a consent: that client's token calls are refused at once, or where one is remembered within 30 s."""
    principal, _ = _person(request)
    withdraw_consent(
        request.path_params["client_id"],
        request.path_params["connection_id"],
        principal=principal,
        consents=app_wiring.consents,
        now=_now(),
        request_id=request.request_id,
    )
    return Response(204)


def _person(request: Request) -> tuple[Principal, str]:
    """The caller, who is a person by the route's own rule."""
    principal = permitted(request, app.access(request), ports=app_wiring, now=_now())
    return principal, principal.sub or ""


def _profile(profile: OwnProfile, request: Request) -> Response:
    etag = _etag(profile)
    if request.method == "GET" and has_it(request, etag):
        return Response(304, "", {"etag": etag})
    return json_response(profile_view(profile), etag=etag)


def _etag(profile: OwnProfile) -> str:
    return etag_of(profile_view(profile), version=profile.user.version)


def _flag(request: Request, name: str) -> bool:
    text = request.one(name)
    if text not in (None, "true", "false"):
        raise BadRequest(f"{name} is true or false.", parameter=name)
    return text == "true"


def _cursors() -> Cursors:
    return Cursors(app_wiring.deployment_secrets.key("cursors"))


def _now() -> int:
    return int(time.time())


handler = app
