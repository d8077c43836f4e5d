"""HAProxy's runtime socket: what the servers of one backend are doing. Judges nothing, and changes nothing.

The commands and columns are those of HAProxy's management guide (9.1 CSV format, 9.3 Unix socket commands,
``show stat`` and ``show servers state``); columns are found by the names in the header, since each
version adds some.
"""

from __future__ import annotations

import csv
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from nodewise.gates._asking import Connections, within

ANSWER_LIMIT = 8 * 1024 * 1024  # bytes: some ten thousand servers
SERVERS = "4"  # the type of row in ``show stat``


class NoAnswer(Exception):
    """The socket does not answer, or not with what was asked for; the text says why."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a backend. ``check``: what its last health check found, in HAProxy's words.

    ``requests`` and ``errors`` have been counted since HAProxy started; in a backend of mode tcp they are sessions.
    """

    name: str
    address: str
    status: str
    check: str
    requests: int
    errors: int


def servers(address: str, backend: str, timeout: float) -> list[Server]:
    """The servers of *backend*, asked of the socket at *address* (``unix:///PATH`` or ``tcp://HOST:PORT``).

    Raises NoAnswer when the whole answer has not come within *timeout* seconds, or when it has no such backend.
    """
    command = f"show stat {backend} {SERVERS} -1;show servers state {backend}\n"
    try:
        answer = within(timeout, lambda opened: _ask(address, command, timeout, opened))
    except TimeoutError as error:
        raise NoAnswer(f"no whole answer within {timeout:g} s") from error
    except OSError as error:
        raise NoAnswer(f"no connection ({error.strerror or type(error).__name__})") from error
    return parse(answer)


def parse(answer: str) -> list[Server]:
    """The servers in the two answers. Raises NoAnswer for an answer with no statistics in it."""
    start = answer.find("# pxname,")
    if start < 0:
        raise NoAnswer(f"it answers {answer.strip().partition(chr(10))[0][:100] or 'nothing'!r}")
    stat, _, rest = answer[start + 2 :].partition("\n\n")
    addresses = dict(_addresses(rest))
    return [_server(row, addresses) for row in csv.DictReader(stat.splitlines())]


def _server(row: Mapping[str, str], addresses: Mapping[str, str]) -> Server:
    """Errors are answers of 5xx, failed connections, broken answers, and what was sent to another server instead
    (``wredis``): with ``option redispatch`` a server that takes no connection shows nothing else. A retry is
    counted as one more session (``stot``), so retries are taken off."""

    def count(*columns: str) -> int:
        return sum(int(row.get(c) or 0) for c in columns)

    errors = count("hrsp_5xx", "econ", "eresp", "wredis")
    return Server(
        name=row["svname"],
        address=addresses.get(row["svname"], ""),
        status=row.get("status") or "",
        check=row.get("check_desc") or "",
        requests=max(count("stot") - count("wretr"), errors),
        errors=errors,
    )


def _addresses(state: str) -> Iterator[tuple[str, str]]:
    """(name, address) pairs of ``show servers state``; ``-`` is an address that is not known yet."""
    columns: list[str] = []
    for line in state.splitlines():
        words = line.removeprefix("# ").split(" ")
        if line.startswith("# "):
            columns = words
        elif len(words) > 1 and columns:
            row = dict(zip(columns, words, strict=False))
            yield row.get("srv_name", ""), row.get("srv_addr", "").removeprefix("-")


def _ask(address: str, command: str, timeout: float, opened: Connections) -> str:
    """HAProxy closes the connection after one line of commands."""
    with _connected(address, timeout, opened) as sock:
        sock.sendall(command.encode())
        answer = bytearray()
        while chunk := sock.recv(65536):
            answer += chunk
            if len(answer) > ANSWER_LIMIT:
                raise NoAnswer(f"its answer has more than {ANSWER_LIMIT} bytes")
    return answer.decode(errors="replace")


def _connected(address: str, timeout: float, opened: Connections) -> socket.socket:
    parts = urlsplit(address)
    if parts.scheme == "tcp":
        sock = socket.create_connection((parts.hostname or "", parts.port or 0), timeout)
        opened.add(sock)
        return sock
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(timeout)
    opened.add(sock)
    try:
        sock.connect(parts.path)
    except OSError:
        sock.close()
        raise
    return sock
