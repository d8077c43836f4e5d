"""lint: files looked at before they are used. Asks neither Nodewise nor the swarm, so it works in a pipeline too."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodewise.cli.app import FAILED, UPKEEP, JsonOption, app, guarded, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from nodewise.config.finding import Finding
    from nodewise.config.lint import Report

_INDENT = (0, 0, 0, 4)


@app.command(rich_help_panel=UPKEEP)
@guarded
def lint(
    file: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="A nodewise.yaml, stack files, or both.", show_default=False)
    ],
    as_json: JsonOption = False,
) -> None:
    """Check a nodewise.yaml, and the nodewise.* labels of stack files; labels over the former's defaults."""
    from nodewise.config.lint import lint as look

    reports = look(file, os.environ)
    if as_json:
        print_json({"files": [_as_json(report) for report in reports]})
    else:
        _show(reports)
    if not all(report.ok for report in reports):
        raise typer.Exit(FAILED)


def _as_json(report: Report) -> dict[str, Any]:
    findings = [
        {
            "level": "warning" if f.warning else "error",
            "path": f.path,
            "line": f.line or None,
            "value": f.value,
            "what": f.what,
            "hint": f.hint,
        }
        for f in report.findings
    ]
    return {
        "file": report.path,
        "kind": report.kind,
        "ok": report.ok,
        "findings": findings,
        "configured": list(report.configured),
    }


def _show(reports: Sequence[Report]) -> None:
    from nodewise.cli import tables
    from nodewise.cli.words import BAD, GOOD, count

    out = tables.console()
    for report in reports:
        kind = f" ({report.kind})" if report.kind else ""
        out.print(tables.cell(f"{report.path}{kind}", "bold"), soft_wrap=True)
        for found in report.findings:
            _show_finding(out, found)
        for line in report.configured if report.ok else ():
            out.print(tables.cell(f"  {line}"), soft_wrap=True)
        out.print()
    warnings = [f.warning for report in reports for f in report.findings]
    summary = f"{count(warnings.count(False), 'error')}, {count(warnings.count(True), 'warning')}"
    out.print(tables.cell(summary, GOOD if all(warnings) else BAD))


def _show_finding(out: Console, found: Finding) -> None:
    """Where and what value; then what is wrong with it, and the way out, each below the other."""
    from rich.padding import Padding

    from nodewise.cli.tables import cell
    from nodewise.cli.words import BAD, QUIET, WARN

    where = f"line {found.line}, " if found.line else ""
    value = f" = '{found.value}'" if found.value else ""
    head = cell("  warning: " if found.warning else "  error: ", WARN if found.warning else BAD)
    if found.path:
        head.append_text(cell(f"{where}{found.path}{value}", "bold"))
        out.print(head, soft_wrap=True)
        out.print(Padding(cell(found.what), _INDENT, expand=False))
    else:
        head.append_text(cell(found.what))
        out.print(head, soft_wrap=True)
    if found.hint:
        out.print(Padding(cell(found.hint, QUIET), _INDENT, expand=False))
