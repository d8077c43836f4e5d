"""Folders of this machine made into tar streams for an engine. Links go in as links, and are never followed."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from stat import S_ISSOCK
from typing import IO

from nodewise.adapters.builds.attending import Reporter
from nodewise.adapters.streams import as_file

BIGGEST_MTIME = 8**11 - 1  # what Python can write into a header (https://bugs.python.org/issue32713)
_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Owner:
    """Who is to own what is unpacked, by number."""

    uid: int = 0
    gid: int = 0


@contextmanager
def new_tar(reporter: Reporter, owner: Owner | None = None) -> Iterator[Tar]:
    """A tar stream in a temporary file, to be added to. *owner*: of everything in it; None: as it is here."""
    with tempfile.TemporaryFile() as file, tarfile.open(fileobj=file, mode="w") as tar:
        yield Tar(file, tar, reporter, owner)


class Tar:
    """Add to it, then ``done``."""

    def __init__(self, file: IO[bytes], tar: tarfile.TarFile, reporter: Reporter, owner: Owner | None) -> None:
        self._file = file
        self._tar = tar
        self._reporter = reporter
        self._owner = owner

    def tree(self, root: Path, names: Iterable[str], under: str = "") -> None:
        """The files *names* of *root*, each at its place below *under*. Sockets are left out. Raises OSError."""
        for name in names:
            path = root / name
            if S_ISSOCK(path.lstat().st_mode):
                continue
            info = self._tar.gettarinfo(path, arcname=f"{under}{name}")
            if info.isreg():
                with path.open("rb") as content:
                    self._add(info, content)
            else:
                self._add(info)

    def folder(self, name: str, mode: int = 0o755) -> None:
        """An empty folder; where there is one already it gets this owner and mode."""
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, mode
        self._add(info)

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """One file."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), mode
        self._add(info, BytesIO(content))

    def done(self) -> IO[bytes]:
        """The whole stream, from its beginning."""
        self._tar.close()
        self._file.seek(0)
        return self._file

    def _add(self, info: tarfile.TarInfo, content: IO[bytes] | None = None) -> None:
        if self._owner:
            info.uid, info.gid, info.uname, info.gname = self._owner.uid, self._owner.gid, "", ""
        if not 0 <= info.mtime <= BIGGEST_MTIME:
            info.mtime = int(info.mtime)
        self._tar.addfile(info, as_file(self._pieces(content)) if content else None)
        self._reporter.check()

    def _pieces(self, content: IO[bytes]) -> Iterator[bytes]:
        while piece := content.read(_PIECE):
            self._reporter.check()
            yield piece


def everything_in(root: Path) -> Iterator[str]:
    """Every file, folder and link, relative to *root*; a folder before what is in it. No link is followed."""
    for where, folders, files in os.walk(root):
        for name in (*folders, *files):
            yield str(Path(where, name).relative_to(root))
