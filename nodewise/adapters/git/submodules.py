"""Which submodules a checkout has, and whether each may be had. Runs nothing that the repository says.

``.gitmodules``, which git itself refuses where it is a link, is read as git's own parser reads a blob; of what stands
there only path and address count. Which commit belongs to which path is said by the tree alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nodewise.adapters.git.run import Git
from nodewise.adapters.git.url import Remote, parse_url, resolve
from nodewise.domain.errors import GiveUp

_SUBMODULE = "160000"


@dataclass(frozen=True, slots=True)
class Submodule:
    """One of a checkout: where it belongs, and what belongs there."""

    name: str
    path: str
    remote: Remote
    commit: str


def submodules(git: Git, checkout: Path, parent: Remote) -> Iterator[Submodule]:
    """Those of the *checkout* that *git* is for. Raises GiveUp, naming the submodule, for what is refused."""
    commits = dict(_commits(git))
    if not commits:
        return
    named = {path: (name, url) for name, path, url in _listed(git)}
    for path, commit in commits.items():
        if path not in named:
            raise GiveUp(
                f"the submodule at {path!r} is not in .gitmodules", "commit its entry, or take it out of the tree"
            )
        name, url = named[path]
        _check_place(checkout, name, path)
        yield Submodule(name, path, _remote(name, url, parent), commit)


def _commits(git: Git) -> Iterator[tuple[str, str]]:
    """Path and commit of each submodule that the tree has."""
    for entry in git("ls-files", "--stage", "-z").split("\0"):
        what, _, path = entry.partition("\t")
        if what.startswith(_SUBMODULE):
            yield path, what.split()[1]


def _listed(git: Git) -> list[tuple[str, str, str]]:
    """Name, path and address of all that are in ``.gitmodules``, checked but for the address."""
    found = git("ls-files", "--stage", "-z", "--", ":(top,literal).gitmodules")
    if not found:
        return []
    values: dict[str, dict[str, str]] = {}
    for line in git("config", "--blob", "HEAD:.gitmodules", "--no-includes", "--null", "--list").split("\0"):
        key, _, value = line.partition("\n")
        section, _, rest = key.partition(".")
        name, _, variable = rest.rpartition(".")
        if section == "submodule" and name:
            values.setdefault(name, {})[variable] = value
    return [_entry(name, found.get("path", ""), found.get("url", "")) for name, found in values.items()]


def _entry(name: str, path: str, url: str) -> tuple[str, str, str]:
    if ".." in PurePosixPath(name).parts or name.startswith("-"):
        raise GiveUp(f"the submodule {name!r} has a name that git does not allow")
    if path and not _is_inside(path):
        raise GiveUp(f"the submodule {name!r} is refused: its path {path!r} leads out of the checkout")
    return name, path, url


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    ugly = any(part in ("", ".", "..") or part.lower() == ".git" for part in parts)
    return not ugly and not path.startswith("-") and "\\" not in path and "\ufffd" not in path


def _check_place(checkout: Path, name: str, path: str) -> None:
    """Its folder is a real one, with no link on the way, and nothing in it."""
    place = checkout / path
    if place.resolve() != checkout.resolve() / path or (place.exists() and any(place.iterdir())):
        raise GiveUp(f"the submodule {name!r} is refused: {path!r} is no empty folder of the checkout")


def _remote(name: str, url: str, parent: Remote) -> Remote:
    """Its address, by the rules for any; one on this machine only for a parent that is there too."""
    try:
        return parse_url(resolve(parent.url, url), allow_local=parent.local)
    except GiveUp as error:
        raise GiveUp(f"the submodule {name!r} is refused: {error.what}", error.hint) from None
