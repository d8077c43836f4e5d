"""``builds`` in nodewise.yaml: what is built from which repository, and how."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from nodewise.config.durations import seconds
from nodewise.config.readers import size
from nodewise.config.shapes import Section, as_list
from nodewise.domain import naming
from nodewise.domain.errors import NodewiseError
from nodewise.domain.images import ImageName
from nodewise.domain.recipe import Access, Limits, Recipe, SourceBuild, Supersede

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(?:/v[0-9]+)?")
# Other words for architectures (containerd/platforms, database.go): registries and engines compare the usual ones.
_USUAL = {"x86_64": "amd64", "aarch64": "arm64", "armhf": "arm/v7", "armel": "arm/v6", "i386": "386"}
SKIP = ["[skip ci]", "[ci skip]", "[skip nodewise]"]


def _inside(given: str) -> str:
    path = PurePosixPath(given)
    if path.is_absolute() or ".." in path.parts or given.startswith("-"):
        raise ValueError(f"{given!r} leads out of the repository; a path is taken from its root")
    return given


def _absolute(given: str) -> str:
    if not given.startswith("/") or ".." in PurePosixPath(given).parts or ":" in given:
        raise ValueError(f"{given!r} is no absolute path in the builder image")
    return given


def _known(given: str) -> str:
    unknown = naming.unknown(given)
    if unknown:
        raise ValueError(f"{{{unknown}}} is unknown; there are: {', '.join(naming.PLACEHOLDERS)}")
    return given


def _secret_name(given: str) -> str:
    if not _NAME.fullmatch(given):
        raise ValueError(f"{given!r} is no name: letters, digits, '_', '.' and '-'")
    return given


def _variable(given: str) -> str:
    if not _VARIABLE.fullmatch(given):
        raise ValueError(f"{given!r} is no name of a variable")
    return given


def _platform(given: str) -> str:
    if not _PLATFORM.fullmatch(given):
        raise ValueError(f"{given!r} is no platform, such as linux/amd64")
    os, architecture, *_ = given.split("/")
    if usual := _USUAL.get(architecture):
        raise ValueError(f"{given} is {os}/{usual} in an image's own words")
    return given


def _once(given: list[str]) -> list[str]:
    twice = next((platform for platform in given if given.count(platform) > 1), "")
    if twice:
        raise ValueError(f"{twice} is there twice; name each platform once")
    return given


def _image(given: str) -> str:
    try:
        ImageName.parse(given)
    except NodewiseError as error:
        raise ValueError(str(error)) from None
    return given


def _measured(read: Callable[[str], float], what: str) -> Callable[[object], object]:
    def measured(given: object) -> object:
        try:
            return read(given) if isinstance(given, str) else given
        except ValueError:
            raise ValueError(f"{given!r} is not {what}") from None

    return measured


Inside = Annotated[str, AfterValidator(_inside)]
Inner = Annotated[str, AfterValidator(_absolute)]
Template = Annotated[str, AfterValidator(_known)]
SecretName = Annotated[str, AfterValidator(_secret_name)]
Variable = Annotated[str, AfterValidator(_variable)]
Platform = Annotated[str, AfterValidator(_platform)]
Platforms = Annotated[list[Platform], BeforeValidator(as_list), AfterValidator(_once)]
Image = Annotated[str, AfterValidator(_image)]
Duration = Annotated[float, BeforeValidator(_measured(seconds, "a time, such as 30m"))]
Size = Annotated[int, BeforeValidator(_measured(size, "a size, such as 500MiB"))]


class SourceConfig(Section):
    """A command that runs before the image is built."""

    image: Image = Field(description="The builder image, such as `maven:3-eclipse-temurin-21`.")
    command: str = Field(min_length=1, description="What runs in it, by `/bin/sh`: `mvn -B package`.")
    cache: Annotated[list[Inner], BeforeValidator(as_list)] = Field(
        default=[], description="Folders in the builder image that are kept from build to build: `/root/.m2`."
    )
    output: Annotated[list[Inside], BeforeValidator(as_list)] = Field(
        default=["."], min_length=1, description="What is taken back of the checkout: `target/app.jar`; not set: all."
    )
    env: dict[Variable, Template] = Field(default={}, description="Variables for the command; no place for secrets.")

    def build(self) -> SourceBuild:
        return SourceBuild(self.image, self.command, tuple(self.cache), tuple(self.output), dict(self.env))


class AccessConfig(Section):
    """How the repository is read."""

    key_file: Path | None = Field(default=None, description="A private key (deploy key) for ssh.")
    known_hosts_file: Path | None = Field(default=None, description="The host keys that are believed; see ssh-keyscan.")
    token_file: Path | None = Field(default=None, description="A token or password for https.")
    username: str = Field(default="git", description="Who the token belongs to, where the server wants to know.")

    def access(self) -> Access:
        return Access(
            key=str(self.key_file or ""),
            known_hosts=str(self.known_hosts_file or ""),
            token=str(self.token_file or ""),
            username=self.username,
        )


class BuildConfig(Section):
    """What is built from which repository."""

    git: str = Field(description="The repository's URL, as the git server names itself in its events.")
    access: AccessConfig = Field(default=AccessConfig(), description="Key, token and known hosts; see below.")
    refs: Annotated[list[str], BeforeValidator(as_list)] = Field(
        default=["refs/heads/main"], min_length=1, description="Patterns of refs that are built."
    )
    paths: Annotated[list[str], BeforeValidator(as_list)] = Field(
        default=[],
        description="Watch paths: a commit is built where one of them changed since the last build; `!` before a"
        " pattern takes out; not set: any.",
    )
    skip: Annotated[list[str], BeforeValidator(as_list)] = Field(
        default=SKIP, description="Words in a commit's message that say not to build it."
    )
    image: Template = Field(
        description="Image name; {version}, {tag}, {branch}, {sha}, {short_sha} and {date} are filled in."
    )
    dockerfile: Inside = Field(default="Dockerfile", description="The Dockerfile, from the context.")
    context: Inside = Field(default=".", description="The build's context, from the repository's root.")
    target: str = Field(default="", description="The stage that is built; not set: the last one.")
    args: dict[Variable, Template] = Field(default={}, description="Build arguments; no place for secrets.")
    secrets: dict[SecretName, Path] = Field(
        default={},
        description="Names to files on the worker's machine: mounted in `RUN --mount=type=secret,id=NAME` and in the"
        " source build, in no layer and no log. Needs BuildKit.",
    )
    platforms: Platforms = Field(
        default=[],
        description="The platforms that are built for, `os/arch`, such as `linux/amd64`; of several each has an image,"
        " and the name stands for an index of them; not set: the engine's own.",
    )
    cache: str = Field(
        default="",
        description="An image name under which the layers are kept in a registry, so that another engine finds them;"
        " not set: what the engine has itself. Needs BuildKit.",
    )
    source: SourceConfig | None = Field(default=None, description="The source build; see below.")
    submodules: bool = Field(default=False, description="Whether submodules are checked out too.")
    lfs: bool = Field(default=False, description="Whether files in Git LFS are fetched; git-lfs has to be installed.")
    supersede: Supersede = Field(
        default=Supersede.WAITING,
        description="Which older builds a newer commit of the same branch ends: those that are `waiting`, those that"
        " are `running` too, or `never` any.",
    )
    keep: int | None = Field(
        default=None,
        ge=1,
        description="How many of its images stay in the registry and on the engine that built them, beside those that a"
        " service or a rollback needs (see docs/cleaning.md); not set: all.",
    )
    timeout: Duration = Field(default=1800.0, gt=0, description="How long checkout and build may take together.")
    max_log: Size = Field(default=4 * 1024 * 1024, gt=0, description="How much a build may print.")
    max_context: Size = Field(default=1024**3, gt=0, description="How large the context and the source build may be.")

    @model_validator(mode="after")
    def _sound(self) -> BuildConfig:
        values = dict.fromkeys(naming.PLACEHOLDERS, "x")
        try:
            ImageName.parse(naming.filled(self.image, values))
            if self.cache:
                ImageName.parse(self.cache)
        except NodewiseError as error:
            raise ValueError(str(error)) from None
        return self

    def image_for(self, ref: str, commit: str) -> str:
        """The image's name for one pushed commit, as far as the ref tells it. Raises UserError for what nobody can."""
        return naming.checked(self.image, naming.by_ref(ref, commit), ref, "image name", naming.OF_GIT)

    def recipe(self) -> Recipe:
        """Everything about the build but the commit and the image's name."""
        return Recipe(
            dockerfile=self.dockerfile,
            context=self.context,
            target=self.target,
            args=dict(self.args),
            secrets={name: str(path) for name, path in self.secrets.items()},
            platforms=tuple(self.platforms),
            cache=self.cache,
            source=self.source.build() if self.source else None,
            access=self.access.access(),
            submodules=self.submodules,
            lfs=self.lfs,
            paths=tuple(self.paths),
            skip=tuple(word for word in self.skip if word),
            supersede=self.supersede,
            limits=Limits(self.timeout, self.max_log, self.max_context),
        )
