"""Where the web process listens."""

from __future__ import annotations

import socket

from nodewise.domain.errors import UserError


def address(listen: str) -> tuple[str, int]:
    """``host:port`` as an IP address and a port; a name is looked up, none is every address. Raises UserError."""
    name, _, port = listen.rpartition(":")
    if not port.isdigit():
        raise UserError(f"NODEWISE_LISTEN is {listen!r}", "give host:port, such as 127.0.0.1:8420", "listen")
    host = name.strip("[]")
    try:
        return host if ":" in host else socket.gethostbyname(host), int(port)
    except OSError as error:
        raise UserError(f"cannot listen on {listen}: {error.strerror}", "set NODEWISE_LISTEN", "listen") from error


def refuse_taken_port(listen: str) -> None:
    """Raises UserError when something else listens there: better said now than in a restart loop."""
    host, port = address(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(f"cannot listen on {listen}: {error.strerror}", "set NODEWISE_LISTEN", "listen") from error
