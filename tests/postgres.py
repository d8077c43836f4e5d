"""A PostgreSQL of the tests' own: a cluster in a folder, on a Unix socket, run by a user that may run it."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


def binaries() -> Path | None:
    """The folder with initdb and postgres, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
    return found[-1].parent if found else None


def why_not() -> str:
    """Why there can be no PostgreSQL here; empty when there can."""
    if binaries() is None:
        return "the package postgresql is missing"
    return ""


@contextmanager
def running(durable: bool = False) -> Iterator[str]:
    """A fresh cluster, which syncs its commits only if it is to be *durable*; gives what ``url_of`` wants."""
    folder = binaries()
    assert folder is not None
    with tempfile.TemporaryDirectory(prefix="nodewise-pg-") as name:
        data, socket = Path(name) / "data", Path(name)
        user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            os.chown(name, pwd.getpwnam(user).pw_uid, -1)
        run(folder / "initdb", user, "-D", str(data), "-A", "trust", "-U", "nodewise", "--no-sync", "-E", "UTF8")
        options = f"-c listen_addresses='' -c unix_socket_directories={socket} -c fsync={'on' if durable else 'off'}"
        try:
            run(folder / "pg_ctl", user, "-D", str(data), "-o", options, "-l", str(data / "log"), "-w", "start")
            yield str(socket)
        finally:
            run(folder / "pg_ctl", user, "-D", str(data), "-m", "immediate", "-w", "stop")


def run(program: Path, user: str, *arguments: str) -> None:
    as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if os.geteuid() == 0 else []
    done = subprocess.run([*as_user, str(program), *arguments], cwd="/", capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def url_of(socket: str, database: str) -> str:
    return f"postgresql://nodewise@/{database}?host={socket}"


def new_database(socket: str, name: str) -> str:
    """A database of its own in that cluster; its URL."""
    with psycopg.connect(f"host={socket} user=nodewise dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return url_of(socket, name)
