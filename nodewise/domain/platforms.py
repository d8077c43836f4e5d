"""Images for several platforms: what each of them is called, and which build's image a name belongs to. Pure.

A platform is ``os/arch[/variant]``, as the docker command line writes it. Where there are several, each has an image of
its own, and the build's name stands for an index of them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nodewise.domain.images import ImageName


def names(image: str, platforms: Iterable[str]) -> dict[str, ImageName]:
    """Platform to the name that its image is built and pushed under; ``""`` is the engine's own.

    For one platform that is *image* itself. Raises UserError where a name comes out too long.
    """
    found, whole = tuple(platforms), ImageName.parse(image)
    if len(found) > 1:
        return {platform: part(whole, platform) for platform in found}
    return {"".join(found): whole}


def part(image: ImageName, platform: str) -> ImageName:
    """*image* for one platform of several: ``shop:1.2.0-linux-arm64``. Raises UserError where that is too long."""
    return ImageName.parse(str(image.with_tag((image.tag or "latest") + _ending(platform))))


def wholes(tag: str, platforms: Iterable[str]) -> Iterator[str]:
    """The tags whose part *tag* may be."""
    for ending in map(_ending, platforms):
        if tag.endswith(ending) and tag != ending:
            yield tag.removesuffix(ending)


def _ending(platform: str) -> str:
    return "-" + platform.replace("/", "-")
