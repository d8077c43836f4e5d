"""watch: one rollout from now to its end, live on a terminal, line by line everywhere else."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from nodewise.cli.app import FAILED, READING, JsonOption, app, connect, guarded, print_json


@app.command(rich_help_panel=READING)
@guarded
def watch(
    ctx: typer.Context,
    rollout: Annotated[str, typer.Argument(metavar="ROLLOUT", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """One line per node, live, until the rollout has ended. Exit code 0 only if it succeeded."""
    see_through(connect(ctx), rollout, as_json)


def see_through(client: Any, rollout_id: str, as_json: bool = False, wanted: str = "succeeded") -> None:
    """Follow a rollout to its end and show it. Ends with exit code 1 unless that is the *wanted* one."""
    try:
        last = _follow(client, rollout_id, as_json)
    except KeyboardInterrupt:
        print(f"\nthe rollout goes on; nodewise watch {rollout_id}", file=sys.stderr)
        raise typer.Exit(130) from None
    if as_json:
        print_json(client.rollout(rollout_id))
    if last["phase"] != wanted:
        raise typer.Exit(FAILED)


def _follow(client: Any, rollout_id: str, as_json: bool) -> dict[str, Any]:
    states = client.follow(rollout_id)
    if as_json:
        last: dict[str, Any] = {}
        for state in states:
            last = state or last
        return last
    from nodewise.cli import lines, live
    from nodewise.cli.tables import console

    out = console()
    return live.show(out, states) if out.is_terminal else lines.show(out, states)
