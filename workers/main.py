"""The ``nodewise`` command: the client's verbs from ``nodewise.cli``, and one verb per process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from nodewise.cli import app, guarded
from workers import hooks  # noqa: F401 - adds its verb

if TYPE_CHECKING:
    from nodewise.config.settings import Settings

STUCK = 60.0  # seconds
_QUEUES = "Comma-separated queues to work on; all of them when not given."


@app.command(rich_help_panel="Processes")
@guarded
def up() -> None:
    """Run web, worker, clock, watcher and, unless one is configured, a Redis, on this machine."""
    from nodewise import __version__, logs
    from nodewise.config.settings import load_settings
    from workers import up as supervisor

    settings = load_settings()
    logs.set_up(settings.log_level, settings.log_format)

    def ready() -> None:
        out = Console(stderr=True)
        out.print(f"[bold]Nodewise {__version__}[/] answers on http://{settings.listen}")
        out.print(f"data in {settings.data_dir}; stop with Ctrl-C; next: nodewise doctor")

    supervisor.up(settings, ready)


@app.command(rich_help_panel="Processes")
@guarded
def web() -> None:
    """Run the web process alone: hooks and API."""
    from workers import web as process

    process.serve(_prepared())


@app.command(rich_help_panel="Processes")
@guarded
def worker(queues: Annotated[str, typer.Option(help=_QUEUES)] = "") -> None:
    """Run one worker alone."""
    from nodewise.domain.errors import UserError
    from workers import runner

    chosen = tuple(q.strip() for q in queues.split(",") if q.strip()) or runner.ALL_QUEUES
    unknown = sorted(set(chosen) - set(runner.ALL_QUEUES))
    if unknown:
        raise UserError(f"there is no queue {unknown[0]!r}", f"there are: {', '.join(runner.ALL_QUEUES)}", "queues")
    runner.work(_prepared(), chosen)


@app.command(rich_help_panel="Processes")
@guarded
def clock() -> None:
    """Run the clock alone. Several may run: one ticks."""
    from workers import clock as process

    process.tick(_prepared())


@app.command(rich_help_panel="Processes")
@guarded
def watcher() -> None:
    """Run the watcher alone. Several may run: one watches. Without one everything is slower."""
    from workers import watcher as process

    process.serve(_prepared())


@app.command(rich_help_panel="Processes")
@guarded
def alive() -> None:
    """Exit code 0 unless jobs are due and no worker is heard of: a container's health check."""
    import time
    from contextlib import closing

    from nodewise.config.settings import load_settings
    from nodewise.store import Store
    from tasks.sweep import HEARTBEAT

    with closing(Store.open(load_settings().database_url)) as store:
        now = time.time()
        waiting, last = store.oldest_due(now), store.last_beat(HEARTBEAT)
    if waiting > STUCK and (last is None or now - last > STUCK):
        typer.echo(f"jobs have been due for {waiting:.0f} s, and no worker is heard of", err=True)
        raise typer.Exit(1)


def _prepared() -> Settings:
    """Settings, logging and an up-to-date schema, for one process."""
    from contextlib import closing

    from nodewise import logs
    from nodewise.config.settings import load_settings
    from nodewise.store import Store

    settings = load_settings()
    logs.set_up(settings.log_level, settings.log_format)
    with closing(Store.open(settings.database_url)) as store:
        store.migrate()
    return settings


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
