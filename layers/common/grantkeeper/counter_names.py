"""What is counted, once each; and what a counter may be called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

# words that fit into an attribute's name, a metric's label and a line of a table
COUNTER_NAME = re.compile(r"[a-z0-9_.:/-]{1,100}\Z", re.ASCII)

# attempts to refresh that brought no tokens: in all and /<provider>; by <reason>
REFRESH_FAILURES = "refresh_failures"
REFRESH_FAILURE_REASONS = "refresh_failure_reasons/"


class Counted(NamedTuple):
    """One thing that happened, and what it adds to the counters: nothing, for what is only remembered as told."""

    id: str  # the same however often it is delivered
    time: int  # epoch seconds, the same as well; its UTC day is counted beside the total
    changes: Mapping[str, int]  # counter → what to add, which may be negative
