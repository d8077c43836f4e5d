"""Every registry that services, builds or logins name: whether it answers, and what its clock says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from nodewise.answers.checks import Check
from nodewise.answers.clocks import Told, check_clock
from nodewise.answers.side_by_side import Look, side_by_side
from nodewise.bootstrap import Deps
from nodewise.domain.errors import NodewiseError, UserError
from nodewise.domain.images import ImageName

PATIENCE = 12.0  # seconds; an engine gives a registry ten


def check_registries(deps: Deps, images: Iterable[str]) -> Iterator[Check]:
    """*images*: those of services that follow their image. Side by side: one that is away takes its time."""
    known = _one_image_each(images)
    hosts = {*known, *deps.settings.file.registries, *_of_builds(deps)}
    looks: dict[str, Look] = {host: partial(_look, deps, host, known.get(host)) for host in sorted(hosts)}
    for found in side_by_side(looks, PATIENCE):
        name = found.name if found.name in ("registry", "clock") else "registry"
        detail = found.detail if name == found.name else f"{found.name}: {found.detail}"
        yield Check(name, found.ok, detail, found.hint)


def _one_image_each(images: Iterable[str]) -> dict[str, ImageName]:
    """One image of every registry: asking for it is what every plan begins with."""
    found: dict[str, ImageName] = {}
    for name in images:
        try:
            image = ImageName.parse(name)
        except UserError:
            continue
        found.setdefault(image.registry, image)
    return found


def _of_builds(deps: Deps) -> Iterator[str]:
    """Where built images are pushed to."""
    for build in deps.settings.builds.values():
        try:
            yield ImageName.parse(build.image.replace("{", "").replace("}", "")).registry
        except UserError:
            continue


def _look(deps: Deps, host: str, image: ImageName | None) -> Iterator[Check]:
    if image is not None:
        yield _by_engines(deps, host, image)
    before = deps.clock.now()
    try:
        at = deps.registry.ping(host)
    except NodewiseError as error:
        if image is None or deps.settings.catch_up:
            yield _away(deps, host, image, error)
        return
    if image is None:
        yield Check("registry", True, f"{host} answers this machine")
    if at is not None:
        told = Told(f"the registry {host}", at, before, deps.clock.now(), precision=1.0)
        yield from check_clock(deps.settings, told)


def _away(deps: Deps, host: str, image: ImageName | None, error: NodewiseError) -> Check:
    """It is asked from here as catch-up asks it. Rollouts do without: it is worth a look, and no more."""
    address = deps.settings.registry_address(host)
    detail = f"{error.what} (asked from this machine{f' at {address}' if address else ''})"
    if image is None:
        why = "no service follows an image of it; check its name in nodewise.yaml, and the way to it"
    else:
        why = "catch-up sees no missed push there; check the way to it, and its 'address' under 'registries:'"
    return Check("registry", True, detail, error.hint or why)


def _by_engines(deps: Deps, host: str, image: ImageName) -> Check:
    try:
        deps.engine.resolve(image)
    except NodewiseError as error:
        hint = error.hint or f"check the login for {host} under 'registries', and the way from the managers to it"
        return Check("registry", False, f"{host}: {error.what}", hint)
    return Check("registry", True, f"{host} answers the managers")
