"""The verb about builds. What it prints is made in ``built``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from nodewise.cli.app import FAILED, READING, JsonOption, LimitOption, app, connect, guarded, print_json
from nodewise.cli.words import printable
from nodewise.streaming import repeatedly

_LOOKED_AT = 20  # of the newest builds: more do not run at the same time


@app.command(rich_help_panel=READING)
@guarded
def builds(
    ctx: typer.Context,
    build: Annotated[str, typer.Argument(help="One build.")] = "",
    log: Annotated[bool, typer.Option("--log", help="What the build has printed so far.")] = False,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="What the build prints, until its end. Without BUILD: the newest, or the next one to begin."
            " Exit code 0 only if its image was pushed.",
        ),
    ] = False,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
) -> None:
    """Images made from commits, newest first."""
    client = connect(ctx)
    if follow:
        return _follow(client, build, as_json)
    if log:
        if not build:
            raise typer.BadParameter("name the build whose log is wanted: nodewise builds BUILD --log")
        return _write(client.build_log(build, 0)[0])
    found = [client.build(build)] if build else client.builds(limit)
    if as_json:
        return print_json(found[0] if build else {"builds": found})
    from nodewise.cli import built, tables

    out = tables.console()
    if build:
        return out.print(built.facts(found[0]))
    return tables.show(out, built.build_table(found), "nothing has been built", found)


def _follow(client: Any, build_id: str, as_json: bool) -> None:
    """Show a build to its end. Ends with exit code 1 unless its image was pushed."""
    try:
        build_id = build_id or _begun(client)
        news = client.follow_build(build_id)
        last = _lines(news) if as_json else _shown(news)
    except KeyboardInterrupt:
        if build_id:
            print(f"\nthe build goes on; nodewise builds {build_id} --follow", file=sys.stderr)
        raise typer.Exit(130) from None
    if last["state"] != "pushed":
        raise typer.Exit(FAILED)


def _begun(client: Any) -> str:
    """The newest build that is on its way; where there is none, the next one to begin."""
    before = client.builds(_LOOKED_AT)
    going = [b for b in before if not b["ended"]]
    if not going:
        print("no build is on its way; waiting for the next one (Ctrl-C ends)", file=sys.stderr, flush=True)
    known = {b["id"] for b in before}
    answers = repeatedly(lambda: client.builds(_LOOKED_AT))
    while not going:
        new = [b for b in next(answers) or () if b["id"] not in known]
        going = [b for b in new if not b["ended"]] or new
    return str(going[0]["id"])


def _lines(news: Iterable[Any]) -> Any:
    """Each event as a line of JSON. Returns the last state."""
    last: Any = None
    for event in filter(None, news):
        print(json.dumps(event, ensure_ascii=False), flush=True)
        last = event.get("build", last)
    return last


def _shown(news: Iterable[Any]) -> Any:
    """The log on stdout, and nothing else there; how far the build is on stderr. Returns the last state."""
    from nodewise.cli.built import ending

    last: Any = None
    whole = True
    for event in filter(None, news):
        if event["event"] == "log":
            _write(event["text"])
            whole = event["text"].endswith("\n")
            continue
        state = event["build"]
        if last is None or state["state"] != last["state"]:
            print(f"{'' if whole else chr(10)}{printable(ending(state))}", file=sys.stderr, flush=True)
        last, whole = state, True
    return last


def _write(text: str) -> None:
    """What a build printed, as it came, without what a terminal would act upon."""
    sys.stdout.write(printable(text))
    sys.stdout.flush()
