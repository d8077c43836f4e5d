"""Work that takes long, attended to: twice a second it is asked whether to go on, and a no ends it at once.

Two kinds of work: requests to an engine, which a thread of their own carries out, since nobody can say when an
answer comes; and child processes. Neither outlives the call.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, Full, Queue
from typing import Any, TypeVar

from nodewise.adapters.builds.lines import Lines
from nodewise.adapters.builds.masking import Mask
from nodewise.adapters.managers import Client
from nodewise.ports import Progress

T = TypeVar("T")

TICK = 0.25  # seconds that anything is waited for
_EVERY = 0.5  # seconds between two checks, at least; with a tick more, at most: the port promises one a second
_AHEAD = 64  # chunks that are read before somebody wants them
_PATIENCE = 5.0  # seconds for a thread whose connection was cut; it is left to itself then


class Over(BaseException):
    """Wraps what a Progress raised, up to ``unwrapped``: no handler on the way takes it for an error of the work."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


@contextmanager
def unwrapped() -> Iterator[None]:
    """Let what a Progress raised go on to the caller as it is."""
    try:
        yield
        return
    except Over as over:
        error = over.error
    raise error


class Reporter:
    """A Progress whose lines are masked, and whose check may be called as often as one likes. Raises Over."""

    def __init__(self, progress: Progress, mask: Mask | None = None) -> None:
        self._progress = progress
        self._checked_at = float("-inf")
        self.mask = mask or Mask()

    def line(self, text: str) -> None:
        """One line, masked."""
        try:
            self._progress.line(self.mask(text))
        except Exception as error:
            raise Over(error) from error

    def check(self) -> None:
        """Whether to go on, unless that was asked a moment ago."""
        if time.monotonic() - self._checked_at < _EVERY:
            return
        try:
            self._progress.check()
        except Exception as error:
            raise Over(error) from error
        self._checked_at = time.monotonic()


class Connections:
    """Every connection that a client opens, so that it can be cut while even the headers are awaited."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: list[Any] = []  # sockets
        self.over = False

    def watch(self, client: Client) -> Client:
        """*client*, of whose connections all are known from now on."""
        adapter: Any = client.get_adapter(client.base_url)
        plain = adapter.get_connection_with_tls_context

        def watched(*args: Any, **kwargs: Any) -> Any:
            pool = plain(*args, **kwargs)
            take = pool._get_conn  # an idle one, or one that is to be opened
            pool._get_conn = lambda timeout=None: self._watched(take(timeout))
            return pool

        adapter.get_connection_with_tls_context = watched
        return client

    def cut(self) -> None:
        """Cut them all, and every one to come. An engine stops a build or a pull whose connection is gone."""
        with self._lock:
            self.over = True
            opened, self._opened = self._opened, []
        for opened_socket in opened:
            with suppress(OSError):  # closed already
                opened_socket.shutdown(socket.SHUT_RDWR)

    def _watched(self, connection: Any) -> Any:
        """The socket is kept, since a connection lets go of it once an answer without an end has begun."""
        connect = connection.connect

        def connect_and_tell() -> None:
            connect()
            self._add(connection.sock)

        connection.connect = connect_and_tell
        if connection.sock is not None:
            self._add(connection.sock)
        return connection

    def _add(self, opened_socket: Any) -> None:
        with self._lock:
            if self.over:
                raise ConnectionAbortedError("nobody waits for this any more")
            self._opened.append(opened_socket)


def aside(produce: Callable[[Connections], Iterator[T]], reporter: Reporter) -> Generator[T]:
    """What *produce* gives, made by a thread. Close it (``contextlib.closing``): that cuts its connections.

    Raises what *produce* raises, and Over.
    """
    made: Queue[tuple[T] | BaseException | None] = Queue(_AHEAD)
    opened = Connections()

    def put(item: tuple[T] | BaseException | None) -> None:
        while not opened.over:
            with suppress(Full):
                made.put(item, timeout=TICK)
                return

    def work() -> None:
        try:
            for item in produce(opened):
                put((item,))
                if opened.over:
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, name="builder", daemon=True)
    reporter.check()
    thread.start()
    try:
        yield from _taken(made, reporter)
    finally:
        opened.cut()
        thread.join(_PATIENCE)


def _taken(made: Queue[tuple[T] | BaseException | None], reporter: Reporter) -> Iterator[T]:
    while True:
        reporter.check()
        try:
            item = made.get(timeout=TICK)
        except Empty:
            continue
        if item is None:
            return
        if isinstance(item, BaseException):
            raise item
        yield item[0]


def run_child(
    command: Sequence[str], environment: Mapping[str, str], say: Callable[[str], None], reporter: Reporter
) -> int:
    """Run *command*, hand each line of either output to *say*, and return its exit code.

    It gets a process group of its own, and that is killed when *say* or ``reporter.check`` raises.
    """
    process = subprocess.Popen(
        list(command),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        lines = Lines()
        for piece in _printed(process, reporter):
            for line in lines.feed(piece):
                say(line)
        for line in lines.rest():
            say(line)
        while process.poll() is None:
            reporter.check()
            with suppress(subprocess.TimeoutExpired):
                process.wait(TICK)
        return process.returncode
    finally:
        if process.poll() is None:  # with its plugins and credential helpers
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdout:
            process.stdout.close()


def _printed(process: subprocess.Popen[bytes], reporter: Reporter) -> Iterator[bytes]:
    """Until its end; a grandchild that keeps the pipe open is not waited for."""
    if process.stdout is None:
        return
    pipe = process.stdout.fileno()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            reporter.check()
            if selector.select(TICK):
                piece = os.read(pipe, 65536)
                if not piece:
                    return
                yield piece
            elif process.poll() is not None:
                return
