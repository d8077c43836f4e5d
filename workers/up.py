"""up: web, worker, clock, watcher and an embedded Redis in one command, for one machine.

A small supervisor: it keeps its children alive, restarts a worker that has stopped consuming (seen by the
sweep's heartbeat in the store), and stops all of them when it is told to stop.
"""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing import get_context
from pathlib import Path
from types import FrameType

import structlog

from nodewise import __version__
from nodewise.config.settings import Settings
from nodewise.domain.errors import UserError
from nodewise.store import Store
from tasks.sweep import HEARTBEAT
from workers import clock, embedded_redis, runner, watcher, web
from workers.address import address, refuse_taken_port
from workers.children import Child, die_with, reap, stop, write_pid

SILENT = 60.0  # seconds without a heartbeat after which a running worker counts as stuck
PATIENCE = 20.0

log = structlog.get_logger(__name__)


def up(settings: Settings, ready: Callable[[], None] = lambda: None) -> None:
    """Run until SIGTERM or SIGINT. Raises UserError when another one runs on the same data."""
    run_dir = settings.data_dir / "run"
    run_dir.mkdir(parents=True, exist_ok=True)
    with take_over(run_dir, settings.data_dir):
        _run(settings, run_dir, ready)


def _run(settings: Settings, run_dir: Path, ready: Callable[[], None]) -> None:
    refuse_taken_port(settings.listen)
    apart = ProcessPoolExecutor(1, get_context("fork"), initializer=die_with, initargs=(os.getpid(), signal.SIGTERM))
    with apart:  # what it imports goes with it
        apart.submit(_migrate, settings.database_url).result()
    write_pid(run_dir / "up.pid", os.getpid())
    gc.collect()
    gc.freeze()  # what is shared with the children stays shared: no collection touches it
    Supervisor(settings, run_dir).run(ready)


def _migrate(database_url: str) -> None:
    with closing(Store.open(database_url)) as store:
        store.migrate()


@contextmanager
def take_over(run_dir: Path, data_dir: Path) -> Iterator[None]:
    """Hold the data folder. Children of one that was killed hold it for a moment longer: they are waited for."""
    end = time.monotonic() + PATIENCE
    with (run_dir / "up.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if _alive(run_dir / "up.pid") or time.monotonic() > end:
                    raise UserError(
                        f"another 'nodewise up' runs on {data_dir}",
                        "stop it, or set NODEWISE_DATA_DIR to another folder",
                    ) from error
                time.sleep(0.1)
        yield


def _alive(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


class Supervisor:
    """Keeps the children of one ``up`` alive."""

    def __init__(self, settings: Settings, run_dir: Path) -> None:
        self._settings = settings
        self._run_dir = run_dir
        self._stopping = False
        self._checked = time.monotonic()
        self._redis = [Child("redis", lambda: embedded_redis.run(settings.redis_socket))]
        if not settings.embedded_redis:
            self._redis = []
        self._others = [
            Child("worker", lambda: runner.work(settings)),
            Child("web", lambda: web.serve(settings)),
            Child("clock", lambda: tick_and_watch(settings)),
        ]

    @property
    def _all(self) -> list[Child]:
        return [*self._redis, *self._others]

    def run(self, ready: Callable[[], None]) -> None:
        """Start, watch, restart, stop."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        told = False
        while not self._stopping:
            for child, status in reap(self._all):
                child.ended(status)
            for child in self._all:
                if child.pid == 0 and time.monotonic() >= child.start_at:
                    child.start(self._run_dir)
                if child.name == "redis":
                    self._await_redis(child)
            if not told and answers(self._settings.listen):
                told = True
                ready()
            self._restart_silent_worker()
            time.sleep(0.1)
        log.info("stopping", version=__version__)
        stop(self._others, PATIENCE)
        stop(self._redis, PATIENCE)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _await_redis(self, child: Child) -> None:
        """Let the others start on a Redis that answers: it is there within milliseconds."""
        end = time.monotonic() + 2.0
        while child.pid and not self._settings.redis_socket.exists() and time.monotonic() < end:
            time.sleep(0.01)

    def _restart_silent_worker(self) -> None:
        now = time.monotonic()
        if now - self._checked < SILENT / 6:
            return
        self._checked = now
        worker = next(c for c in self._others if c.name == "worker")
        if not worker.pid or now - worker.started < SILENT:
            return
        with closing(Store.open(self._settings.database_url)) as store:
            last = store.last_beat(HEARTBEAT)
        if last is not None and time.time() - last > SILENT:
            log.error("worker_silent", pid=worker.pid, seconds=round(time.time() - last))
            worker.signal(signal.SIGKILL)


def tick_and_watch(settings: Settings) -> None:
    """Clock and watcher in one process: they wait most of the time, and a process more would cost its memory."""
    with watcher.beside(settings):
        clock.tick(settings)


def answers(listen: str) -> bool:
    """Whether the web process takes connections."""
    host, port = address(listen)
    try:
        with socket.create_connection((host, port), timeout=0.2):
            return True
    except OSError:
        return False
