"""A user's own account: his profile, identities, sessions, consents, keys, and the trail of what happened."""

from __future__ import annotations

import os
import time

from aws_lambda_powertools import Logger

from grantkeeper import wiring
from grantkeeper.edge.account import api_keys, consents, identities, profile, sessions, trail
from grantkeeper.edge.browser_routes import BrowserRoutes
from grantkeeper.edge.bugs import report_bugs
from grantkeeper.edge.desk import Desk
from grantkeeper.edge.http import App

logger = Logger()
app = App(on_error=report_bugs(logger))
app_wiring = wiring.from_environment(os.environ)
app_wiring.warm_up("api_keys", "clients", "sessions", "users", "key_set", "audit", "rate_limits")


def _now() -> int:
    return int(time.time())


desk = Desk(app, lambda: app_wiring, lambda: _now())  # noqa: PLW0108 - a test brings another clock
browser_route = BrowserRoutes(app, lambda: app_wiring.clients)
for module in (trail, profile, sessions, api_keys, identities, consents):
    module.add_routes(browser_route, desk)

handler = app
