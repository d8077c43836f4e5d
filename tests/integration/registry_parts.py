"""What asking registries is tried on: images pushed by plain requests, and a registry that answers as it is told."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from nodewise.adapters.registry.oci import OciRegistry
from nodewise.domain.errors import NodewiseError
from nodewise.domain.images import ImageName
from nodewise.testing import ManualClock
from tests.integration.gate_parts import at_work, need
from tests.integration.swarm_parts import LOGIN
from tests.lab.registry import BINARY, Registry
from tests.ports import free_port

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"
BASIC = "Basic " + base64.b64encode(f"{LOGIN['username']}:{LOGIN['password']}".encode()).decode()
Login = tuple[str, str] | None


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def login(self) -> str:
        return self.headers.get("authorization", "")


@dataclass
class Reply:
    """``hang``: nothing more is said until the test is over, or byte by byte where there is a body."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False


class Scripted(ThreadingHTTPServer):
    """Answers every request by ``reply``, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), Handler)
        self.reply: Callable[[Asked], Reply] = lambda _: Reply(404)
        self.seen: list[Asked] = []
        self.over = threading.Event()

    @property
    def name(self) -> str:
        """As it stands in image names."""
        return f"{self.server_address[0]}:{self.server_address[1]}"

    @property
    def asked(self) -> list[str]:
        return [f"{a.method} {a.path}" for a in self.seen]


class Handler(BaseHTTPRequestHandler):
    server: Scripted

    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, sent)
        self.server.seen.append(asked)
        reply = self.server.reply(asked)
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        if reply.hang and not body:
            self.server.over.wait(30)
            return
        self.send_response(reply.status)
        length = 10**6 if reply.hang else len(body)
        for key, value in {"Content-Length": str(length), **reply.headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            self._drip(reply.hang)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def _drip(self, hang: bool) -> None:
        try:
            while hang and not self.server.over.wait(0.05):
                self.wfile.write(b" ")
        except OSError:
            pass  # the reader has gone

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def scripted(host: str = "127.0.0.1") -> Iterator[Scripted]:
    with at_work(Scripted(host)) as server:
        yield server


def push(registry: str, path: str, *tags: str, content: str = "", login: Login = None, kind: str = MANIFEST) -> str:
    """An image of one platform, under every one of *tags*; its digest. *kind*: its manifest's media type."""
    config = _blob(registry, path, json.dumps({"os": "linux", "made": content}).encode(), login)
    layer = _blob(registry, path, b"layer", login)
    if kind == DOCKER_MANIFEST:
        config["mediaType"] = "application/vnd.docker.container.image.v1+json"
        layer["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    return _put(registry, path, kind, {"config": config, "layers": [layer]}, tags, login)


def push_index(registry: str, path: str, tag: str, digest: str) -> str:
    """An index whose one platform is the image *digest*; its own digest."""
    url, accepted = f"http://{registry}/v2/{path}/manifests/{digest}", {"Accept": MANIFEST}
    size = len(requests.get(url, headers=accepted, timeout=20).content)
    platform = {"os": "linux", "architecture": "amd64"}
    child = {"mediaType": MANIFEST, "digest": digest, "size": size, "platform": platform}
    return _put(registry, path, INDEX, {"manifests": [child]}, [tag], None)


def _put(registry: str, path: str, kind: str, content: Any, tags: Any, login: Login) -> str:
    body = json.dumps({"schemaVersion": 2, "mediaType": kind, **content}).encode()
    for tag in tags:
        url = f"http://{registry}/v2/{path}/manifests/{tag}"
        requests.put(url, body, headers={"Content-Type": kind}, auth=login, timeout=20).raise_for_status()
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _blob(registry: str, path: str, data: bytes, login: Login) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    begun = requests.post(f"http://{registry}/v2/{path}/blobs/uploads/", auth=login, timeout=20)
    begun.raise_for_status()
    where = f"{begun.headers['Location']}&digest={digest}"
    requests.put(where, data, headers={"Content-Type": "x/y"}, auth=login, timeout=20).raise_for_status()
    return {"mediaType": "application/octet-stream", "digest": digest, "size": len(data)}


DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32
FOUND = Reply(headers={"Docker-Content-Digest": DIGEST})


def asking(login: bool = False, clock: ManualClock | None = None, timeout: float = 10.0) -> OciRegistry:
    return OciRegistry(
        lambda _: LOGIN if login else None, clock=(clock or ManualClock(time.time())).now, timeout=timeout
    )


def image(registry: str, tag: str = "1.0", path: str = "team/web") -> ImageName:
    return ImageName.parse(f"{registry}/{path}:{tag}")


def told(ask: Callable[[], object], kind: type[NodewiseError]) -> str:
    """What is said to the user; no secret is in it."""
    with pytest.raises(kind) as error:
        ask()
    assert type(error.value) is kind
    assert LOGIN["password"] not in str(error.value)
    return str(error.value)


@contextmanager
def real_registry(folder: Path) -> Iterator[str]:
    """A real one on loopback; its address."""
    need(BINARY)
    registry = Registry(folder, "127.0.0.1", free_port()).start()
    yield registry.address
    registry.stop()
