"""A small shell with a web server as an image, built and pushed without Nodewise's own builder."""

from __future__ import annotations

import shutil
from pathlib import Path

import docker

from tests.lab.registry import Registry

RECIPE = """\
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "/bin"]
ARG VERSION
RUN mkdir -p /www && echo "$VERSION" > /www/version
CMD ["httpd", "-f", "-p", "8080", "-h", "/www"]
"""


def context(folder: Path) -> None:
    """A folder to build it in."""
    busybox = shutil.which("busybox")
    assert busybox, "the package busybox-static is missing"
    shutil.copy2(busybox, folder / "busybox")
    (folder / "Dockerfile").write_text(RECIPE)


def pushed(client: docker.APIClient, folder: Path, registry: Registry, tag: str) -> str:
    """Built in *folder* and pushed as ``app:TAG``; the pinned name."""
    name = f"{registry.address}/app"
    for line in client.build(str(folder), f"{name}:{tag}", rm=True, decode=True, buildargs={"VERSION": tag}):
        assert "error" not in line, line
    said = list(client.push(name, tag, stream=True, decode=True, auth_config={"username": ""}))
    digest = next(line["aux"]["Digest"] for line in said if line.get("aux"))
    return f"{name}:{tag}@{digest}"
