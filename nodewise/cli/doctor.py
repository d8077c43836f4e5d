"""doctor: what Nodewise stands on, looked at from its own machine, and what to do about what is not well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from nodewise.cli.app import FAILED, UPKEEP, JsonOption, app, guarded, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from nodewise.answers.checks import Check


@app.command(rich_help_panel=UPKEEP)
@guarded
def doctor(as_json: JsonOption = False) -> None:
    """Check the set-up, and say for each thing that is not well what to do. Exit code 0 unless something is not."""
    from nodewise.cli import tables

    found = []
    out = tables.console()
    for check in _checks():
        found.append(check)
        if not as_json:
            _show(out, check)
    if as_json:
        print_json({"checks": [{"name": c.name, "ok": c.ok, "detail": c.detail, "hint": c.hint} for c in found]})
    else:
        _sum_up(out, found)
    if not all(c.ok for c in found):
        raise typer.Exit(FAILED)


def _show(out: Console, check: Check) -> None:
    """One line, and below it what to do. What is well and has a hint could be better."""
    from rich.table import Table

    from nodewise.cli.tables import cell
    from nodewise.cli.words import BAD, GOOD, QUIET, SYMBOLS, WARN

    symbol, style = SYMBOLS["failed" if not check.ok else "passed"][out.options.ascii_only], GOOD
    if not check.ok:
        style = BAD
    elif check.hint:
        symbol, style = "!", WARN
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_column(width=1)
    line.add_column(width=9, no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row(cell(symbol, style), cell(check.name, "bold"), cell(check.detail))
    if check.hint:
        line.add_row("", "", cell(check.hint, QUIET))
    out.print(line)


def _sum_up(out: Console, found: list[Check]) -> None:
    from nodewise.cli.tables import cell
    from nodewise.cli.words import BAD, GOOD, WARN, count

    bad, doubtful = sum(not c.ok for c in found), sum(c.ok and bool(c.hint) for c in found)
    better = f"{count(doubtful, 'thing')} could be better" if doubtful else ""
    worse = f"{bad} of {count(len(found), 'check')} failed" if bad else ""
    style = BAD if bad else WARN if doubtful else GOOD
    out.print()
    out.print(cell(", ".join(filter(None, (worse, better))) or "all is well", style))


def _checks() -> Iterator[Check]:
    """Settings that cannot be read end the list: everything else hangs on them."""
    from pathlib import Path

    from nodewise import logs, tokens
    from nodewise.answers.checks import Check
    from nodewise.answers.examination import examine
    from nodewise.bootstrap import build_deps, build_managers
    from nodewise.cli.access import own_url
    from nodewise.config.settings import load_settings
    from nodewise.domain.errors import NodewiseError

    try:
        settings = load_settings()
    except NodewiseError as error:
        yield Check("settings", False, error.what, error.hint)
        return
    logs.set_up("warning", settings.log_format)
    own_token = tokens.ADMIN_NAME, Path(settings.data_dir) / tokens.ADMIN_FILE
    yield from examine(build_deps(settings), own_url(settings.listen), build_managers(settings), own_token)
