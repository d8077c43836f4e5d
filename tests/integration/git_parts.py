"""Repositories to fetch from, and servers that give them out: git's daemon, git over HTTP, sshd. All on loopback."""

from __future__ import annotations

import base64
import getpass
import hashlib
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nodewise.domain.recipe import Source
from tests.ports import free_port
from tests.product import wait_for

NOWHERE = "0" * 40
MAIN = "refs/heads/main"


def git(folder: Path, *arguments: str, **more: str) -> str:
    who = {f"GIT_{role}_{what}": f"{what}@x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_ALLOW_PROTOCOL": "file", **more}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(repository: Path, name: str, text: str, **more: str) -> str:
    (repository / name).parent.mkdir(parents=True, exist_ok=True)
    (repository / name).write_text(text)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", f"{name} is {text[:20]}", **more)
    return git(repository, "rev-parse", "HEAD")


def make_repository(folder: Path) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-qb", "main")
    commit(folder, "version", "1")
    return folder


def source(repository: Path | str, commit: str, ref: str = MAIN, **more: Any) -> Source:
    return Source(str(repository), ref, commit, **more)


def left_in(mirrors: Path) -> list[str]:
    """What is below the folder of mirrors besides them and their locks."""
    kept = [p for p in mirrors.rglob("*") if not any(part.endswith((".sha1", ".sha256")) for part in p.parts)]
    return sorted(str(p.relative_to(mirrors)) for p in kept if not p.name.endswith(".lock")
                  and p not in (mirrors / "rooms", mirrors / "rooms" / "lock"))  # fmt: skip


def mirror_of(mirrors: Path) -> Path:
    """The only mirror there is."""
    (found,) = mirrors.glob("*.sha1")
    return found


def objects(mirror: Path) -> int:
    """How many there are, loose or packed."""
    counted = dict(line.split(": ") for line in git(mirror, "count-objects", "-v").splitlines())
    return int(counted["count"]) + int(counted["in-pack"])


@contextmanager
def daemon(folder: Path) -> Iterator[str]:
    """git's own server of all repositories below *folder*. Its address."""
    port = free_port()
    process = subprocess.Popen(
        ["git", "daemon", "--export-all", f"--port={port}", "--listen=127.0.0.1", "--reuseaddr",
         f"--base-path={folder}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        wait_for("the server", lambda: listens(port))
        yield f"git://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait(60)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class GitHttp(ThreadingHTTPServer):
    """Repositories below ``folder`` by git's own http-backend, and LFS objects, for who has the ``login``, if one is
    needed. ``seen``: each request with the login that came along.
    """

    daemon_threads = True

    def __init__(self, folder: Path, login: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _GitHandler)
        self.folder, self.login = folder, login
        self.seen: list[tuple[str, str]] = []
        self.lfs: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def git_http(folder: Path, login: str = "") -> Iterator[GitHttp]:
    server = GitHttp(folder, login)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class _GitHandler(BaseHTTPRequestHandler):
    server: GitHttp

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        sent = self.headers.get("Authorization", "").removeprefix("Basic ")
        login = base64.b64decode(sent).decode()
        self.server.seen.append((self.path, login))
        if self.server.login and login != self.server.login:
            self.say(401, b"", **{"WWW-Authenticate": 'Basic realm="git"'})
        elif self.path.endswith("/objects/batch"):
            self.batch(json.loads(body))
        elif self.path.startswith("/lfs/"):
            self.say(200, self.server.lfs[self.path.removeprefix("/lfs/")])
        else:
            self.backend(body)

    def batch(self, asked: dict[str, Any]) -> None:
        objects = [{**o, **self.lfs_answer(o["oid"])} for o in asked["objects"]]
        body = json.dumps({"transfer": "basic", "objects": objects}).encode()
        self.say(200, body, **{"Content-Type": "application/vnd.git-lfs+json"})

    def lfs_answer(self, oid: str) -> dict[str, Any]:
        if oid not in self.server.lfs:
            return {"error": {"code": 404, "message": "there is no such object"}}
        return {"actions": {"download": {"href": f"{self.server.url}/lfs/{oid}"}}}

    def backend(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        env = {**os.environ, "GIT_PROJECT_ROOT": str(self.server.folder), "GIT_HTTP_EXPORT_ALL": "1",
               "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
               "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
               "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
               "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
               "GIT_PROTOCOL": self.headers.get("Git-Protocol", "")}  # fmt: skip
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=True)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.say(int(headers.pop("Status", "200").split()[0]), answer, **headers)

    def say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def lfs_pointer(content: bytes) -> tuple[str, str]:
    """What stands in the tree for *content*, and the name that it has on the server."""
    oid = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n", oid


@dataclass
class Sshd:
    """A real sshd that lets in one key. ``known``: a file with its host key."""

    port: int
    key: Path
    known: Path
    folder: Path = field(repr=False)

    def url(self, repository: Path) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{repository}"


@contextmanager
def sshd(folder: Path) -> Iterator[Sshd]:
    """As a process of its own, with a host key and a configuration of its own."""
    folder.mkdir(mode=0o700)
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "key.pub", folder / "authorized")
    port = free_port()
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        f"PidFile {folder}/pid\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it locks itself in, whatever its configuration says
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "config")], stderr=log)
    try:
        wait_for("the server", lambda: listens(port))
        yield Sshd(port, folder / "key", known, folder)
    finally:
        process.terminate()
        process.wait(60)
