"""The verbs that ask for something: deploy, rollback. See ``control`` for those about a rollout on its way.

deploy and rollback wait for the end, as ``docker service update`` does, because only then is it known whether
what was asked for has happened. ``--no-wait`` returns once Nodewise has taken the request in.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nodewise.cli.app import ACTING, JsonOption, ServiceArgument, app, connect, guarded, print_json

WaitOption = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Wait for the end: exit code 0 only if it succeeded.")
]


@app.command(rich_help_panel=ACTING)
@guarded
def deploy(
    ctx: typer.Context,
    service: ServiceArgument,
    image: Annotated[str, typer.Argument(help="Without it: what the service's own tag is in the registry now.")] = "",
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Move a service to an image, node by node."""
    client = connect(ctx)
    _accepted(client, client.deploy(service, image), wait, as_json)


@app.command(rich_help_panel=ACTING)
@guarded
def rollback(
    ctx: typer.Context,
    service: ServiceArgument,
    to: Annotated[int | None, typer.Option(min=1, help="Release number; see 'nodewise releases'.")] = None,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Take a service back, to the good release before the present one or to any other."""
    client = connect(ctx)
    _accepted(client, client.rollback(service, to), wait, as_json)


def _accepted(client: Any, rollout: dict[str, Any], wait: bool, as_json: bool) -> None:
    if not wait:
        if as_json:
            return print_json(rollout)
        print(f"rollout {rollout['id']} of {rollout['service']} is accepted")
        return print(f"  nodewise watch {rollout['id']}")
    from nodewise.cli.watching import see_through

    return see_through(client, rollout["id"], as_json)
