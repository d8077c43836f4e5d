"""The files with secrets, and what they hold, as far as that can be told: whether they can be read, by whom, and
whether two hooks share one. What a secret is stands in no check.
"""

from __future__ import annotations

import stat
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from nodewise.answers.checks import Check
from nodewise.config.secrets import read_secret
from nodewise.config.settings import Settings
from nodewise.domain.errors import UserError

DOCKERS = Path("/run/secrets")  # readable by all in its container, which is Docker's way, and no fault


def check_secrets(settings: Settings) -> Iterator[Check]:
    """What is wrong with them; one line that nothing is."""
    wrong = [*_unreadable(settings), *_open_to_all(settings), *_shared(settings)]
    yield from wrong
    count = len(list(_files(settings)))
    if not wrong and count:
        files = "file" if count == 1 else "files"
        yield Check("secrets", True, f"{count} {files} with secrets can be read, and not by everybody")


def _files(settings: Settings) -> Iterator[tuple[str, str, Path]]:
    """(whose, which setting, the file)."""
    for name, hook in settings.hooks.items():
        yield from ((f"hook {name}", "secrets_files", path) for path in hook.secrets_files)
    for host, login in settings.file.registries.items():
        if login.password_file:
            yield f"registry {host}", "password_file", login.password_file


def _unreadable(settings: Settings) -> Iterator[Check]:
    for whose, setting, path in _files(settings):
        try:
            read_secret(path, setting)
        except UserError as error:
            hint = "make the file, or let the user that runs Nodewise read it; 'nodewise hook add' shows how"
            yield Check("secrets", False, f"{whose}: {error.what}", hint)


def _open_to_all(settings: Settings) -> Iterator[Check]:
    paths = {path for _, _, path in _files(settings)}
    kept = [*(h.secrets for h in settings.hooks.values()), *(r.password for r in settings.file.registries.values())]
    if settings.config and any(kept):
        paths.add(settings.config)
    for path in sorted(paths):
        if _readable_by_all(path):
            yield Check("secrets", True, f"everybody on this machine can read {path}", f"chmod o-rwx {path}")


def _readable_by_all(path: Path) -> bool:
    try:
        return not path.is_relative_to(DOCKERS) and bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _shared(settings: Settings) -> Iterator[Check]:
    """Whoever can sign for one of them can sign for the other, and a rotation has to reach both."""
    hooks: dict[bytes, list[str]] = defaultdict(list)
    for name, hook in settings.hooks.items():
        try:
            secrets = set(hook.active_secrets())
        except UserError:
            continue  # told by _unreadable
        for secret in secrets:
            hooks[secret].append(name)
    for names in sorted(sorted(n) for n in hooks.values() if len(n) > 1):
        hint = "give each its own: 'nodewise hook add' makes them"
        yield Check("secrets", True, f"the hooks {', '.join(names)} share a secret", hint)
