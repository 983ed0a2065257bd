"""A user's own profile and picture."""

from __future__ import annotations

from grantkeeper.edge.account.access import READ, WRITE
from grantkeeper.edge.account_views import profile_view
from grantkeeper.edge.browser_routes import BrowserRoutes
from grantkeeper.edge.desk import Desk
from grantkeeper.edge.etags import etag_of, has_it, require_match
from grantkeeper.edge.http import Request, Response, json_response
from grantkeeper.edge.operations import Operation
from grantkeeper.edge.pictures import picture_response
from grantkeeper.errors import BadRequest
from grantkeeper.services.own_profile import OwnProfile, override, own_profile, parse_overrides


def add_routes(browser_route: BrowserRoutes, desk: Desk) -> None:
    """/v1/profile and what is below it."""

    @browser_route("GET /v1/profile", Operation("Profile", conditional=True, access=READ))
    def get_profile(request: Request) -> Response:
        """The caller's own profile: what is shown, what he set himself, and what each provider says."""
        _, sub = desk.person(request)
        return _profile(own_profile(sub, users=desk.wiring.users), request)

    @browser_route("PUT /v1/profile", Operation("Profile", takes="ProfileChange", versioned=True, access=WRITE))
    def put_profile(request: Request) -> Response:
        """
        Set what the caller shows instead of his providers' word: name, picture, language.

        The whole of it: what is left out is left to the providers again. If-Match holds the ETag that was read.
        """
        principal, sub = desk.person(request)
        if not request.body:
            raise BadRequest("Send a JSON object: an empty one leaves everything to the providers.")
        wanted = parse_overrides(request.json())
        profile = own_profile(sub, users=desk.wiring.users)
        require_match(request, _etag(profile))
        changed = override(
            profile,
            wanted,
            principal=principal,
            users=desk.wiring.users,
            now=desk.now(),
            request_id=request.request_id,
        )
        return _profile(changed, request)

    @browser_route(
        "GET /v1/profile/avatar",
        Operation(media="image/*", conditional=True, access=READ, errors=(404,)),
    )
    def get_profile_avatar(request: Request) -> Response:
        """The caller's own picture, where the provider he signs in with shows it to a token's bearer only."""
        _, sub = desk.person(request)
        return picture_response(desk.wiring.avatars.of_user(sub), request)


def _profile(profile: OwnProfile, request: Request) -> Response:
    etag = _etag(profile)
    if request.method == "GET" and has_it(request, etag):
        return Response(304, "", {"etag": etag})
    return json_response(profile_view(profile), etag=etag)


def _etag(profile: OwnProfile) -> str:
    return etag_of(profile_view(profile), version=profile.user.version)
