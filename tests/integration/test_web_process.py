"""``nodewise web`` alone, as a process: its server, the worker behind it, and what becomes of both."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.integration.web_parts import Api, add_moving, open_deps, settings_in
from tests.ports import free_port
from tests.product import ROOT, wait_for
from workers.web import GRACE

pytestmark = pytest.mark.seconds(60)

LARGEST = 200_000  # bytes of a body
UNAVAILABLE = (
    "from workers.web import serve; from nodewise.config.settings import load_settings; serve(load_settings())"
)


class Web:
    """The process, and the address that it answers at."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url

    @property
    def worker(self) -> int:
        """0 while there is none."""
        pid = self.process.pid
        return int((Path(f"/proc/{pid}/task/{pid}/children").read_text().split() or ["0"])[0])

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).ok
        except requests.RequestException:
            return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, float]:
        """Exit code, what was logged, and the seconds that it took."""
        begun = time.monotonic()
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=60)
        return self.process.returncode, said, time.monotonic() - begun


@contextmanager
def serving(folder: Path, patch: pytest.MonkeyPatch, host: str = "127.0.0.1", **env: str) -> Iterator[Web]:
    port = free_port()
    settings_in(folder, patch, port, NODEWISE_LISTEN=f"{host}:{port}", **env)
    config = folder / "nodewise.yaml"
    config.write_text("hooks: {github: {provider: github, secrets: [the-secret-of-this-hook]}}")
    patch.setenv("NODEWISE_CONFIG", str(config))
    command = [sys.executable, "-m", "workers.main", "web"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    web = Web(process, f"http://{host or '127.0.0.1'}:{port}")
    try:
        wait_for("an answer", web.answers)
        yield web
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    with serving(tmp_path, monkeypatch, NODEWISE_MAX_BODY_BYTES=str(LARGEST)) as started:
        yield started


def runs(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_stops_at_once_when_told_and_has_said_nothing(web: Web) -> None:
    code, said, took = web.stop()
    assert (code, said) == (0, "")
    assert took < GRACE


def test_a_killed_worker_is_followed_by_another(web: Web) -> None:
    old = web.worker
    os.kill(old, signal.SIGKILL)
    wait_for("another", lambda: web.worker not in (0, old) and web.answers())
    code, said, _ = web.stop()
    assert code == 0
    assert "worker-1" in said, "it is in the log"


def test_no_worker_outlives_the_process_that_was_killed(web: Web) -> None:
    worker = web.worker
    web.process.kill()
    wait_for("its end", lambda: not runs(worker))


def test_a_worker_that_cannot_start_ends_the_process_with_the_reason(tmp_path, monkeypatch) -> None:
    settings_in(
        tmp_path, monkeypatch, free_port(), NODEWISE_DATABASE_URL=f"postgresql://nobody@127.0.0.1:{free_port()}/n"
    )
    command = [sys.executable, "-c", UNAVAILABLE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "the database does not answer" in done.stdout + done.stderr


def test_a_second_one_is_refused_the_same_port(web: Web) -> None:
    command = [sys.executable, "-m", "workers.main", "web"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "cannot listen" in done.stdout + done.stderr
    assert web.answers()


@pytest.mark.parametrize("host", ["[::1]", "localhost", ""])
def test_it_listens_where_it_should(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if host == "[::1]" and not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 here")
    with serving(tmp_path, monkeypatch, host) as web:
        assert web.worker


@pytest.mark.parametrize(("size", "status"), [(LARGEST, 401), (LARGEST + 1, 413)])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_read_to_its_limit_however_it_is_sent(web: Web, size: int, status: int, chunked: bool) -> None:
    body = b"x" * size
    data = iter([body[:1000], body[1000:]]) if chunked else body
    assert requests.post(f"{web.url}/hooks/github", data=data, timeout=30).status_code == status


def test_a_client_that_waits_to_be_told_to_go_on_is_told(web: Web) -> None:
    host, port = web.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as client:
        client.sendall(b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n")
        client.sendall(b"Expect: 100-continue\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 100 Continue")
        client.sendall(b"{}")
        assert client.recv(4096).startswith(b"HTTP/1.1 401")


def test_streams_whose_clients_went_away_are_free_again_and_one_that_stays_does_not_hold_up_the_end(web: Web) -> None:
    deps = open_deps()
    add_moving(deps)
    api = Api(deps, web.url)
    for answer in [api.get("rollouts/r-1/stream", stream=True) for _ in range(4)]:
        assert answer.ok
        answer.close()
    stream = wait_for("a free stream", lambda: (s := api.get("rollouts/r-1/stream", stream=True)).ok and s)
    assert next(stream.iter_lines(chunk_size=None))
    _, _, took = web.stop()
    assert took < GRACE + 5
    deps.store.close()
