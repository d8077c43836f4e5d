"""Image indexes: one name for the images of several platforms. Composes what a registry is sent; sends nothing itself.

The forms are those of the OCI image specification (image-index.md, v1.1) and, where all images are in Docker's own
form, of the manifest list (distribution, docs: spec/manifest-v2-2).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Index:
    """What is sent: its media type, and its bytes."""

    kind: str
    body: bytes

    @property
    def digest(self) -> str:
        return digest_of(self.body)


def digest_of(body: bytes) -> str:
    """By which a registry knows these very bytes."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def entries(platform: str, kind: str, body: bytes) -> list[Entry]:
    """How an index names the image whose manifest is *body*, of media type *kind*. Raises ValueError for no image.

    An engine may have pushed an index by itself, with one image and what attests it: then the entries of that one,
    since engines do not look into an index within an index.
    """
    said = json.loads(body)
    if kind in (OCI_INDEX, DOCKER_LIST):
        return [entry for entry in said["manifests"] if isinstance(entry, dict)]
    if kind not in (OCI_MANIFEST, DOCKER_MANIFEST):
        raise ValueError(f"{kind or 'nothing'} is no image manifest")
    return [{"mediaType": kind, "digest": digest_of(body), "size": len(body), "platform": _named(platform)}]


def index_of(found: Iterable[Entry]) -> Index:
    """The index of these entries, in their order: the same ones make the same bytes."""
    manifests = list(found)
    docker = all(entry.get("mediaType") == DOCKER_MANIFEST for entry in manifests)
    kind = DOCKER_LIST if docker else OCI_INDEX
    content = {"schemaVersion": 2, "mediaType": kind, "manifests": manifests}
    return Index(kind, json.dumps(content, separators=(",", ":")).encode())


def _named(platform: str) -> dict[str, str]:
    return dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
