"""hook add: everything to enter for a new hook, at both ends. Here, because it is the command line and knows the
providers; below this package these two must not know each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from shlex import quote
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodewise.cli.app import JsonOption, guarded, print_json
from nodewise.cli.hooks import hooks

if TYPE_CHECKING:
    from nodewise.config.settings import Settings
    from webhooks.recipe import Recipe

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@hooks.command()
@guarded
def add(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER", help="Who calls, such as github or docker-hub.")],
    name: Annotated[str, typer.Option(help="The hook's name; the provider's own without it.")] = "",
    url: Annotated[str, typer.Option(help="Where Nodewise is reached from there, such as https://HOST.")] = "",
    plain: Annotated[bool, typer.Option("--plain", help="A secret without whsec_, where it would have one.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a secret, and print what to enter in nodewise.yaml and at the provider. Changes nothing."""
    from nodewise.config.settings import load_settings
    from webhooks import recipe

    settings = load_settings()
    name = name or provider
    _check(settings, provider, name)
    file = settings.data_dir.absolute() / "secrets" / name
    made = recipe.make(name, provider, _base(settings, url), str(file), plain)
    if as_json:
        return print_json(_as_json(made))
    from nodewise.cli import tables

    out = tables.console()
    for line in _told(made, str(settings.config or "nodewise.yaml"), given=bool(url or settings.public_url)):
        shown = line.replace("→", "->") if out.options.ascii_only else line
        out.print(tables.cell(shown, "bold" if line[:1].isdigit() else ""), soft_wrap=True)
    return None


def _check(settings: Settings, provider: str, name: str) -> None:
    from nodewise.config.hooks import PROVIDERS
    from nodewise.config.shapes import nearest
    from nodewise.domain.errors import Conflict, UserError

    if provider not in PROVIDERS:
        near = nearest(provider, PROVIDERS)
        raise UserError(f"there is no provider {provider!r}{near}", f"there are: {', '.join(PROVIDERS)}", "provider")
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r} is no name for a hook", "allowed: letters, digits, _ . -, at most 64", "name")
    if name in settings.hooks:
        hint = "take another --name; to change its secret, put the new one beside the old one: two may be in force"
        raise Conflict(f"there is a hook {name!r} in {settings.config} already", hint, "name")


def _base(settings: Settings, url: str) -> str:
    """Where the provider finds Nodewise: as told, as set, or else on its own machine."""
    from nodewise.cli.access import own_url
    from nodewise.config.gate_labels import server_url
    from nodewise.domain.errors import UserError

    try:
        return server_url(url) if url else settings.public_url.rstrip("/") or own_url(settings.listen)
    except (ValueError, UserError):
        raise UserError(
            "what --url gives is no address", "allowed is http(s)://HOST[:PORT][/PREFIX], without a login", "url"
        ) from None


def _as_json(made: Recipe) -> dict[str, Any]:
    return {
        "name": made.name,
        "provider": made.provider,
        "url": made.url,
        "secret": made.secret,
        "secret_in_url": made.about.secret_in_url,
        "config": made.config,
        "options": [{"name": o.name, "needed": bool(o.value), "meaning": o.meaning} for o in made.options],
        "setup": list(made.setup),
    }


def _told(made: Recipe, config: str, given: bool) -> Iterator[str]:
    """Three steps. What is to be copied is indented, and never wrapped."""
    yield from _keep(made)
    yield f"2. Put this into {config}, under 'hooks:'"
    if any(o.value == o.name.upper() for o in made.options):
        yield "   What stands in capitals is yours to fill in."
    yield from _copied(made.lines())
    yield f"3. Enter this at {made.about.title}"
    yield from wrap(
        f"What then starts something: {made.about.events}.", 80, initial_indent="   ", subsequent_indent="   "
    )
    yield from _copied(made.setup)
    yield from _notes(made, given)
    yield "Then start Nodewise anew. 'nodewise doctor' says whether the hook can be reached,"
    yield "'nodewise deliveries' what comes in."


def _copied(lines: Iterable[str]) -> Iterator[str]:
    yield ""
    yield from (f"     {line}".rstrip() for line in lines)
    yield ""


def _keep(made: Recipe) -> Iterator[str]:
    """The secret goes from the screen into a file, past the shell's history."""
    if not made.secret:
        yield f"1. No secret is needed: {made.about.title} signs with keys that it publishes"
        yield ""
        return
    folder, file = quote(made.file.rpartition("/")[0]), quote(made.file)
    yield "1. Keep the secret where Nodewise alone reads it"
    yield "   Run this, paste the secret, press Enter and Ctrl-D:"
    yield from _copied([f"(umask 077; mkdir -p {folder}; cat > {file})", "", made.secret])
    yield "   It is shown now and never again. In a stack it is a Docker secret instead:"
    yield from _copied([f"docker secret create {made.name} -"])
    yield "   with its name under 'secrets:' in the stack file, and in nodewise.yaml"
    yield f"   secrets_files: [/run/secrets/{made.name}]"
    yield ""


def _notes(made: Recipe, given: bool) -> Iterator[str]:
    if made.about.secret_in_url:
        yield from wrap(f"The secret stands in the address: {made.about.secret_in_url}.", 80)
        yield "Use https, and keep the address as you would keep the secret: proxies log addresses."
        yield ""
    if not given:
        reached = f"give --url https://HOST for the one by which {made.about.title} gets here"
        yield from wrap(f"The address is this machine's own: {reached}.", 80)
        yield ""
    elif made.url.startswith("http://"):
        yield "The address is without https: whoever is on the way can read what is sent."
        yield ""
