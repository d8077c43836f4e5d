"""Those who call Nodewise from outside, as users run them: docker, git over HTTP, Prometheus with Alertmanager."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.integration.gate_parts import child, running_prometheus
from tests.product import free_port, wait_for

DOCKER = "/usr/bin/docker"  # Debian's: a newer one on the PATH may speak no version that the lab's engines know


def docker_push(docker_host: str, image: str, folder: Path) -> str:
    """What ``docker push`` says. *folder* stands for the home of someone who is logged in nowhere."""
    env = {**os.environ, "DOCKER_CONFIG": str(folder), "DOCKER_HOST": docker_host}
    done = subprocess.run([DOCKER, "push", image], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


class GitHandler(BaseHTTPRequestHandler):
    """git-http-backend(1) behind the little of a web server that it needs. Everyone may fetch and push."""

    protocol_version = "HTTP/1.1"
    server: GitServer

    def do_GET(self) -> None:
        self._run()

    def do_POST(self) -> None:
        self._run()

    def _run(self) -> None:
        path, _, query = self.path.partition("?")
        body = self._body()
        env = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": "ada",
            "REMOTE_ADDR": self.client_address[0],
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, timeout=60)
        self._answer(*done.stdout.partition(b"\r\n\r\n")[::2])

    def _body(self) -> bytes:
        """A large push comes in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, head: bytes, content: bytes) -> None:
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


class GitServer(ThreadingHTTPServer):
    """The bare repositories of *folder*, over HTTP."""

    daemon_threads = True

    def __init__(self, folder: Path, host: str) -> None:
        super().__init__((host, free_port(host)), GitHandler)
        self.folder = folder
        self.url = f"http://{host}:{self.server_port}"


@contextmanager
def git_over_http(folder: Path, host: str) -> Iterator[GitServer]:
    with GitServer(folder, host) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Alertmanager:
    """A Prometheus that scrapes *targets* and judges by *rules*, and the Alertmanager that it tells.

    Twice a second one looks, and every second the other tells again what still fires: the intervals of a real one,
    in short.
    """

    def __init__(self, folder: Path, receiver: dict[str, Any]) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        route = {
            "receiver": "nodewise",
            "group_by": ["nodewise_service"],
            "group_wait": "0s",
            "group_interval": "1s",
            "repeat_interval": "1s",
        }
        config = {"route": route, "receivers": [{"name": "nodewise", "webhook_configs": [receiver]}]}
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))

    @contextmanager
    def running(self, targets: Sequence[str], rules: Sequence[dict[str, Any]]) -> Iterator[Alertmanager]:
        (self.folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "app", "rules": list(rules)}]}))
        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": [str(self.folder / "rules.yml")],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [self.address]}]}]},
            "scrape_configs": [
                {"job_name": "app", "metrics_path": "/metrics.txt", "static_configs": [{"targets": list(targets)}]}
            ],
        }
        command = (
            "prometheus-alertmanager",
            f"--config.file={self.folder}/alertmanager.yml",
            f"--storage.path={self.folder}/alerts",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",  # one alone
        )
        with child(*command, log=self.folder / "alertmanager.log"):
            with running_prometheus(self.folder, yaml.safe_dump(config)):
                wait_for("Alertmanager", self._answers)
                yield self

    def _answers(self) -> bool:
        try:
            return requests.get(f"http://{self.address}/-/ready", timeout=5).ok
        except requests.RequestException:
            return False

    def count(self, name: str) -> int:
        """One of its counters about webhooks."""
        lines = requests.get(f"http://{self.address}/metrics", timeout=5).text.splitlines()
        return int(float(next(line.split()[-1] for line in lines if line.startswith(f'{name}{{integration="webhook"'))))
