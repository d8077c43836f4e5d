"""The Typer app, what is common to all verbs, and how an error is told.

Exit codes: 0 what was asked for has happened, 1 it has not, 2 it was asked for in the wrong way.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer

from nodewise.domain.errors import Conflict, Forbidden, NodewiseError, NotFound, UserError

if TYPE_CHECKING:
    from nodewise.bootstrap import Deps
    from nodewise.client import Nodewise

P = ParamSpec("P")
R = TypeVar("R")

FAILED, USAGE = 1, 2
READING, ACTING, UPKEEP = "Look", "Act", "Keep up"

ServiceArgument = Annotated[str, typer.Argument(metavar="SERVICE", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
LimitOption = Annotated[int, typer.Option(min=1, max=500, help="How many at most.")]


def _version(asked: bool) -> None:
    if asked:
        from nodewise import __version__

        print(f"nodewise {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="nodewise",
    help="Progressive delivery for Docker Swarm: ships what you push, one node at a time.",
    epilog="Asks the API at NODEWISE_URL with NODEWISE_TOKEN; on Nodewise's own machine neither has to be set.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass(frozen=True, slots=True)
class Options:
    """What stands before the verb."""

    local: bool = False


@app.callback()
def _options(
    ctx: typer.Context,
    local: Annotated[
        bool, typer.Option("--local", help="Act on the store itself: works when the web process is down.")
    ] = False,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    ctx.obj = Options(local)


def guarded(verb: Callable[P, R]) -> Callable[P, R]:
    """Tell expected errors in two lines: what is wrong, and what to do."""

    @functools.wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return verb(*args, **kwargs)
        except NodewiseError as error:
            fail(error.what, error.hint, _code(error))
        except BrokenPipeError:
            # Whoever read our output has had enough. Python must not complain once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(FAILED) from None

    return run


def fail(what: str, hint: str = "", code: int = FAILED) -> NoReturn:
    """Say so on stderr, and end."""
    from nodewise.cli.words import printable

    print(f"error: {printable(what)}", file=sys.stderr)
    if hint:
        print(f"  {printable(hint)}", file=sys.stderr)
    raise typer.Exit(code)


def connect(ctx: typer.Context) -> Nodewise:
    """Whom the verbs ask."""
    if isinstance(ctx.obj, Options) and ctx.obj.local:
        from nodewise.cli.local import LocalClient

        return LocalClient(local_deps())
    from nodewise.cli.access import api_client

    return api_client()


def local_deps() -> Deps:
    """Everything real, on this machine's settings. The schema is brought up to date first.

    What is logged goes to stderr, and little of it: stdout is the answer.
    """
    from nodewise import logs
    from nodewise.bootstrap import build_deps
    from nodewise.config.settings import load_settings

    settings = load_settings()
    logs.set_up("warning", settings.log_format)
    deps = build_deps(settings)
    deps.store.migrate()
    return deps


def print_json(value: Any) -> None:
    """For scripts: indented, and nothing else on stdout."""
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False))


def _code(error: NodewiseError) -> int:
    as_asked = isinstance(error, UserError) and not isinstance(error, (NotFound, Conflict, Forbidden))
    return USAGE if as_asked else FAILED
