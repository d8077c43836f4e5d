"""The index that is made of the images for several platforms: its form, and that it is the same each time."""

from __future__ import annotations

import json

import pytest

from nodewise.adapters.registry.index import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, entries, index_of

AMD, ARM, OLD = "linux/amd64", "linux/arm64", "linux/arm/v7"


@pytest.mark.parametrize(
    ("kinds", "kind"),
    [
        ((DOCKER_MANIFEST, DOCKER_MANIFEST), DOCKER_LIST),
        ((OCI_MANIFEST, OCI_MANIFEST), OCI_INDEX),
        ((DOCKER_MANIFEST, OCI_MANIFEST), OCI_INDEX),
    ],
)
def test_an_index_is_of_the_form_of_its_images_and_the_same_bytes_each_time(kinds, kind):
    def made():
        return index_of(e for p, k in zip((OLD, AMD), kinds, strict=True) for e in entries(p, k, b'{"x": 1}'))

    said = json.loads(made().body)
    assert (made().kind, said["mediaType"], said["schemaVersion"]) == (kind, kind, 2)
    assert [m["mediaType"] for m in said["manifests"]] == list(kinds)
    assert [m["platform"] for m in said["manifests"]] == [
        {"os": "linux", "architecture": "arm", "variant": "v7"},
        {"os": "linux", "architecture": "amd64"},
    ]
    assert {m["size"] for m in said["manifests"]} == {8}
    assert made() == made()
    assert made().digest.startswith("sha256:")


def test_of_an_index_that_an_engine_has_pushed_the_entries_are_taken():
    inner = [{"mediaType": OCI_MANIFEST, "digest": "sha256:aa", "size": 2, "platform": {"architecture": "arm64"}}]
    body = json.dumps({"manifests": inner}).encode()
    assert entries(ARM, OCI_INDEX, body) == inner


@pytest.mark.parametrize("kind", ["", "text/html", "application/vnd.docker.distribution.manifest.v1+prettyjws"])
def test_what_is_no_image_is_in_no_index(kind):
    with pytest.raises(ValueError, match="no image manifest"):
        entries(AMD, kind, b"{}")
