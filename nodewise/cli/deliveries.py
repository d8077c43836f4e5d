"""The verbs about deliveries: deliveries, replay. What they print is made in ``delivered``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nodewise.cli.app import ACTING, READING, JsonOption, LimitOption, app, connect, guarded, print_json
from nodewise.domain.delivery import Verdict

DeliveryArgument = Annotated[str, typer.Argument(metavar="DELIVERY", show_default=False)]


@app.command(rich_help_panel=READING)
@guarded
def deliveries(
    ctx: typer.Context,
    delivery: Annotated[str, typer.Argument(help="One delivery, and what it led to.")] = "",
    provider: Annotated[str, typer.Option(help="Only this provider's, such as github.")] = "",
    hook: Annotated[str, typer.Option(help="Only those of this hook, by its name in nodewise.yaml.")] = "",
    verdict: Annotated[Verdict | None, typer.Option(help="Only those that were worth this.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only those of which something has failed.")] = False,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
) -> None:
    """Webhook requests as they came in, newest first, with what came of each; and how many were turned away."""
    client = connect(ctx)
    if delivery:
        return _one(client.delivery(delivery), as_json)
    found = client.deliveries(limit, provider, hook, verdict or "", "failed" if failed else "")
    if as_json:
        return print_json(found)
    from nodewise.cli import delivered, tables

    out = tables.console()
    narrowed = provider or hook or verdict or failed
    empty = "no such delivery is on record" if narrowed else "nothing has been delivered"
    tables.show(out, delivered.listed(found["deliveries"]), empty, found["deliveries"])
    delivered.show_rejected(out, found["rejected"])
    return None


@app.command(rich_help_panel=ACTING)
@guarded
def replay(ctx: typer.Context, delivery: DeliveryArgument, as_json: JsonOption = False) -> None:
    """Handle a delivery's events once more."""
    done = connect(ctx).replay(delivery)
    if as_json:
        return print_json(done)
    from nodewise.cli.words import count

    print(f"{count(done['events'], 'event')} of {delivery} will be handled once more")
    return print(f"  nodewise deliveries {delivery}")


def _one(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return print_json(found)
    from nodewise.cli import delivered, tables

    out = tables.console()
    out.print(delivered.facts(found))
    out.print()
    tables.show(out, delivered.events(found["events"]), "it meant nothing, so nothing came of it", found["events"])
    delivered.show_failures(out, found)
    return None
