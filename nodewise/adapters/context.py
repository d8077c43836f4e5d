"""The build context: a checkout's folder as a tar stream, and the guard that nothing else gets into it.

Whoever can push to the repository can put symbolic links into it; a link that leads out of the checkout
would send the machine's own files to the builder. Links are sent as links, never followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import IO, Any, cast

from docker.utils import build as archive

from nodewise.domain.errors import GiveUp, UserError
from nodewise.domain.images import ImageName

_FROM = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Context:
    """A checked build context. ``dockerfile``: its name inside the tar; ``recipe``: its text."""

    folder: Path
    dockerfile: str
    recipe: str
    outside: bool

    @classmethod
    def of(cls, folder: Path, dockerfile: str) -> Context:
        """Check *folder*, and *dockerfile* relative to it. Raises GiveUp where one leads out of the checkout."""
        checkout = _checkout_of(folder)
        root = inside(checkout, folder, "the build context")
        if not root.is_dir():
            raise GiveUp(f"the build context {folder.name!r} is not a folder of the repository")
        path = inside(checkout, root / (dockerfile or "Dockerfile"), "the Dockerfile")
        recipe = _text(path, f"the Dockerfile {dockerfile!r}")
        outside = not path.is_relative_to(root)
        name = f".dockerfile.{token_hex(10)}" if outside else str(path.relative_to(root))
        return cls(root, name, recipe, outside)

    def tar(self) -> IO[bytes]:
        """The context without what ``.dockerignore`` names. Raises GiveUp for a file that cannot be read."""
        extra = self.recipe if self.outside else None
        try:
            stream: Any = archive.tar(self.folder, exclude=list(self._ignored()), dockerfile=(self.dockerfile, extra))
        except OSError as error:
            raise GiveUp(f"the build context cannot be read: {error}") from error
        return cast(IO[bytes], stream)

    def registries(self) -> frozenset[str]:
        """The registries of the base images, as far as the Dockerfile spells them out."""
        names = set()
        for word in _FROM.findall(self.recipe):
            try:
                names.add(ImageName.parse(word).registry)
            except UserError:
                continue  # a build stage's name, or made of variables: the engine will say so if it matters
        return frozenset(names)

    def _ignored(self) -> Iterator[str]:
        path = self.folder / ".dockerignore"
        if path.exists():
            lines = _text(inside(self.folder, path, "the .dockerignore"), ".dockerignore").splitlines()
            yield from (line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))


def inside(root: Path, path: Path, what: str) -> Path:
    """*path* with every link resolved. Raises GiveUp, naming *what*, when it is not inside *root*."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise GiveUp(f"{what} {path.name!r} is not in the repository") from error
    if not real.is_relative_to(root.resolve()):
        raise GiveUp(f"{what} {path.name!r} leads out of the checkout", "name a path inside the repository")
    return real


def _checkout_of(folder: Path) -> Path:
    """The checkout that *folder* was named in: the nearest parent that holds ``.git``, else itself.

    The path is taken as written, so that a link or ``..`` on the way does not choose its own checkout.
    """
    folder = folder.absolute()
    return next((p for p in (folder, *folder.parents) if not p.is_symlink() and (p / ".git").exists()), folder)


def _text(path: Path, what: str) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError as error:
        raise GiveUp(f"{what} cannot be read: {error.strerror}") from error
