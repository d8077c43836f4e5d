"""The verbs about a rollout on its way, and the lock of a service: pause, resume, approve, abort, lock, unlock.

All but abort have happened once Nodewise has taken them in. abort waits for the end, as deploy does.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nodewise.cli.acting import WaitOption
from nodewise.cli.app import ACTING, JsonOption, ServiceArgument, app, connect, guarded, print_json

RolloutArgument = Annotated[str, typer.Argument(metavar="ROLLOUT", show_default=False)]


@app.command(rich_help_panel=ACTING)
@guarded
def pause(ctx: typer.Context, rollout: RolloutArgument, as_json: JsonOption = False) -> None:
    """Begin nothing new until it is resumed; for rollouts that are staged, prepared or wait for their turn."""
    _told(connect(ctx).pause(rollout), as_json)


@app.command(rich_help_panel=ACTING)
@guarded
def resume(ctx: typer.Context, rollout: RolloutArgument, as_json: JsonOption = False) -> None:
    """Go on; gates that had failed are asked anew."""
    _told(connect(ctx).resume(rollout), as_json, "goes on")


@app.command(rich_help_panel=ACTING)
@guarded
def approve(
    ctx: typer.Context,
    rollout: RolloutArgument,
    digest: Annotated[str, typer.Option(help="Only if that is what the rollout brings: sha256:...")] = "",
    as_json: JsonOption = False,
) -> None:
    """Say yes to what the rollout waits for."""
    done = connect(ctx).approve(rollout, digest)
    said = done["approvals"][-1]
    _told(done, as_json, f"{said['what']} is approved for {said['digest']}")


@app.command(rich_help_panel=ACTING)
@guarded
def abort(ctx: typer.Context, rollout: RolloutArgument, wait: WaitOption = True, as_json: JsonOption = False) -> None:
    """End it, and take back what it has moved. Exit code 0 only if it ended so."""
    client = connect(ctx)
    done = client.abort(rollout)
    if not wait:
        return _told(done, as_json)
    from nodewise.cli.watching import see_through

    return see_through(client, rollout, as_json, wanted="aborted")


@app.command(rich_help_panel=ACTING)
@guarded
def lock(
    ctx: typer.Context,
    service: ServiceArgument,
    reason: Annotated[str, typer.Option(help="What the next person has to know.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Roll nothing out to a service until it is unlocked. Rollbacks are let through."""
    made = connect(ctx).lock(service, reason)
    if as_json:
        return print_json(made)
    from nodewise.cli.words import printable

    print(printable(f"{service} is locked by {made['who']}: {made['reason']}"))
    return print(f"  nodewise unlock {service}")


@app.command(rich_help_panel=ACTING)
@guarded
def unlock(ctx: typer.Context, service: ServiceArgument, as_json: JsonOption = False) -> None:
    """Take a service's locks away, those of digests that were taken back too."""
    done = connect(ctx).unlock(service)
    if as_json:
        return print_json(done)
    from nodewise.cli.words import count

    return print(f"{service} is unlocked: {count(done['locks'], 'lock')} taken away")


def _told(rollout: dict[str, Any], as_json: bool, done: str = "") -> None:
    """What has happened, what it waits for now, and where to look."""
    if as_json:
        return print_json(rollout)
    from nodewise.cli import asks
    from nodewise.cli.words import phase_word, printable

    said = [s for s in (done, asks.held(rollout), asks.question(rollout), asks.abort(rollout)) if s]
    for line in said or [f"it is {phase_word(rollout['phase'])}"]:
        print(printable(f"{rollout['id']} of {rollout['service']}: {line}"))
    return print(f"  nodewise watch {rollout['id']}")
