"""What a counter may be called: words that fit into an attribute's name, a metric's label and a line of a table."""

from __future__ import annotations

import re

COUNTER_NAME = re.compile(r"[a-z0-9_.:/-]{1,100}\Z", re.ASCII)
