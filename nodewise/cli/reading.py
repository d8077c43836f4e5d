"""The verbs that look: status, history, rollouts, plan, releases, nodes. See ``builds``, ``deliveries`` for those."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nodewise.cli.app import READING, JsonOption, LimitOption, ServiceArgument, app, connect, guarded, print_json


@app.command(rich_help_panel=READING)
@guarded
def status(
    ctx: typer.Context,
    service: Annotated[str, typer.Argument(help="One service with its tasks; all services without it.")] = "",
    as_json: JsonOption = False,
) -> None:
    """What runs, what it follows, and how the last rollout went."""
    client = connect(ctx)
    if service:
        one = client.service(service)
        return print_json(one) if as_json else _show_service(one)
    found = client.services()
    if as_json:
        return print_json({"services": found})
    from nodewise.cli import tables

    out = tables.console()
    tables.show(out, tables.status_table(found), "the swarm has no services", found)
    _show_problems(out, found)
    _show_lines(out, "locked, until 'nodewise unlock SERVICE':", tables.lock_lines(found))
    return None


@app.command(rich_help_panel=READING)
@guarded
def history(ctx: typer.Context, service: ServiceArgument, limit: LimitOption = 20, as_json: JsonOption = False) -> None:
    """The rollouts of one service, newest first."""
    _rollouts(connect(ctx).rollouts(service, limit), as_json, f"no rollout of {service} is on record")


@app.command(rich_help_panel=READING)
@guarded
def rollouts(ctx: typer.Context, limit: LimitOption = 20, as_json: JsonOption = False) -> None:
    """The rollouts of all services, newest first."""
    _rollouts(connect(ctx).rollouts(None, limit), as_json, "no rollout is on record")


@app.command(rich_help_panel=READING)
@guarded
def plan(
    ctx: typer.Context,
    service: ServiceArgument,
    image: Annotated[str, typer.Argument(help="Without it: what the service's own tag is in the registry now.")] = "",
    as_json: JsonOption = False,
) -> None:
    """What a deploy would do now, without doing it. What it would be refused for is an error here too."""
    found = connect(ctx).plan(service, image)
    if as_json:
        return print_json(found)
    from nodewise.cli import planned, tables

    out = tables.console()
    return out.print(planned.picture(found, out.options.ascii_only))


@app.command(rich_help_panel=READING)
@guarded
def releases(
    ctx: typer.Context, service: ServiceArgument, limit: LimitOption = 20, as_json: JsonOption = False
) -> None:
    """What a service has run: where 'nodewise rollback --to' can go."""
    found = connect(ctx).releases(service, limit)
    if as_json:
        return print_json({"releases": found})
    from nodewise.cli import tables

    return tables.show(tables.console(), tables.release_table(found), f"no release of {service} is on record", found)


@app.command(rich_help_panel=READING)
@guarded
def nodes(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """The nodes of the swarm."""
    found = connect(ctx).nodes()
    if as_json:
        return print_json({"nodes": found})
    from nodewise.cli import tables

    return tables.show(tables.console(), tables.node_table(found), "the swarm has no nodes", found)


def _rollouts(found: list[dict[str, Any]], as_json: bool, empty: str) -> None:
    if as_json:
        return print_json({"rollouts": found})
    from nodewise.cli import tables

    return tables.show(tables.console(), tables.rollout_table(found), empty, found)


def _show_service(service: dict[str, Any]) -> None:
    from nodewise.cli import tables

    out = tables.console()
    out.print(tables.status_table([service]))
    _show_problems(out, [service])
    _show_lines(out, "not rolled out to it:", tables.lock_lines([service], digests=True))
    _show_lines(out, "candidates:", tables.candidate_lines(service["candidates"]))
    out.print()
    tables.show(out, tables.task_table(service["nodes"]), "no task", service["nodes"])


def _show_problems(out: Any, services: list[dict[str, Any]]) -> None:
    from nodewise.cli import tables

    title = "left alone by events until these labels are mended:"
    _show_lines(out, title, tables.problem_lines(services))


def _show_lines(out: Any, title: str, lines: list[Any]) -> None:
    """A title and its lines, or nothing."""
    if lines:
        out.print()
        out.print(title, markup=False)
    for line in lines:
        out.print(line)
