"""What is wrong in a nodewise.yaml: each error of its schema, labels among the defaults, secrets that are not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nodewise.config.file import FileConfig, meaning_at, told
from nodewise.config.finding import Finding, finding
from nodewise.config.hooks import hook_path
from nodewise.config.labels import PREFIX, read_labels
from nodewise.domain.urls import without_login

SECRET = ("secrets", "password", "args")  # parts of a path below which no value is told


def lint(data: Any) -> tuple[list[Finding], list[str]]:
    """What is wrong, and, where nothing is, what is configured."""
    if data is not None and not isinstance(data, dict):
        return [Finding("", "it is no mapping", hint=f"there may be: {', '.join(FileConfig.model_fields)}")], []
    try:
        config = FileConfig.model_validate(data or {})
    except ValidationError as error:
        wrong = [_of(e) for e in error.errors(include_url=False)]
        return [*wrong, *_labels(defaults(data))], []
    return [*_labels(config.defaults), *_names(config), *_files(config)], list(_configured(config))


def defaults(data: Any) -> Mapping[str, str]:
    """The defaults for labels, as far as they can be read."""
    found = data.get("defaults") if isinstance(data, dict) else None
    pairs = found.items() if isinstance(found, dict) else ()
    return {k: v for k, v in pairs if isinstance(k, str) and isinstance(v, str)}


def _of(error: Any) -> Finding:
    at, given = error["loc"], error["input"]
    known = error["type"] != "extra_forbidden"
    tellable = known and isinstance(given, (str, int, float, bool)) and not set(SECRET) & set(at)
    return finding(at, told(error), without_login(str(given)) if tellable else "", meaning_at(at) if known else "")


def _labels(found: Mapping[str, str]) -> Iterator[Finding]:
    for problem in read_labels({}, found).problems:
        name = problem.label.removeprefix(PREFIX)
        near = f"did you mean {problem.nearest.removeprefix(PREFIX)!r}?" if problem.nearest else ""
        yield finding(("defaults", name), f"allowed is {problem.allowed}", problem.value, near)


def _names(config: FileConfig) -> Iterator[Finding]:
    """Names that can be written and never be met."""
    for host in config.registries:
        if "/" in host:
            hint = "write the host as it stands in image names, as in registry.example.org:5000"
            yield finding(("registries", host), "is no host, so the login is never used", hint=hint)


def _files(config: FileConfig) -> Iterator[Finding]:
    """Whether secrets are there: they may be on another machine, so this is a warning."""
    files: list[tuple[tuple[str, ...], Path]] = []
    for name, hook in config.hooks.items():
        files += [(("hooks", name, "secrets_files"), path) for path in hook.secrets_files]
    for host, login in config.registries.items():
        files += [(("registries", host, "password_file"), login.password_file)] if login.password_file else []
    for at, path in files:
        if not path.exists():
            hint = "make it, unless it is to be there on Nodewise's own machine alone"
            yield finding(at, "is not here", str(path), hint, warning=True)


def _configured(config: FileConfig) -> Iterator[str]:
    for name, hook in config.hooks.items():
        count = len(hook.secrets) + len(hook.secrets_files)
        secrets = f"{count} secret{'' if count == 1 else 's'}"
        yield f"hook {name}: {hook.provider}, at {hook_path(hook.provider, name)}, {secrets}"
    for name, build in config.builds.items():
        yield f"build {name}: {without_login(build.git)} ({', '.join(build.refs)}) becomes {build.image}"
    for host, login in config.registries.items():
        yield f"registry {host}: login of {login.username}"
    for label, value in config.defaults.items():
        yield f"default {label}: {value}"
    if not (config.hooks or config.builds or config.registries or config.defaults):
        yield "nothing is configured"
