"""Registries, asked directly: ``nodewise.ports.Registry`` by the OCI distribution API (distribution-spec, v1.1).

Names what is asked, and reads the answers. How it is asked is ``asking``'s.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

from nodewise.adapters.credentials import RegistryAuth
from nodewise.adapters.registry.asking import Asking
from nodewise.adapters.registry.index import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Entry,
    digest_of,
    entries,
    index_of,
)
from nodewise.adapters.registry.session import Answer
from nodewise.domain.errors import NotFound, RetryLater, UserError
from nodewise.domain.images import ImageName

PAGE = 1000  # tags; a registry gives fewer where it does not like that many
MOST_PAGES = 100
_MANIFESTS = ", ".join((OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST))


class OciRegistry:
    """Every registry there is, each by the name that it has in image names.

    *auth*: logins. *address*: the URL at which a registry is asked, where it is not the usual one. *clock*: seconds
    since the epoch. *timeout*: seconds for an answer. Raises only the errors of ``nodewise.domain.errors``. May be
    shared by threads.
    """

    def __init__(
        self,
        auth: RegistryAuth,
        address: Callable[[str], str] = lambda _: "",
        clock: Callable[[], float] = time.time,
        timeout: float = 10.0,
    ) -> None:
        self._asking = Asking(auth, address, clock, timeout)

    def tags(self, image: ImageName) -> Sequence[str]:
        """Every tag of the image's repository, page by page."""
        found: list[str] = []
        image = ImageName(image.registry, image.path)
        address = f"/v2/{image.path}/tags/list?n={PAGE}"
        for _ in range(MOST_PAGES):
            answer = self._asking.ask("GET", image, address)
            found += _tags(image, answer)
            address = _next(answer, address)
            if not address:
                return found
        raise UserError(f"the registry {image.registry} has more than {MOST_PAGES} pages of tags of {image.path}")

    def digest(self, image: ImageName) -> str:
        """What the tag stands for: an index where there is one, as engines see it."""
        address = f"/v2/{image.path}/manifests/{image.tag or 'latest'}"
        answer = self._asking.ask("HEAD", image, address, Accept=_MANIFESTS)
        said = answer.headers.get("Docker-Content-Digest", "")
        if not said:
            raise UserError(f"the registry {image.registry} does not tell the digest of {image}")
        return ImageName.parse(f"{image.repository}@{said}").digest

    def remove(self, image: ImageName) -> None:
        """Remove the manifest that the digest is of, and with it every tag that stands for it.

        By the digest, never by a tag: one that has moved on is not touched. What it was made of stays until the
        registry collects its garbage. (distribution-spec v1.1, "Deleting Manifests": 202, or 404 where it is gone.)
        """
        try:
            self._asking.ask("DELETE", image, f"/v2/{image.path}/manifests/{image.digest}")
        except NotFound:
            pass

    def index(self, name: ImageName, parts: Mapping[str, str]) -> str:
        """Put the index under *name*. Its digest is that of what was sent; a registry that says another is told of.

        (distribution-spec v1.1, "Pushing Manifests": 201, where it has all that the index names.)
        """
        index = index_of(e for platform, digest in parts.items() for e in self._entries(name, platform, digest))
        address = f"/v2/{name.path}/manifests/{name.tag or 'latest'}"
        answer = self._asking.ask("PUT", name, address, index.body, **{"Content-Type": index.kind})
        said = answer.headers.get("Docker-Content-Digest", index.digest)
        if said != index.digest:
            raise UserError(f"the registry {name.registry} has changed the index {name}: it is {said} there")
        return index.digest

    def _entries(self, name: ImageName, platform: str, digest: str) -> list[Entry]:
        address = f"/v2/{name.path}/manifests/{digest}"
        try:
            answer = self._asking.ask("GET", name, address, Accept=_MANIFESTS)
        except NotFound:
            what = f"the registry {name.registry} does not have {digest}, the part of {name} for {platform}"
            raise RetryLater(what, delay=5.0) from None
        try:
            if digest_of(answer.body) != digest:
                raise ValueError("these are other bytes")
            return entries(platform, answer.headers.get("Content-Type", "").partition(";")[0].strip(), answer.body)
        except (ValueError, KeyError, TypeError) as error:
            what = (
                f"the registry {name.registry} answers with no manifest for {digest}, the part for {platform}: {error}"
            )
            raise UserError(what) from None

    def ping(self, registry: str) -> float | None:
        """The time that stands on its answer."""
        return _time_of(self._asking.ping(registry).headers.get("Date", ""))


def _time_of(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None


def _tags(image: ImageName, answer: Answer) -> list[str]:
    try:
        said = json.loads(answer.body)
        return [tag for tag in said["tags"] or () if isinstance(tag, str)]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"the registry {image.registry} answers with no list of tags") from None


def _next(answer: Answer, address: str) -> str:
    """Where the next page is, on the same registry: behind a proxy the host in a link may be anything."""
    link = answer.links.get("next", {}).get("url", "")
    parts = urlsplit(urljoin(address, link))
    return f"{parts.path}?{parts.query}" if link else ""
