"""hook list: the hooks of this machine's nodewise.yaml, and what came in by each.

``hook add`` has to know the providers, as this package must not: it is added by ``workers.hooks``.
"""

from __future__ import annotations

import typer

from nodewise.cli.app import UPKEEP, JsonOption, app, guarded, local_deps, print_json

hooks = typer.Typer(no_args_is_help=True, help="Hooks: who may call, on Nodewise's own machine.")
app.add_typer(hooks, name="hook", rich_help_panel=UPKEEP)


@hooks.command("list")
@guarded
def list_hooks(as_json: JsonOption = False) -> None:
    """The hooks of nodewise.yaml, without their secrets: what came in by each, and what was turned away."""
    import time

    from nodewise.answers.hooks import hooks as configured
    from nodewise.cli import tables
    from nodewise.cli.words import QUIET, WARN, ago

    deps = local_deps()
    found = [hook.model_dump(mode="json") for hook in configured(deps)]
    if as_json:
        return print_json({"hooks": found})
    made = tables.table("HOOK", "PROVIDER", "SECRETS", "LAST DELIVERY", "REJECTED", "ADDRESS")
    now = time.time()
    for hook in found:
        made.add_row(
            tables.cell(hook["name"], "bold"),
            tables.cell(hook["provider"]),
            tables.cell(hook["secrets"]),
            tables.cell(ago(hook["last_delivery"], now) or "never", "" if hook["last_delivery"] else QUIET),
            tables.cell(hook["rejected"], WARN if hook["rejected"] else QUIET),
            tables.cell(hook["path"]),
        )
    return tables.show(tables.console(), made, "no hook is configured: 'nodewise hook add PROVIDER' begins one", found)
