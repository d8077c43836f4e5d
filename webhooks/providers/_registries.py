"""What the registries' files share: keys, images by their parts. It is no provider."""

from __future__ import annotations

from nodewise.domain.events import ImagePushed
from webhooks.bodies import at, digest, image

UNTAGGED = "pushed by digest, without a tag"


def pushed(repository: str, tag: str, digest: str, fields: tuple[str, str, str]) -> ImagePushed:
    """A pushed tag by its parts. One after the other, so that Unreadable names that of *fields* which is wrong."""
    with at(fields[0]):
        image(repository, "latest")
    with at(fields[1]):
        image(repository, tag)
    with at(fields[2]):
        return image(repository, tag, digest)


def is_tag(reference: str) -> bool:
    """Whether *reference* can be a tag: a digest has a colon, which no tag has."""
    return bool(reference) and ":" not in reference


def key_of(given: object, body: bytes) -> str:
    """The sender's id of a delivery where it is a plain word, and else the body's digest."""
    if isinstance(given, str) and given and given.isascii() and given.isprintable():
        return given
    return digest(body)


def printable(word: str) -> str:
    """A sender's word as a note can hold it: short, and without what a terminal or a store would trip over."""
    return "".join(c if c.isprintable() else "?" for c in word[:60])
