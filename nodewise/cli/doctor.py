"""doctor: what Nodewise stands on, looked at from its own machine, and what to do about what is not well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from nodewise.cli.app import FAILED, UPKEEP, JsonOption, app, guarded, print_json

if TYPE_CHECKING:
    from nodewise.answers.checks import Check


@app.command(rich_help_panel=UPKEEP)
@guarded
def doctor(as_json: JsonOption = False) -> None:
    """Check the set-up, and say for each thing that is not well what to do."""
    from nodewise.cli import tables
    from nodewise.cli.words import BAD, GOOD, QUIET, SYMBOLS

    checks = []
    out = tables.console()
    symbols = [SYMBOLS[name][out.options.ascii_only] for name in ("failed", "passed")]
    for check in _checks():
        checks.append(check)
        if as_json:
            continue
        line = tables.cell(f"{symbols[check.ok]} ", GOOD if check.ok else BAD)
        line.append_text(tables.cell(f"{check.name:<10} ", "bold"))
        line.append_text(tables.cell(check.detail))
        if check.hint:
            line.append_text(tables.cell(f"\n             {check.hint}", QUIET))
        out.print(line)
    if as_json:
        print_json({"checks": [{"name": c.name, "ok": c.ok, "detail": c.detail, "hint": c.hint} for c in checks]})
    if not all(c.ok for c in checks):
        raise typer.Exit(FAILED)


def _checks() -> Iterator[Check]:
    """One after the other, so that each is told as soon as it is known. A store that is away ends the list."""
    from nodewise.answers import checks, setup
    from nodewise.bootstrap import build_deps
    from nodewise.config.settings import load_settings
    from nodewise.domain.errors import NodewiseError

    try:
        settings = load_settings()
    except NodewiseError as error:
        yield checks.Check("settings", False, error.what, error.hint)
        return
    yield setup.check_settings(settings)
    deps = build_deps(settings)
    store = setup.check_schema(deps)
    yield store
    if store.ok:
        yield checks.check_worker(deps)
        yield checks.check_outbox(deps)
    yield _check_web(settings.listen)
    swarm = checks.check_swarm(deps)
    yield swarm
    yield from setup.check_services(deps)


def _check_web(listen: str) -> Check:
    import requests

    from nodewise.answers.checks import Check
    from nodewise.cli.access import own_url

    url = own_url(listen)
    try:
        requests.get(f"{url}/healthz", timeout=3).raise_for_status()
    except requests.RequestException:
        return Check("web", False, f"no Nodewise answers at {url}", "start it with 'nodewise up', or use --local")
    return Check("web", True, f"answers at {url}")
