"""A wire between a client and an engine's socket that a test can cut (connections break, new ones are refused) or make
silent (what is sent is kept back, on old connections and new ones, and comes late).

Bytes go through untouched; what they mean is not known here.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_CHUNK = 65536


class Relay:
    """Listens on the unix socket *path* and passes everything on to the unix socket *target*."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path = path
        self._target = target
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._flows = threading.Event()
        self._flows.set()
        self._lock = threading.Lock()

    @property
    def docker_host(self) -> str:
        return f"unix://{self.path}"

    def start(self) -> None:
        """Accept connections, for the first time or again."""
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.path))
        listener.listen(64)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop(self) -> None:
        """Cut: the socket's file stays, so that whoever comes is refused, as by a host that is not there."""
        listener, self._listener = self._listener, None
        self._flows.set()
        if listener is not None:
            _close(listener)
        with self._lock:
            left, self._open = self._open, set()
        for end in left:
            _close(end)

    def hold(self) -> None:
        """Fall silent: nothing comes through any more, and nobody is told."""
        self._flows.clear()

    def let_go(self) -> None:
        """Pass on what was kept back, and everything after it. What nobody waits for any more arrives as well."""
        self._flows.set()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:  # stopped
                return
            far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                far.connect(str(self._target))
            except OSError:  # the engine itself is gone
                _close(near)
                _close(far)
                continue
            if self._keep(listener, near, far):
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _keep(self, listener: socket.socket, *ends: socket.socket) -> bool:
        """Remember the two ends, unless the wire was cut while they were being connected."""
        with self._lock:
            if self._listener is listener:
                self._open.update(ends)
                return True
        for end in ends:
            _close(end)
        return False

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        """One direction, until it ends; the other one may go on, as a half-closed connection's does."""
        with suppress(OSError):
            while chunk := source.recv(_CHUNK):
                self._flows.wait()
                sink.sendall(chunk)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits on it
    end.close()


@contextmanager
def relays(folder: Path, docker_hosts: Sequence[str]) -> Iterator[list[Relay]]:
    """A relay in front of each of these ``unix://`` addresses, running."""
    with ExitStack() as stack:
        made = []
        for number, host in enumerate(docker_hosts):
            relay = Relay(folder / f"relay-{number}.sock", Path(host.removeprefix("unix://")))
            relay.start()
            stack.callback(relay.stop)
            made.append(relay)
        yield made
