"""What a source build has made, taken from an engine's tar stream into the checkout.

Whoever can push to the repository decides what is in that stream. So nothing is written but inside an empty folder,
through no link; links that lead out of the checkout, absolute paths and devices are refused by name; and what is
brought into the checkout is moved there only when all of it is there.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO

from nodewise.adapters.builds.context import megabytes
from nodewise.adapters.builds.tars import BIGGEST_MTIME, everything_in
from nodewise.domain.errors import GiveUp
from nodewise.ports import Progress

_ENTRY = 512  # bytes that every entry counts at least: so many of nothing are too many as well
_DEEPEST = 200  # folders in each other; what removes trees calls itself for each
_PIECE = 1024 * 1024


class Room:
    """How much more may be taken back, in bytes. ``take`` raises GiveUp once that is over."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most

    def take(self, size: int, name: str) -> None:
        self._left -= max(size, _ENTRY)
        if self._left < 0:
            raise GiveUp(
                f"what the source build made has more than {megabytes(self._most)}, at {name}",
                "name what is needed as its output, or raise the limit",
            )


class TakingBack:
    """One output of a source build: *path* of the *checkout*, unpacked into the empty folder *beside* it.

    *known*: the links that lead out already in the repository, and may stay as they were.
    """

    def __init__(
        self, checkout: Path, path: PurePosixPath, beside: Path, room: Room, known: dict[str, str], progress: Progress
    ) -> None:
        self._checkout = checkout
        self._path = path
        self._beside = beside
        self._room = room
        self._known = known
        self._progress = progress
        self._folders = {PurePosixPath()}
        self._links: list[PurePosixPath] = []

    def unpack(self, tar: tarfile.TarFile) -> None:
        """Raises GiveUp naming what cannot be taken back."""
        for member in tar:
            name = self._name(member.name)
            if ".git" in name.parts:
                continue
            self._room.take(member.size, str(name))
            self._one(tar, member, name)

    def move(self) -> None:
        """Put it into the checkout, in place of what was there. Raises GiveUp for links in the way, or out of it."""
        for name in self._path.parents:
            if (self._checkout / name).is_symlink():
                raise GiveUp(f"the source build's output {self._path} is behind the link {name}")
        if self._path.parts:
            _remove(self._checkout / self._path)
            (self._checkout / self._path).parent.mkdir(parents=True, exist_ok=True)
            (self._beside / self._path).rename(self._checkout / self._path)
        else:
            self._move_all()
        for link in self._links:
            self._check_within(link)

    def _move_all(self) -> None:
        for old in self._checkout.iterdir():
            if old.name != ".git":
                _remove(old)
        for new in self._beside.iterdir():
            new.rename(self._checkout / new.name)

    def _name(self, given: str) -> PurePosixPath:
        """Its place in the checkout. An engine's names begin with the last part of the path that was asked for."""
        name = PurePosixPath(given)
        if name.is_absolute() or ".." in name.parts:
            raise GiveUp(f"the source build's output has a path that leads out: {given}")
        if len(name.parts) > _DEEPEST:
            raise GiveUp(f"the source build's output has folders more than {_DEEPEST} deep: {given[:200]}…")
        return self._path / PurePosixPath(*name.parts[1:]) if self._path.parts else name

    def _one(self, tar: tarfile.TarFile, member: tarfile.TarInfo, name: PurePosixPath) -> None:
        if member.isdir():
            self._folder(name, member.mode)
            return
        self._folder(name.parent)
        if os.path.lexists(self._beside / name):
            raise GiveUp(f"the source build's output has {name} twice")
        if member.issym():
            self._link(name, member.linkname)
        elif member.islnk():
            self._hard_link(name, self._name(member.linkname))
        elif (content := tar.extractfile(member)) is not None:
            self._file(name, member, content)
        else:
            raise GiveUp(f"the source build's output has a device or a pipe: {name}")

    def _folder(self, name: PurePosixPath, mode: int | None = None) -> None:
        if name not in self._folders:
            self._folder(name.parent)
            try:
                (self._beside / name).mkdir()
            except FileExistsError as error:
                raise GiveUp(f"the source build's output has {name} as a folder and as something else") from error
            self._folders.add(name)
        if mode is not None and name.parts:
            (self._beside / name).chmod(mode & 0o777 | 0o700)

    def _file(self, name: PurePosixPath, member: tarfile.TarInfo, content: IO[bytes]) -> None:
        path = self._beside / name
        with path.open("xb") as file:
            while piece := content.read(_PIECE):
                self._progress.check()
                file.write(piece)
        path.chmod(member.mode & 0o777 | 0o600)
        if 0 <= member.mtime <= BIGGEST_MTIME:
            os.utime(path, (member.mtime, member.mtime))

    def _hard_link(self, name: PurePosixPath, target: PurePosixPath) -> None:
        source = self._beside / target
        if target.parent not in self._folders or source.is_symlink() or not source.is_file():
            raise GiveUp(f"the source build's output has a hard link that leads out: {name}")
        os.link(source, self._beside / name)

    def _link(self, name: PurePosixPath, target: str) -> None:
        if self._known.get(str(name)) != target:
            if target.startswith("/"):
                raise GiveUp(f"the source build's output has a link that leads out: {name} -> {target}")
            self._links.append(name)
        (self._beside / name).symlink_to(target)

    def _check_within(self, link: PurePosixPath) -> None:
        """Links to links may lead anywhere: what counts is where one ends once all of them are there."""
        path = self._checkout / link
        if not _ends_in(self._checkout.resolve(), path):
            target = path.readlink()
            path.unlink()
            raise GiveUp(f"the source build's output has a link that leads out: {link} -> {target}")


def links_out_of(checkout: Path) -> dict[str, str]:
    """The links that lead out of the checkout, by path, with what they say."""
    root = checkout.resolve()
    paths = (checkout / name for name in everything_in(checkout))
    links = (path for path in paths if path.is_symlink() and not _ends_in(root, path))
    return {str(path.relative_to(checkout)): str(path.readlink()) for path in links}


def output_path(given: str) -> PurePosixPath:
    """An output as it stands in the configuration. Raises GiveUp unless it is a path within the checkout."""
    path = PurePosixPath(given)
    if path.is_absolute() or ".." in path.parts or ".git" in path.parts:
        raise GiveUp(f"the output {given!r} of a source build is not a path within the checkout")
    return path


def _ends_in(root: Path, link: Path) -> bool:
    return Path(os.path.realpath(link)).is_relative_to(root)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()
