"""Administration: users, connections and what a deployment is made of. It opens no grant and shows no secret."""

from __future__ import annotations

import os
import time

from aws_lambda_powertools import Logger

from grantkeeper import wiring
from grantkeeper.edge.admin import api_keys, audit, cleanup, clients, connections, health, providers, users
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
for module in (users, connections, audit, clients, api_keys, providers, health, cleanup):
    module.add_routes(app, desk)

handler = app
