"""How images are made of commits: what the configuration says of one build, frozen with it. No behaviour here.

Secrets are named and never held: what stands here are paths of files on the worker's machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Supersede(StrEnum):
    """What a newer commit of the same branch ends of the older ones' builds. Those of tags are never ended so."""

    NEVER = "never"
    WAITING = "waiting"
    RUNNING = "running"  # and those that wait


@dataclass(frozen=True, slots=True)
class Access:
    """How a repository is read. Paths of files, read anew for each use; empty: what the worker's own git does.

    ``key``: a private key for ssh. ``known_hosts``: the host keys that are believed. ``token``: a password for http(s),
    given as that of ``username``.
    """

    key: str = ""
    known_hosts: str = ""
    token: str = ""
    username: str = "git"


@dataclass(frozen=True, slots=True)
class Source:
    """One commit of one repository. ``ref``: where to look for it on servers that give out only what a ref leads to.

    ``history``: whether the commits before it are needed too, with their tags. ``lfs``: files in Git LFS are
    fetched; git-lfs has to be there.
    """

    repository: str
    ref: str
    commit: str
    access: Access = Access()
    history: bool = False
    submodules: bool = False
    lfs: bool = False


@dataclass(frozen=True, slots=True)
class Commit:
    """What git says of a commit. ``at``: seconds since the epoch. ``described``: its name by the nearest tag, as
    ``git describe --tags`` gives it; empty where there is no tag, or the history was not asked for.

    ``changed``: paths from the repository's root that differ from the commit that was asked about; None where that one
    is not to be found (any more).
    """

    id: str
    author: str
    message: str
    at: float
    described: str = ""
    changed: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SourceBuild:
    """What runs before the image is built: ``command``, by a shell, in a container of ``image`` with the checkout as
    its working directory.

    ``cache``: absolute paths in the container that are kept from build to build of the same name. ``output``: the paths
    of the checkout that are taken back; the rest is left behind. ``env``: nothing secret.
    """

    image: str
    command: str
    cache: tuple[str, ...] = ()
    output: tuple[str, ...] = (".",)
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """``seconds`` that checkout, source build and image build may take; ``log`` in characters, ``context`` in bytes."""

    seconds: float = 1800.0
    log: int = 4 * 1024 * 1024
    context: int = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything about a build but its commit and the name of its image.

    ``secrets``: names to paths of files. ``platforms``: ``os/arch[/variant]``, an image for each and, of several, an
    index; empty: the engine's own. ``cache``: an image in a registry whose layers are taken where they fit, and that is
    written again, of several platforms one for each; empty: what the engine has.
    ``paths``: patterns, of which one has to fit a changed path; empty: any change. ``skip``: words in a commit's
    message that say not to build it.
    """

    dockerfile: str = "Dockerfile"
    context: str = "."
    target: str = ""
    args: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    platforms: tuple[str, ...] = ()
    cache: str = ""
    source: SourceBuild | None = None
    access: Access = Access()
    submodules: bool = False
    lfs: bool = False
    paths: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    supersede: Supersede = Supersede.WAITING
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class ImageOrder:
    """One image to be built by one engine: a checkout's folder ``context`` and everything that goes into it.

    ``name``: what it is called on the engine and where it is pushed. ``secrets``: names to files. ``labels``: those of
    the image. ``build``: the build's id, by which an engine finds what a build left behind. ``most``: bytes that the
    context may have.
    """

    build: str
    context: Path
    dockerfile: str
    name: str
    target: str = ""
    args: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""
    cache: str = ""
    most: int = Limits().context


@dataclass(frozen=True, slots=True)
class SourceOrder:
    """One source build to be run by one engine. ``checkout``: the folder that goes in and is written to afterwards.

    ``name``: the build's name in the configuration; its caches are kept under it. ``build``: the build's id. ``env``:
    all of the command's environment. ``secrets``: names to files; the command finds each at ``/run/secrets/<name>``.
    """

    build: str
    name: str
    checkout: Path
    image: str
    command: str
    cache: tuple[str, ...] = ()
    output: tuple[str, ...] = (".",)
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    most: int = Limits().context
