"""Files in Git LFS, fetched into a checkout by LFS' own client."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from nodewise.adapters.git.run import Failed, Git
from nodewise.adapters.git.url import Remote, parse_url
from nodewise.domain.errors import GiveUp

_FILTERS = (
    "filter.lfs.clean=git-lfs clean -- %f",
    "filter.lfs.smudge=git-lfs smudge -- %f",
    "filter.lfs.process=git-lfs filter-process",
    "filter.lfs.required=true",
)
_LINK = "120000"


def pull(git: Git, remote: Remote) -> None:
    """Put the files in place of what stands for them, in the checkout that *git* is for.

    Raises Failed, Late, or GiveUp where there is no client, or the repository names a server that is refused.
    """
    if shutil.which("git-lfs", path=git.environment.get("PATH")) is None:
        raise GiveUp("Git LFS is not installed on this machine", "install git-lfs where the worker runs")
    for url in _servers(git):
        try:
            parse_url(url, allow_local=remote.local)
        except GiveUp as error:
            raise GiveUp(f"the LFS server in .lfsconfig is refused: {error.what}", error.hint) from None
    git("lfs", "pull", "origin", settings=(*_FILTERS, f"remote.origin.url={remote.url}"))


def _servers(git: Git) -> Iterator[str]:
    """The addresses that the repository itself names, in ``.lfsconfig``."""
    found = git("ls-files", "--stage", "-z", "--", ":(top,literal).lfsconfig")
    if found.startswith(_LINK):
        raise GiveUp("the repository's .lfsconfig is a symbolic link", "it is read from a file alone")
    if not found:
        return
    try:
        listed = git("config", "--blob", "HEAD:.lfsconfig", "--no-includes", "--null", "--list")
    except Failed as error:
        raise GiveUp(f"the repository's .lfsconfig cannot be read: {error.words}") from None
    for line in listed.split("\0"):
        key, _, value = line.partition("\n")
        if key.endswith("url"):
            yield value
