"""The reference page docs/providers.md, made of what each provider says of itself and of nothing else.

It is here and not beside the other pages because the configuration knows providers by name alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from nodewise.config.hooks import NAMELESS, SECRETLESS, USED_BY, HookConfig
from webhooks.provider import About, names, provider

URL = "https://nodewise.example.org/hooks"
SECRET = "THE-SECRET-OF-THE-HOOK"  # noqa: S105 (a placeholder)
HEAD = f"""# Providers

Who may call Nodewise, and what to enter there. A hook is set up in `nodewise.yaml`, under `hooks`:

```yaml
hooks:
  shop:
    provider: github
    secrets_files: [/run/secrets/shop-hook]
```

The provider then calls `{URL}/github/shop`. A hook that has its provider's name is
called without a second one, as in `{URL}/github`. Every hook has `secrets` or
`secrets_files` with its secret (with two during a rotation), unless the provider below says otherwise. For pushed
images, `registry` is what the registry is called in the names of images, where that is not what the provider tells.
Every other option stands below, with the providers that know it; [settings.md](settings.md) has all of them.

In the lines to enter, `{SECRET}` stands for the hook's secret. One that becomes a part of an address is
best made of letters and digits alone (`openssl rand -hex 32`): everything else has to be percent-encoded there.

"""
COLUMNS = ("provider", "title", "kind", "what starts something", "proof", "against repetition", "tested with")


def providers_page() -> str:
    """Every provider in one table, and under it what to enter at each."""
    every = {name: provider(name).ABOUT for name in names()}
    table = [_row(COLUMNS), _row(["---"] * len(COLUMNS)), *(_summary(name, about) for name, about in every.items())]
    sections = [_section(name, about) for name, about in every.items()]
    return HEAD + "\n".join(table) + "\n\n" + "\n".join(sections)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _summary(name: str, about: About) -> str:
    proof = f"{about.signature}: {about.secret_in_url}" if about.secret_in_url else about.signature
    link = f"[`{name}`](#{name})"
    return _row([link, about.title, about.kind.value, about.events, proof, about.replay, about.tested])


def _section(name: str, about: About) -> str:
    parts = [f"## {name}\n\n{about.title}:\n\n```text\n{_setup(name, about)}\n```\n"]
    if about.secret_in_url:
        parts.append(f"The secret is part of the address, which a proxy may log: {about.secret_in_url}.\n")
    parts += [f"{note}\n" for note in _needs(name, about)]
    if options := [_option(key, HookConfig.model_fields[key]) for key, users in USED_BY.items() if name in users]:
        parts.append("\n".join([_row(("option", "default", "meaning")), _row(["---"] * 3), *options]) + "\n")
    return "\n".join(parts)


def _setup(name: str, about: About) -> str:
    """The lines, filled in by hand: they hold braces of their own."""
    return "\n".join(about.setup).replace("{url}", f"{URL}/{name}").replace("{secret}", SECRET)


def _needs(name: str, about: About) -> list[str]:
    """What differs from the page's beginning."""
    notes = []
    if name in SECRETLESS:
        notes.append("A hook that goes by the provider's own signature needs no secret.")
    if name in NAMELESS:
        notes.append(f"`registry` is needed: {about.title} does not tell what its host is called in image names.")
    return notes


def _option(key: str, field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    meaning = str(field.description)
    if get_origin(field.annotation) is Literal:
        meaning += f" One of {', '.join(f'`{value}`' for value in get_args(field.annotation))}."
    return _row([f"`{key}`", f"`{str(default).lower()}`" if default not in ("", [], {}) else "", meaning])
