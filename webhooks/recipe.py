"""What a new hook takes, at both ends: a secret, lines for nodewise.yaml, and what to enter at the provider. Pure
but for the secret, which is made here and nowhere kept.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from nodewise.config.hooks import NEEDS, SECRETLESS, USED_BY, HookConfig, hook_path
from webhooks.provider import About, Kind, provider

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Option:
    """A key of the hook beside provider and secrets. ``value``: what stands there, to be replaced in capitals;
    empty for one that may be left out.
    """

    name: str
    meaning: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything to do for one new hook. ``secret`` and ``file`` are empty for a provider that needs none."""

    name: str
    provider: str
    about: About
    url: str
    secret: str
    file: str
    options: tuple[Option, ...]

    @property
    def setup(self) -> tuple[str, ...]:
        """What to enter at the provider, line by line."""
        return tuple(s.replace("{url}", self.url).replace("{secret}", self.secret) for s in self.about.setup)

    @property
    def config(self) -> dict[str, Any]:
        """The hook as it stands in nodewise.yaml."""
        files = {"secrets_files": [self.file]} if self.file else {}
        return {"provider": self.provider, **files, **{o.name: o.value for o in self.options if o.value}}

    def lines(self) -> Iterator[str]:
        """The same as YAML to be pasted, every option with its meaning; those that may be left out as comments."""
        yield f"{_scalar(self.name)}:"
        yield f"  provider: {self.provider}"
        if self.file:
            yield f"  secrets_files: [{_scalar(self.file)}]"
        for option in self.options:
            yield f"  # {option.meaning}" if option.value else f"  # If needed: {option.meaning}"
            yield f"  {option.name}: {_scalar(option.value)}" if option.value else f"  # {option.name}:"


def make(name: str, provider_name: str, base: str, file: str, plain: bool = False) -> Recipe:
    """A recipe for the hook *name* of a provider that exists.

    *base*: where Nodewise is reached from there. *file*: where the secret will be. *plain*: a secret without
    ``whsec_``, for a provider that could use either.
    """
    about = provider(provider_name).ABOUT
    url = f"{base.rstrip('/')}{hook_path(provider_name, name)}"
    needs_one = provider_name not in SECRETLESS or any("{secret}" in line for line in about.setup)
    secret = fresh_secret(about.whsec and not plain) if needs_one else ""
    options = tuple(_options(provider_name, about.kind, url))
    return Recipe(name, provider_name, about, url, secret, file if needs_one else "", options)


def fresh_secret(whsec: bool) -> str:
    """32 random bytes, as words of an address or as Standard Webhooks writes them."""
    if whsec:
        return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"
    return secrets.token_urlsafe(SECRET_BYTES)


def _scalar(text: str) -> str:
    """*text* as YAML reads it back: in quotes where it would be something else without."""
    try:
        return text if yaml.safe_load(f"[{text}]") == [text] else json.dumps(text)
    except yaml.YAMLError:
        return json.dumps(text)


def _options(name: str, kind: Kind, url: str) -> Iterator[Option]:
    """Those without which it does not work come first."""
    meant = [option for option, providers in USED_BY.items() if name in providers]
    if kind in (Kind.REGISTRY, Kind.BOTH):
        meant.insert(0, "registry")
    for option in sorted(meant, key=lambda o: name not in NEEDS.get(o, ())):
        needed = name in NEEDS.get(option, ())
        value = url if option == "audience" else option.upper()
        meaning = re.sub(r" \([^()]*\)(?=\.$)", "", HookConfig.model_fields[option].description or "")
        yield Option(option, meaning, value if needed else "")
