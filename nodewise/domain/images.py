"""Image names: ``registry/path:tag@digest``, taken apart and put together.

The rules are those of Docker's reference grammar (distribution/reference): the first component is a
registry when it holds a dot or a colon or is ``localhost``; otherwise the image lives on Docker Hub.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from nodewise.domain.errors import UserError

HUB = "docker.io"
_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}")
_REGISTRY = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class ImageName:
    """One image name. ``tag`` and ``digest`` are empty where the name has none."""

    registry: str
    path: str
    tag: str = ""
    digest: str = ""

    @classmethod
    @lru_cache(maxsize=4096)  # every event asks what each service runs
    def parse(cls, text: str) -> ImageName:
        """Take *text* apart. Raises UserError naming the part that is wrong."""
        name, at, digest = text.strip().partition("@")
        if at and not _DIGEST.fullmatch(digest):
            raise _bad(text, f"digest {digest!r}", "sha256: and 64 hex digits")
        head, slash, last = name.rpartition("/")
        last, colon, tag = last.partition(":")
        if colon and not _TAG.fullmatch(tag):
            raise _bad(text, f"tag {tag!r}", "letters, digits, '_', '.', '-', at most 128")
        registry, path = _split_registry(head + slash + last)
        if not _REGISTRY.fullmatch(registry):
            raise _bad(text, f"registry {registry!r}", "a host name with an optional port")
        if not _PATH.fullmatch(path):
            raise _bad(text, f"path {path!r}", "lower-case letters and digits, separated by '.', '_', '-', '/'")
        return cls(registry, path, tag, digest)

    @property
    def repository(self) -> str:
        """Registry and path, fully spelled out: what two names of one repository have in common."""
        return f"{self.registry}/{self.path}"

    def with_tag(self, tag: str) -> ImageName:
        return replace(self, tag=tag, digest="")

    def pinned(self, digest: str) -> ImageName:
        """The same name, bound to *digest*."""
        return replace(self, digest=digest)

    def __str__(self) -> str:
        """The form that the Docker command line prints: Docker Hub's names without their registry."""
        name = self.repository
        if self.registry == HUB:
            name = self.path.removeprefix("library/")
        return name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry = HUB if first in ("index.docker.io", "registry-1.docker.io") else first
        path = rest
    else:
        registry, path = HUB, name
    if registry == HUB and "/" not in path:
        path = f"library/{path}"
    return registry, path


def _bad(text: str, part: str, allowed: str) -> UserError:
    return UserError(f"image name {text!r}: {part} is not valid", f"allowed: {allowed}", field="image")
