"""What engine and builder tests share beside the lab's swarm: raw services, and a registry that wants a login."""

from __future__ import annotations

import contextlib
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from nodewise.domain.swarm import ServiceView, Spec
from tests.lab.lab import Lab
from tests.ports import free_port
from tests.swarms import RealGround

T = TypeVar("T")

# bot : s3cret-pw
HTPASSWD = "bot:$2b$04$Rw.N8P8l4k/wfgnQAHkRLOreLbvThwrtWgDxFZjDs6QUud6gSvZae\n"
LOGIN = {"username": "bot", "password": "s3cret-pw"}


def until(fact: Callable[[], T], seconds: float = 120.0) -> T:
    """Wait until *fact* is true, and return it."""
    end = time.monotonic() + seconds
    while True:
        value = fact()
        if value or time.monotonic() > end:
            assert value, f"not so within {seconds} s"
            return value
        time.sleep(0.05)


class RealSwarm(RealGround):
    """The lab's swarm, for what only the adapter knows of it."""

    def __init__(self, lab: Lab, registry: str, v1: str, v2: str) -> None:
        super().__init__(lab, v1, v2)
        self.registry = registry
        self.own = uuid.uuid4().hex[:6]  # part of every name: others use the swarm too

    def create_raw(self, spec: Spec, **headers: str) -> ServiceView:
        url = self.raw._url("/services/create")
        self.made.append(self.raw._result(self.raw._post_json(url, spec, headers=dict(headers)), json=True)["ID"])
        return self.service(self.made[-1])

    def clear(self) -> None:
        """Remove what the tests made, and wait until its containers are gone."""
        made = tuple(self.made)
        super().clear()
        until(lambda: self.gone(made))


@contextlib.contextmanager
def private_registry(host: str, folder: Path, port: int = 0) -> Iterator[str]:
    """A registry on *host* that asks for a login."""
    address = f"{host}:{port or free_port(host)}"
    (folder / "htpasswd").write_text(HTPASSWD)
    (folder / "registry.yml").write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        f"http: {{addr: '{address}'}}\n"
        f"auth: {{htpasswd: {{realm: private, path: {folder}/htpasswd}}}}\n"
    )
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(folder / "registry.yml")], stdout=subprocess.DEVNULL, stderr=log
        )
    try:
        until(lambda: "listening on" in (folder / "log").read_text())
        yield address
    finally:
        process.terminate()
        process.wait(60)
