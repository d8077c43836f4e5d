"""Builds: an image made from one commit. Decisions only: which build gives way, what is left unbuilt, who builds."""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from nodewise.domain import platforms
from nodewise.domain.images import ImageName
from nodewise.domain.recipe import Commit, Recipe


class BuildState(StrEnum):
    """How far a build is. ``built`` means: on the builder, not yet in the registry."""

    WAITING = "waiting"
    BUILDING = "building"
    BUILT = "built"
    PUSHED = "pushed"
    FAILED = "failed"
    SKIPPED = "skipped"  # the commit says so, or nothing changed that matters
    REPLACED = "replaced"  # by a newer commit of the same branch

    @property
    def terminal(self) -> bool:
        return self in (BuildState.PUSHED, BuildState.FAILED, BuildState.SKIPPED, BuildState.REPLACED)


@dataclass(frozen=True, slots=True)
class Build:
    """One build. ``name`` is its entry in the configuration file; ``version`` is for compare-and-set.

    ``image`` has placeholders in it until git has been asked for what only it knows. ``inputs``: a fingerprint of all
    that the image is made of but the commit. ``builder``: the engine that has the image. ``image_id``: see
    ``image_ids``. ``digest``: what is rolled out; of an image for several platforms that of its index, and ``parts``
    are the platforms with the digests of their images. ``error``: why it failed, or why there is nothing to build.
    ``cleaned_at``: when its image was removed again. Times are seconds since the epoch.
    """

    id: str
    name: str
    repository: str
    ref: str
    commit: str
    image: str
    state: BuildState
    created_at: float
    version: int = 0
    event_id: str = ""
    recipe: Recipe = field(default_factory=Recipe)
    author: str = ""
    message: str = ""
    committed_at: float | None = None
    inputs: str = ""
    builder: str = ""
    image_id: str = ""
    digest: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    cleaned_at: float | None = None

    @property
    def of_branch(self) -> bool:
        return not self.ref.startswith("refs/tags/")

    @property
    def several(self) -> bool:
        """Whether its image is for several platforms: an index."""
        return len(self.recipe.platforms) > 1

    @property
    def images(self) -> dict[str, ImageName]:
        """Platform to the name of its image. Raises UserError for a name that is none, or has placeholders left."""
        return platforms.names(self.image, self.recipe.platforms)

    @property
    def image_ids(self) -> tuple[str, ...]:
        """The ids on the builder, in the order of ``images``; empty until all are built."""
        return tuple(self.image_id.split())

    def made(self, builder: str, image_ids: Iterable[str]) -> Build:
        """The build once *builder* has all its images; *image_ids* in the order of ``images``."""
        return replace(self, builder=builder, image_id=" ".join(image_ids))


def fingerprint(recipe: Recipe) -> str:
    """What two builds of one commit have in common where they make the same image."""
    whole = asdict(recipe)
    made_of = ("dockerfile", "context", "target", "args", "secrets", "platforms", "source", "submodules", "lfs")
    return hashlib.sha256(json.dumps({key: whole[key] for key in made_of}, sort_keys=True).encode()).hexdigest()


def why_skip(recipe: Recipe, commit: Commit) -> str:
    """Why *commit* is not built; empty where it is. Not knowing what changed is a reason to build."""
    marker = next((word for word in recipe.skip if word.lower() in commit.message.lower()), "")
    if marker:
        return f"the commit's message says {marker}"
    if not recipe.paths or commit.changed is None:
        return ""
    if any(_watched(path, recipe.paths) for path in commit.changed):
        return ""
    return f"nothing changed in {', '.join(recipe.paths)} since the last build"


def _watched(path: str, patterns: Iterable[str]) -> bool:
    """The last pattern that fits decides; one with ``!`` before it takes out. A folder stands for all that is in it."""
    found = False
    for pattern in patterns:
        wanted = pattern.removeprefix("!").rstrip("/")
        if fnmatch.fnmatchcase(path, wanted) or fnmatch.fnmatchcase(path, f"{wanted}/*"):
            found = not pattern.startswith("!")
    return found


def preference(builders: Sequence[str], repository: str) -> list[str]:
    """The engines in the order in which they are asked to build *repository*: the same one first each time, since it
    has the layers of the last build, and another one first for other repositories (highest random weight hashing).
    """
    return sorted(builders, key=lambda b: hashlib.sha256(f"{b}\n{repository}".encode()).digest())


def first_line(message: str) -> str:
    """A commit's subject."""
    return message.strip().partition("\n")[0].strip()
