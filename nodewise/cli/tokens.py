"""token create, list, revoke: always on the store itself, because who may do this owns the machine."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from nodewise.cli.app import UPKEEP, JsonOption, app, guarded, local_deps, print_json

tokens = typer.Typer(no_args_is_help=True, help="Tokens for the API, on Nodewise's own machine.")
app.add_typer(tokens, name="token", rich_help_panel=UPKEEP)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]


@tokens.command()
@guarded
def create(
    name: NameArgument,
    scope: Annotated[list[str], typer.Option(help="read, deploy, approve or admin; may be given more than once.")],
    as_json: JsonOption = False,
) -> None:
    """Make a token. It is printed now and never again."""
    from nodewise import tokens as kept
    from nodewise.cli.local import whoami

    wanted = [part.strip() for given in scope for part in given.split(",") if part.strip()]
    token = kept.create(local_deps(), name, wanted, whoami())
    if as_json:
        return print_json({"name": name, "scopes": sorted(set(wanted)), "token": token})
    print("keep it now: it is stored as a hash and cannot be shown again", file=sys.stderr)
    return print(token)


@tokens.command("list")
@guarded
def list_tokens(as_json: JsonOption = False) -> None:
    """All tokens, without what they are."""
    found = sorted(local_deps().store.tokens(), key=lambda t: t.created_at)
    rows = [
        {
            "name": t.name,
            "scopes": sorted(t.scopes),
            "created_at": t.created_at,
            "last_used_at": t.last_used_at,
            "revoked_at": t.revoked_at,
        }
        for t in found
    ]
    if as_json:
        return print_json({"tokens": rows})
    from nodewise.cli import tables
    from nodewise.cli.words import QUIET

    made = tables.table("NAME", "SCOPES", "CREATED", "LAST USED", "REVOKED")
    for token in found:
        style = QUIET if token.revoked_at else ""
        made.add_row(
            tables.cell(token.name, style or "bold"),
            tables.cell(", ".join(sorted(token.scopes)), style),
            tables.cell(tables.stamp(token.created_at), style),
            tables.cell(tables.stamp(token.last_used_at) or "never", style),
            tables.cell(tables.stamp(token.revoked_at), style),
        )
    return tables.show(tables.console(), made, "there are no tokens", rows)


@tokens.command()
@guarded
def revoke(name: NameArgument) -> None:
    """Have a token refused from now on."""
    from nodewise import tokens as kept
    from nodewise.cli.local import whoami

    kept.revoke(local_deps(), name, whoami())
    print(f"token {name} is revoked")
