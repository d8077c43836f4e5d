"""Ports that nobody else gets: counted up in one file for the whole machine, over processes and checkouts.

Below the range from which the kernel gives out ports by itself (ip(7): from 32768), so that between asking for a
port and listening on it nothing else can come to hold it. Knows nothing of what will listen.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path

FIRST, COUNT = 10000, 10000


def next_in(counter: Path, first: int, count: int) -> int:
    """The number after the last one given out, of *count* numbers from *first* on, then from the beginning again."""
    handle = os.open(counter, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        last = file.read().strip()
        number = first + (int(last) + 1 - first) % count if last else first
        file.seek(0)
        file.truncate()
        file.write(str(number))
    return number


def free_port(host: str = "127.0.0.1") -> int:
    """A port that is free on *host* and was not given out lately."""
    counter = Path(tempfile.gettempdir()) / f"nodewise-next-port-{os.geteuid()}"
    for _ in range(COUNT):
        port = next_in(counter, FIRST, COUNT)
        if _is_free(host, port):
            return port
    raise RuntimeError(f"no port from {FIRST} to {FIRST + COUNT - 1} is free on {host}")


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
