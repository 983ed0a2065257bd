"""`grantkeeper cost` itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from cli import operator
from cli.cost.bill import DAYS, Bill, Deployment, bill
from cli.cost.measured import measured
from cli.cost.prices import PRICES, PriceError, overridden
from cli.output import json_option, show, show_list
from cli.stack import Stack

WHOLE_DAYS = 7  # counted, for refreshes a month
DEFAULTS = Deployment()


@click.command()
@click.option("--connections", type=click.IntRange(0, 10**10), help="How many there are.  [default: 1000]")
@click.option("--lifetime", default=DEFAULTS.lifetime, show_default=True, type=click.IntRange(60, 86_400 * 90),
              help="Seconds that an access token lives.")  # fmt: skip
@click.option("--hot", default=DEFAULTS.hot, show_default=True, type=click.FloatRange(0, 1),
              help="Share of the connections that is used every day.")  # fmt: skip
@click.option("--reads", default=DEFAULTS.reads_per_day, show_default=True, type=click.FloatRange(0, 10**7),
              help="Token calls a day for each of those.")  # fmt: skip
@click.option("--provider", default=DEFAULTS.provider, show_default=True,
              type=click.Choice(sorted(measured().refreshes)),
              help="Does it rotate refresh tokens strictly, and how large are its answers?")  # fmt: skip
@click.option("--item-bytes", type=click.IntRange(100, 400_000), help="Size of a stored grant, where you know better.")
@click.option("--audit-days", type=click.IntRange(1, 3653), help="How long the trail is kept.  [default: 400]")
@click.option("--from-stack", is_flag=True, help="Take connections, refreshes and retention from the stack itself.")
@click.option("--price", "given", multiple=True, metavar="NAME=DOLLARS", help="Another price; repeatable.")
@click.option("--prices", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="JSON: name → dollars, as `--show-prices` has them.")  # fmt: skip
@click.option("--show-prices", is_flag=True, help="Only the prices, with their source and date.")
@json_option
@click.pass_obj
def cost(
    stack: Stack,
    *,
    connections: int | None,
    lifetime: int,
    hot: float,
    reads: float,
    provider: str,
    item_bytes: int | None,
    audit_days: int | None,
    from_stack: bool,
    given: tuple[str, ...],
    file: Path | None,
    show_prices: bool,
    as_json: bool,
) -> None:
    r"""
    What a month costs with your numbers, at list prices and without any free tier.

    What a refresh and a token call take is measured by the bench; docs/cost.md says how. No AWS account is needed, but
    for `--from-stack`.

    \b
    Examples:
      grantkeeper cost --connections 100000 --hot 0.2 --reads 48
      grantkeeper cost --from-stack --json
      grantkeeper cost --price write_unit=0.705 --price read_unit=0.141
    """
    try:
        prices = overridden(PRICES, given=given, file=file)
    except PriceError as error:
        raise click.ClickException(str(error)) from None
    if show_prices:
        rows = [
            {"name": name, "dollars": each.dollars, "per": each.per, "unit": each.unit, "source": each.source,
             "date": each.date}
            for name, each in prices.items()
        ]  # fmt: skip
        show_list(rows, as_json=as_json, empty="No prices.")
        return
    asked = Deployment(
        lifetime=lifetime, hot=hot, reads_per_day=reads, provider=provider, item_bytes=item_bytes,
        audit_days=DEFAULTS.audit_days if audit_days is None else audit_days,
    )  # fmt: skip
    if from_stack:
        asked = _as_deployed(stack, asked, keep_days=audit_days is not None)
    if connections is not None:
        asked = replace(asked, connections=connections)
    made = bill(asked, measured=measured(), prices=prices)
    if as_json:
        click.echo(json.dumps(shape(asked, made), indent=2))
    else:
        _tell(asked, made)


def _as_deployed(stack: Stack, asked: Deployment, *, keep_days: bool) -> Deployment:
    """Connections and refreshes from the counters, retention from the outputs."""
    from grantkeeper.services.count_stats import last_days

    counters = stack.wiring.counters
    live = [n for name, n in counters.totals().items() if name.startswith("connections/") and "/revoked" not in name]
    days = counters.of_days(last_days(WHOLE_DAYS + 1, now=operator.now())[:-1])  # today is not over
    refreshes = sum(day.get("refreshes", 0) for day in days.values()) / WHOLE_DAYS * DAYS
    kept = asked.audit_days if keep_days else int(stack.environment().get("AUDIT_RETENTION_DAYS", asked.audit_days))
    return replace(asked, connections=sum(live), refreshes=refreshes, audit_days=kept)


def shape(asked: Deployment, made: Bill) -> dict[str, Any]:
    """What `--json` prints: dollars to the cent's hundredth."""
    return {
        "connections": asked.connections,
        "refreshes": round(made.refreshes),
        "token_calls": round(made.reads),
        "dollars_a_month": {name: round(each, 4) for name, each in made.by_service.items()},
        "total": round(made.total, 4),
        "idle": {name: round(each, 4) for name, each in made.idle.items()},
        "idle_with_free_tier": round(made.idle_with_free_tier, 4),
        "dollars_per_million_refreshes": {name: round(each, 4) for name, each in made.per_million.items()},
        "strategies": [
            {**each, "refreshes": round(each["refreshes"]), "dollars": round(each["dollars"], 4)}
            for each in made.strategies
        ],
    }


def _tell(asked: Deployment, made: Bill) -> None:
    what = f"{made.refreshes:,.0f} refreshes and {made.reads:,.0f} token calls a month"
    click.echo(f"{asked.connections:,} connections, {what}\n")
    services = {name: in_dollars(each) for name, each in made.by_service.items()}
    show(services | {"total": in_dollars(made.total)}, as_json=False)
    click.echo(f"\nIdle: {in_dollars(sum(made.idle.values()))} at list prices, of it:")
    show({f"  {name}": in_dollars(each) for name, each in made.idle.items()}, as_json=False)
    click.echo(f"  With AWS's always-free tier to itself: {in_dollars(made.idle_with_free_tier)}")
    click.echo(f"\nA million refreshes: {in_dollars(sum(made.per_million.values()))}, of it:")
    show({f"  {name}": in_dollars(each) for name, each in made.per_million.items()}, as_json=False)
    click.echo("\nOther ways of refreshing, background alone:")
    rows = [
        {"strategy": each["strategy"], "refreshes": f"{each['refreshes']:,.0f}", "a month": in_dollars(each["dollars"])}
        for each in made.strategies
    ]
    show_list(rows, as_json=False, empty="")


def in_dollars(amount: float) -> str:
    """To the cent; less than half of one to the hundredth of it."""
    return f"${amount:,.2f}" if amount >= 0.005 or not amount else f"${amount:.4f}"
