"""build: look at the pushed commit, check it out, run its source build, and build its image, on an engine.

What was begun by a worker that was killed is cleared away and begun anew; an image that is there already is not built
again. Of one repository one commit is built at a time, in the order in which they were pushed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from nodewise.bootstrap import Deps
from nodewise.domain import naming, platforms
from nodewise.domain.build import Build, BuildState, fingerprint, preference, why_skip
from nodewise.domain.errors import Conflict, GiveUp, NodewiseError, RetryLater
from nodewise.domain.images import ImageName
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.recipe import Commit, ImageOrder, Recipe, Source, SourceBuild, SourceOrder
from nodewise.domain.urls import without_login
from nodewise.ports import Builder
from tasks.outcome import DONE, Outcome
from tasks.progress import BuildProgress, Ended, give_way
from tasks.room import check_room

WAIT = 1.0  # seconds until a build asks for its turn again: it holds no thread meanwhile, a rollback may want it
MESSAGE = 2000  # characters of a commit's message that are kept
CANNOT_RUN = "exec format error"  # the kernel's words (ENOEXEC) for a program of another architecture
EMULATE = "the engine's machine needs binfmt and qemu for that platform; a Dockerfile that only copies needs none"


def build(deps: Deps, build_id: str) -> Outcome:
    """Build, unless that is done: a repeated job goes on with the push."""
    found = deps.store.build(build_id)
    if found is None or found.state.terminal:
        return DONE
    if found.state is BuildState.BUILT and there(deps, found):
        return Outcome((Job(Verb.PUSH, build_id),))
    try:
        give_way(deps, found, running=found.state is BuildState.BUILDING)
    except Ended as end:
        return end_without_image(deps, found, end)
    if deps.store.build_ahead(found) is not None or not deps.build_slots.acquire(blocking=False):
        return Outcome(again_at=deps.clock.now() + WAIT, tried=False)
    try:
        return _in_its_turn(deps, found)
    finally:
        deps.build_slots.release()


def there(deps: Deps, build: Build) -> bool:
    """Whether the engine that built it is still asked, and has the image: that of every platform."""
    builder = deps.builders.get(build.builder)
    return builder is not None and bool(build.image_ids) and all(map(builder.has_image, build.image_ids))


def _in_its_turn(deps: Deps, found: Build) -> Outcome:
    now = deps.clock.now()
    try:
        begun = deps.store.save_build(replace(found, state=BuildState.BUILDING, started_at=now), now)
    except Conflict:
        return Outcome(again_at=now + WAIT, tried=False)  # another worker was quicker
    progress = BuildProgress(deps, begun)
    try:
        with _workshop(deps, begun) as checkout:
            return _make(deps, begun, checkout, progress)
    except Ended as end:
        progress.flush()
        return end_without_image(deps, deps.store.build(found.id) or begun, end)
    except RetryLater as error:
        progress.flush()
        deps.store.append_build_log(found.id, f"{error}; tried again soon\n")
        _step_back(deps, found.id)
        raise
    finally:
        progress.flush()


def _step_back(deps: Deps, build_id: str) -> None:
    """Let another commit of the repository have its turn until this one is tried again."""
    left = deps.store.build(build_id)
    if left is not None and left.state is BuildState.BUILDING:
        deps.store.save_build(replace(left, state=BuildState.WAITING), deps.clock.now())


def end_without_image(deps: Deps, found: Build, end: Ended) -> Outcome:
    """Without a failure too. What gave way to a commit that is not built after all comes back."""
    now = deps.clock.now()
    deps.store.append_build_log(found.id, f"{end.state.value}: {end.what}\n")
    deps.store.save_build(replace(found, state=end.state, error=end.what, ended_at=now), now)
    older = deps.store.given_way(found) if end.state is BuildState.SKIPPED else None
    if older is None:
        return DONE
    jobs = (Job(Verb.BUILD, older.id),)
    deps.store.save_build(replace(older, state=BuildState.WAITING, error="", ended_at=None), now, jobs=jobs)
    return Outcome(jobs)


@contextmanager
def _workshop(deps: Deps, build: Build) -> Iterator[Path]:
    """An empty folder for the checkout, named after the build: what a killed worker left in it is found and removed."""
    folder = deps.settings.data_dir / "builds" / build.id
    shutil.rmtree(folder, ignore_errors=True)
    checkout = folder / "source"
    checkout.mkdir(parents=True, mode=0o700)
    try:
        yield checkout
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make(deps: Deps, begun: Build, checkout: Path, progress: BuildProgress) -> Outcome:
    source = _source(begun)
    progress.line(f"commit {begun.commit} of {begun.ref}")
    commit = deps.git.look(source, _since(deps, begun))
    progress.check()
    why = why_skip(begun.recipe, commit)
    if why:
        raise Ended(BuildState.SKIPPED, why)
    build, recipe = _looked(deps, begun, commit)
    made = _made_before(deps, build, progress)
    if made is None:
        orders = [_image_order(build, recipe, checkout, platform) for platform in build.images]
        host = _host(deps, build)
        builder = deps.builders[host]
        builder.clear(build.id)
        check_room(deps, host)
        deps.git.checkout(source, checkout)
        progress.check()
        if recipe.source:
            builder.run(_source_order(build, recipe, recipe.source, commit, checkout), progress)
        made = build.made(host, [_image(builder, order, progress, build.several) for order in orders])
    jobs = (Job(Verb.PUSH, build.id),)
    deps.store.save_build(replace(made, state=BuildState.BUILT), deps.clock.now(), jobs=jobs)
    return Outcome(jobs)


def _source(build: Build) -> Source:
    """The history is read only where a version is counted from it."""
    recipe = build.recipe
    texts = (build.image, *recipe.args.values(), *(recipe.source.env.values() if recipe.source else ()))
    return Source(
        repository=build.repository,
        ref=build.ref,
        commit=build.commit,
        access=recipe.access,
        history=build.of_branch and any("{version}" in text for text in texts),
        submodules=recipe.submodules,
        lfs=recipe.lfs,
    )


def _since(deps: Deps, build: Build) -> str:
    """The commit that a change is a change from: that of the last image of the same ref."""
    last = deps.store.last_pushed(build) if build.recipe.paths else None
    return last.commit if last else ""


def _looked(deps: Deps, begun: Build, commit: Commit) -> tuple[Build, Recipe]:
    """The build with what git says of its commit, and its recipe without a placeholder. Raises UserError."""
    values = naming.by_git(begun.ref, commit)
    recipe = naming.whole(begun.recipe, values, begun.ref)
    build = replace(
        begun,
        image=str(ImageName.parse(naming.checked(begun.image, values, begun.ref, "image name"))),
        author=commit.author,
        message=commit.message[:MESSAGE],
        committed_at=commit.at,
        inputs=fingerprint(recipe),
    )
    return deps.store.save_build(build, deps.clock.now()), recipe


def _made_before(deps: Deps, build: Build, progress: BuildProgress) -> Build | None:
    """The image of an earlier build of the same commit and inputs, by the names that it is to have now."""
    known = deps.store.same_build(build)
    if known is None or not there(deps, known):
        return None
    for image_id, name in zip(known.image_ids, build.images.values(), strict=True):
        deps.builders[known.builder].tag(image_id, name)
    progress.line(f"not built again: {known.id} made it of the same commit")
    return build.made(known.builder, known.image_ids)


def _image(builder: Builder, order: ImageOrder, progress: BuildProgress, several: bool) -> str:
    """The id of the image that is built. Of *several* platforms it is said whose, in the log and in errors."""
    if not several:
        return builder.build(order, progress)
    progress.line(f"image for {order.platform}")
    try:
        return builder.build(order, progress)
    except GiveUp as error:
        hint = EMULATE if CANNOT_RUN in error.what.lower() else error.hint
        raise GiveUp(f"for {order.platform}: {error.what}", hint) from error


def _host(deps: Deps, build: Build) -> str:
    """The engine that builds: the one that has the layers of the last build, where it answers. Raises RetryLater."""
    silent: NodewiseError = RetryLater("there is no engine to build with", "set NODEWISE_BUILD_HOST")
    for host in preference(tuple(deps.builders), build.repository):
        try:
            deps.builders[host].ping()
        except RetryLater as error:
            silent = error
        else:
            return host
    raise silent


def _source_order(build: Build, recipe: Recipe, source: SourceBuild, commit: Commit, checkout: Path) -> SourceOrder:
    known = {"CI": "true", "NODEWISE_COMMIT": build.commit, "SOURCE_DATE_EPOCH": str(int(commit.at))}
    return SourceOrder(
        build=build.id,
        name=build.name,
        checkout=checkout,
        image=source.image,
        command=source.command,
        cache=source.cache,
        output=source.output,
        env={**known, **source.env},
        secrets=_files(recipe),
        most=recipe.limits.context,
    )


def _image_order(build: Build, recipe: Recipe, checkout: Path, platform: str) -> ImageOrder:
    """*platform*: one of ``build.images``."""
    assert build.started_at is not None
    return ImageOrder(
        build=build.id,
        context=checkout / recipe.context,
        dockerfile=recipe.dockerfile,
        name=str(build.images[platform]),
        target=recipe.target,
        args=recipe.args,
        secrets=_files(recipe),
        labels={
            "org.opencontainers.image.revision": build.commit,
            "org.opencontainers.image.source": without_login(build.repository),
            "org.opencontainers.image.created": datetime.fromtimestamp(build.started_at, UTC).isoformat("T", "seconds"),
        },
        platform=platform,
        cache=str(platforms.names(recipe.cache, recipe.platforms)[platform]) if recipe.cache else "",
        most=recipe.limits.context,
    )


def _files(recipe: Recipe) -> dict[str, Path]:
    return {name: Path(path) for name, path in recipe.secrets.items()}
