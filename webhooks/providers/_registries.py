"""What the registries' files share: errors that name their place, keys, images by their parts. It is no provider."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nodewise.domain.events import ImagePushed
from webhooks.bodies import digest, image
from webhooks.provider import Unreadable

UNTAGGED = "pushed by digest, without a tag"


@contextmanager
def at(where: str) -> Iterator[None]:
    """What cannot be read inside is told with its place in the body in front."""
    try:
        yield
    except Unreadable as error:
        what = f"{where}.{error.what}" if error.field else f"{where}: {error.what}"
        raise Unreadable(what, f"{where}.{error.field}" if error.field else where) from None


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
