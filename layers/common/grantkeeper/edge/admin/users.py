"""Users: found, shown, suspended, given roles, erased."""

from __future__ import annotations

from grantkeeper.edge.admin.access import POWER, READ, WRITE, object_in
from grantkeeper.edge.admin.user_views import detail_view, erasure_view, user_view
from grantkeeper.edge.cursors import page_limit
from grantkeeper.edge.desk import Desk
from grantkeeper.edge.http import App, Request, Response, json_response
from grantkeeper.edge.operations import Operation
from grantkeeper.services.admin_users import Wanted, list_users, user_detail
from grantkeeper.services.change_user import By, give_role, parse_role, parse_suspension, resume, suspend
from grantkeeper.services.erase_user import erase_user, erasure_state, require_confirmed

FILTERS = ("q", "role", "status")


def add_routes(app: App, desk: Desk) -> None:
    """GET /v1/admin/users and what is below it."""

    @app.route(
        "GET /v1/admin/users",
        operation=Operation("AdminUserList", query=("q", "role", "status:user", "limit", "cursor"), access=READ),
    )
    def get_admin_users(request: Request) -> Response:
        """
        Users, by e-mail address.

        A page reads a bounded number of users: with filters it may be short, and `cursor` goes on.
        """
        principal = desk.caller(request)
        query = ("admin users", *(request.one(name) for name in FILTERS))
        page = list_users(
            Wanted(request.one("q") or "", request.one("role"), request.one("status")),
            people=desk.wiring.people,
            users=desk.wiring.users,
            limit=page_limit(request),
            after=desk.position(request, principal=principal, query=query),
        )
        cursor = desk.cursor(page.next_position, principal=principal, query=query)
        return json_response({"users": [user_view(user) for user in page.users], "cursor": cursor})

    @app.route("GET /v1/admin/users/{sub}", operation=Operation("AdminUserDetail", access=READ))
    def get_admin_user(request: Request) -> Response:
        """One user with his identities, sessions, connections, consents and keys; never a token or a secret."""
        desk.caller(request)
        detail = user_detail(request.path_params["sub"], ports=desk.wiring, now=desk.now())
        return json_response(detail_view(detail, now=desk.now()))

    @app.route(
        "POST /v1/admin/users/{sub}/suspend",
        operation=Operation("AdminUser", takes="Suspension", access=WRITE, errors=(409,)),
    )
    def post_admin_user_suspend(request: Request) -> Response:
        """
        Refuse a user everywhere within a minute: his tokens, his keys, his sign-ins. His connections stay.

        Nobody suspends himself, and an admin is suspended by an admin who is signed in, not by a key.
        """
        principal = desk.caller(request)
        changed = suspend(
            request.path_params["sub"],
            reason=parse_suspension(object_in(request)),
            by=By.principal(principal),
            users=desk.wiring.users,
            changing=desk.wiring.people,
            now=desk.now(),
            request_id=request.request_id,
        )
        return json_response(user_view(changed.after))

    @app.route("POST /v1/admin/users/{sub}/resume", operation=Operation("AdminUser", access=WRITE, errors=(409,)))
    def post_admin_user_resume(request: Request) -> Response:
        """Let a suspended user in again."""
        principal = desk.caller(request)
        changed = resume(
            request.path_params["sub"],
            by=By.principal(principal),
            users=desk.wiring.users,
            changing=desk.wiring.people,
            now=desk.now(),
            request_id=request.request_id,
        )
        return json_response(user_view(changed.after))

    @app.route(
        "PUT /v1/admin/users/{sub}/role",
        operation=Operation("AdminUser", takes="RoleChange", access=POWER, errors=(409,)),
    )
    def put_admin_user_role(request: Request) -> Response:
        """
        Give a user a role: it counts within a minute, and in tokens he has already.

        Nobody changes his own. So an admin is always left: whoever takes the role from another has it himself.
        """
        principal = desk.caller(request)
        changed = give_role(
            request.path_params["sub"],
            parse_role(request.json()),
            by=By.principal(principal),
            users=desk.wiring.users,
            changing=desk.wiring.people,
            now=desk.now(),
            request_id=request.request_id,
        )
        return json_response(user_view(changed.after))

    @app.route(
        "POST /v1/admin/users/{sub}/erase",
        operation=Operation("Erasure", status=202, takes="ErasureRequest", access=POWER),
    )
    def post_admin_user_erase(request: Request) -> Response:
        """
        Erase a user: he is refused everywhere within a minute, and every trace of him goes. There is no way back.

        One call does a bounded part. The rest follows by itself within minutes of its time, or with the next call. It
        ends a quarter of an hour after its beginning at the earliest, and not before every provider was told.
        """
        principal = desk.caller(request)
        sub = request.path_params["sub"]
        require_confirmed(sub, request.json())
        done = erase_user(
            sub, by=By.principal(principal), ports=desk.wiring, now=desk.now(), request_id=request.request_id
        )
        return json_response(erasure_view(done), status=202)

    @app.route("GET /v1/admin/users/{sub}/traces", operation=Operation("Erasure", access=READ))
    def get_admin_user_traces(request: Request) -> Response:
        """What stands of a user, by kind: of one who is erased the proof that nothing does."""
        desk.caller(request)
        return json_response(erasure_view(erasure_state(request.path_params["sub"], ports=desk.wiring, now=desk.now())))
