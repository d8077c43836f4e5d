"""The build context: a checkout's folder as a tar stream, and the guard that nothing else gets into it.

Whoever can push to the repository can put symbolic links into it; a link that leads out of the checkout
would send the machine's own files to the builder. Links are sent as links, never followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from stat import S_ISREG
from typing import IO

from docker.utils.build import PatternMatcher

from nodewise.adapters.builds.attending import Reporter
from nodewise.adapters.builds.tars import new_tar
from nodewise.domain.errors import GiveUp, UserError
from nodewise.domain.images import ImageName

# Where a Dockerfile names images: base images, stages to copy from or to mount, and BuildKit's own reader of it.
_FROM = re.compile(
    r"^\s*FROM\s+(?:--\S+\s+)*(\S+)|^\s*(?:COPY|RUN)\s.*?\bfrom=([^\s,]+)|\A(?:#.*\n)*?#\s*syntax\s*=\s*(\S+)",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Context:
    """A checked build context. ``dockerfile``: its name inside the tar; ``recipe``: its text, in ``recipe_path``.

    ``outside``: whether the Dockerfile is beside the context. No path here goes through a link.
    """

    folder: Path
    dockerfile: str
    recipe: str
    recipe_path: Path
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
        return cls(root, name, recipe, path, outside)

    @contextmanager
    def tar(self, reporter: Reporter) -> Iterator[IO[bytes]]:
        """The context without what ``.dockerignore`` names, as the classic builder takes it.

        Raises GiveUp for a file that cannot be read.
        """
        with new_tar(reporter) as tar:
            try:
                tar.tree(self.folder, sorted(self._chosen(reporter, self._ignored())))
            except OSError as error:
                raise GiveUp(f"the build context cannot be read: {error}") from error
            if self.outside:  # its name is nobody's own; the second .dockerignore keeps it out of ``COPY . /``
                tar.file(".dockerignore", "\n".join((*self._ignored(), self.dockerfile)).encode())
                tar.file(self.dockerfile, self.recipe.encode())
            yield tar.done()

    def measure(self, most: int, reporter: Reporter, buildkit: bool) -> None:
        """Raises GiveUp where what would be sent has more than *most* bytes.

        BuildKit prefers an ignore file that is named after the Dockerfile (moby/buildkit, frontend/dockerui).
        """
        special = self.recipe_path.with_name(f"{self.recipe_path.name}.dockerignore")
        ignored = self._lines(special) if buildkit and special.exists() else self._ignored()
        size = 0
        try:
            for name in self._chosen(reporter, ignored):
                found = (self.folder / name).lstat()
                size += found.st_size if S_ISREG(found.st_mode) else 0
        except OSError as error:
            raise GiveUp(f"the build context cannot be read: {error}") from error
        if size > most:
            raise GiveUp(
                f"the build context has {megabytes(size)}, and a build may have {megabytes(most)}",
                "name what the image does not need in .dockerignore, or raise the limit",
            )

    def registries(self) -> frozenset[str]:
        """The registries of the base images, as far as the Dockerfile spells them out."""
        names = set()
        for word in ("".join(found) for found in _FROM.findall(self.recipe)):
            try:
                names.add(ImageName.parse(word).registry)
            except UserError:
                continue  # a build stage's name, or made of variables: the engine will say so if it matters
        return frozenset(names)

    def _ignored(self) -> list[str]:
        path = self.folder / ".dockerignore"
        return self._lines(path) if path.exists() else []

    def _lines(self, path: Path) -> list[str]:
        """The patterns of an ignore file. Raises GiveUp where it leads out of its own folder."""
        lines = _text(inside(path.parent, path, "the .dockerignore"), path.name).splitlines()
        return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]

    def _chosen(self, reporter: Reporter, ignored: list[str]) -> Iterator[str]:
        """What is sent: everything that is not ignored, and the Dockerfile. The docker SDK's rules are Docker's."""
        for name in PatternMatcher([*ignored, f"!{self.dockerfile}"]).walk(str(self.folder)):
            reporter.check()
            yield str(name)


def megabytes(size: int) -> str:
    """*size* bytes as people read it."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size} bytes"


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
