"""What a record says of refreshing must make sense: budgets, and a keep-alive that comes in time."""

from __future__ import annotations

from grantkeeper.providers.record import RefreshRule
from grantkeeper.providers.validate_profile import refuse

MOST_PER_MINUTE, MOST_CONCURRENT = 1_000_000, 10_000


def check_refresh(rule: RefreshRule) -> None:
    """
    Refuse a rule that would stop the schedule, or keep grants alive too late.

    Raises:
        InvalidProviderRecord: With the `field`.
    """
    if not 1 <= rule.max_per_minute <= MOST_PER_MINUTE:
        refuse("refresh.max_per_minute", f"1 to {MOST_PER_MINUTE} is expected.")
    if not 1 <= rule.max_concurrent <= MOST_CONCURRENT:
        refuse("refresh.max_concurrent", f"1 to {MOST_CONCURRENT} is expected.")
    for name in ("absolute_days", "inactivity_days", "keepalive_days"):
        days = getattr(rule, name)
        if days is not None and days < 1:
            refuse(f"refresh.{name}", "A day or more is expected.")
    if rule.inactivity_days and rule.keepalive_days and rule.keepalive_days * 2 > rule.inactivity_days:
        refuse("refresh.keepalive_days", "At most half of inactivity_days is well inside it.")
