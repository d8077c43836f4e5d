"""What the hostile repository's tests share: a client with secrets at hand, and servers that mean no good."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nodewise.adapters.git.cli import GitCli
from nodewise.domain.errors import GiveUp, NodewiseError
from nodewise.domain.recipe import Access
from tests.integration.gate_parts import at_work
from tests.integration.git_parts import MAIN, git, git_http, left_in, source

SECRETS = ("t0ken-of-a-bot", "s3cret-in-the-environment")


@dataclass
class Attempt:
    """A repository, and a client with secrets at hand. ``mark``: a command that would leave a mark."""

    repository: Path
    mirrors: Path
    into: Path
    marker: Path
    access: Access
    client: GitCli

    @property
    def mark(self) -> str:
        return f"touch {self.marker}"

    def refused(self, repository: str = "", ref: str = MAIN, commit: str = "", **more: Any) -> GiveUp:
        """Both verbs refuse it in the same way. The error."""
        wanted = source(repository or self.repository, commit or self.head, ref, access=self.access, **more)
        with pytest.raises(GiveUp) as caught:
            self.client.checkout(wanted, self.into)
        self.check(caught.value)
        if not more:
            with pytest.raises(GiveUp) as looked:
                self.client.look(wanted)
            self.check(looked.value)
        return caught.value

    @property
    def head(self) -> str:
        return git(self.repository, "rev-parse", "HEAD")

    def check(self, error: NodewiseError | None = None) -> None:
        assert not self.marker.exists(), "something was run"
        assert not any(secret in str(error) for secret in SECRETS)
        assert left_in(self.mirrors) == []


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    with suppress(BlockingIOError):
        while connection.recv(4096):
            pass
        return False
    return True


class _Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        sent = self.headers.get("Authorization", "").removeprefix("Basic ")
        body = f"you said {base64.b64decode(sent).decode()}".encode()
        self.send_response(403 if sent else 401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Echoing(ThreadingHTTPServer):
    over = threading.Event()


@contextmanager
def echo() -> Iterator[str]:
    with at_work(_Echoing(("127.0.0.1", 0), _Echo)) as server:
        yield f"http://127.0.0.1:{server.server_port}/app"


@contextmanager
def served(repository: Path) -> Iterator[str]:
    with git_http(repository.parent) as server:
        yield f"{server.url}/{repository.name}"
