"""What the gates are tried on: a small HTTP server, a real Prometheus and a real HAProxy, all on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import pytest
import requests

from tests.product import free_port, wait_for

METRICS = """\
web_errors{service="web",node="10.0.0.1",instance="a"} 0.01
web_errors{service="web",node="10.0.0.1",instance="b"} 0.04
web_errors{service="web",node="10.0.0.2",instance="c"} 0.01
web_errors{service="web",node="10.0.0.2",instance="d"} 0.5
web_errors{service="web",node="10.0.0.3",instance="e"} NaN
web_build{tag="1.2",digest="sha256:ab",rollout="r-1",task="10.1.0.5",node_name="node1"} 7
"""


def missing(*programs: str) -> str:
    """Why a test cannot run here; empty when it can."""
    lost = [name for name in programs if shutil.which(name) is None]
    return f"{', '.join(lost)} is missing: run ./dev setup as root" if lost else ""


def need(*programs: str) -> None:
    """Skip what cannot run here; in CI that is a failure."""
    if reason := missing(*programs):
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


class Server(ThreadingHTTPServer):
    """An application. What it answers is in the path; ``together`` lets go when two ask at once."""

    daemon_threads = True

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((host, port), Handler)
        self.over = threading.Event()
        self.left = threading.Event()
        self.together = threading.Barrier(2)
        self.seen: list[str] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.split("/")[1].partition("?")[0]
        self.server.seen.append(self.path)
        getattr(self, f"answer_{name or 'ok'}")()

    def say(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body) if length is None else length), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def answer_ok(self) -> None:
        self.say(200, b"all ready here")

    def answer_bad(self) -> None:
        self.say(500, b"not ready")

    def answer_moved(self) -> None:
        self.say(302, b"", Location="/ok")

    def answer_login(self) -> None:
        self.say(200 if self.headers["Authorization"] == "Basic bWU6aHVudGVyMg==" else 401, b"")

    def answer_latin(self) -> None:
        self.say(200, b"pr\xeat ready")

    def answer_metrics(self) -> None:
        self.say(200, METRICS.encode())

    def answer_late_word(self) -> None:
        self.say(200, b"-" * 65535 + b"ready")

    def answer_slow(self) -> None:
        self.server.over.wait(0.2)
        self.say(200, b"ok")

    def answer_torn(self) -> None:
        self.say(200, b"half", length=100)

    def answer_together(self) -> None:
        self.server.together.wait(10)
        self.say(200, b"ok")

    def answer_drip(self) -> None:
        """The answer, one byte at a time, for as long as anybody reads."""
        self.say(200, b"", length=10**9)
        self.drip()

    def answer_drip_head(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        self.drip()

    def answer_gone(self) -> None:
        """The connection ends, and nothing was said."""

    def drip(self) -> None:
        drip(self.connection, self.server.over, self.server.left)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def trusted_nowhere(server: Server) -> Iterator[Path]:
    """*server* speaks TLS, with a certificate of its own, whose file this gives."""
    with tempfile.TemporaryDirectory(prefix="nodewise-tls-") as name:
        key, certificate = Path(name) / "key", Path(name) / "certificate"
        made = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        named = ("-subj", "/CN=web", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate)
        subprocess.run([*made, *named], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        yield certificate


def drip(connection: socket.socket, over: threading.Event, left: threading.Event) -> None:
    """A byte now and then until the reader is gone (then *left* is set) or the test is *over*."""
    try:
        while not over.wait(0.02):
            connection.sendall(b"x")
    except OSError:
        left.set()


@contextmanager
def dripping() -> Iterator[tuple[int, threading.Event]]:
    """A port that answers one caller with single bytes for ever; the event tells when that one has gone."""
    over, left = threading.Event(), threading.Event()

    def answer() -> None:
        with listening.accept()[0] as connection:
            drip(connection, over, left)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1], left
        finally:
            over.set()


S = TypeVar("S", bound=ThreadingHTTPServer)


@contextmanager
def at_work(server: S) -> Iterator[S]:
    """A server with an event ``over``, on a thread of its own."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serving(host: str = "127.0.0.1", port: int = 0) -> Iterator[Server]:
    with at_work(Server(host, port)) as server:
        yield server


@contextmanager
def child(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block."""
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def running_prometheus(folder: Path, config: str) -> Iterator[str]:
    """The URL of a Prometheus that keeps everything in *folder*: it takes its first look after five seconds."""
    port = free_port()
    (folder / "prometheus.yml").write_text(config)
    command = (
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with child(*command, log=folder / "prometheus.log"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def prometheus() -> Iterator[str]:
    """The URL of a Prometheus that is about to scrape METRICS."""
    with tempfile.TemporaryDirectory(prefix="nodewise-prometheus-") as name, serving() as exporter:
        target = f"'127.0.0.1:{exporter.port}'"
        config = (
            "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n"
            f"scrape_configs: [{{job_name: app, honor_labels: true, static_configs: [{{targets: [{target}]}}]}}]\n"
        )
        with running_prometheus(Path(name), config) as url:
            yield url


def has_scraped(url: str) -> bool:
    """Whether the Prometheus there knows METRICS."""
    try:
        answer = requests.get(f"{url}/api/v1/query", params={"query": "web_build"}, timeout=5).json()
    except (requests.RequestException, ValueError):
        return False
    return bool(answer.get("data", {}).get("result"))


class HAProxy:
    """A HAProxy with one backend ``web`` of the given servers (name, port), checked ten times a second.

    ``defaults`` is one more line of that section. It may be run again: with counters at naught, as after a reload.
    """

    def __init__(self, folder: Path, servers: dict[str, int], check: bool = True, defaults: str = "") -> None:
        self.folder = folder
        self.port, self.socket_port = free_port(), free_port()
        self.unix, self.tcp = f"unix://{folder}/s", f"tcp://127.0.0.1:{self.socket_port}"
        checks = "check inter 100ms rise 1 fall 1" if check else ""
        lines = "\n".join(f"    server {name} 127.0.0.1:{port} {checks}" for name, port in servers.items())
        (folder / "cfg").write_text(f"""\
global
    stats socket {folder}/s mode 600 level admin
    stats socket ipv4@127.0.0.1:{self.socket_port} level user
defaults
    mode http
    {defaults}
    timeout connect 1s
    timeout client 5s
    timeout server 5s
listen web
    bind 127.0.0.1:{self.port}
{lines}
""")

    @contextmanager
    def running(self) -> Iterator[HAProxy]:
        with child("haproxy", "-db", "-f", f"{self.folder}/cfg", log=self.folder / "log"):
            wait_for("HAProxy's socket", self._answers, 20)
            yield self

    def _answers(self) -> bool:
        try:
            return "web" in self.command("show stat")
        except OSError:
            return False

    def command(self, line: str) -> str:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(f"{self.folder}/s")
            sock.sendall(line.encode() + b"\n")
            return b"".join(iter(lambda: sock.recv(65536), b"")).decode()

    def get(self, path: str, times: int = 1) -> list[int]:
        """Ask for *path* through it; the statuses that came back."""
        return [requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=10).status_code for _ in range(times)]

    def wait_state(self, server: str, state: str) -> None:
        def seen() -> str:
            rows = [line.split(",") for line in self.command("show stat web 4 -1").splitlines()]
            return next((row[17] for row in rows if row[1:2] == [server]), "")

        wait_for(f"{server} to be {state}", lambda: seen() == state, 20)
