"""Where an edge is asked: one text for the address of HAProxy's runtime socket and for a backend there. Pure.

The backend's name becomes part of a command on that socket, where ``;`` begins another one: only what
HAProxy allows in a name is let through (its configuration manual, 2.2, on proxy names).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_NAME = re.compile(r"[A-Za-z0-9_.:-]+")
_PATH_BYTES = 107  # unix(7): sun_path


def parse_address(text: str) -> tuple[str, str]:
    """``tcp://HOST:PORT/BACKEND`` or ``unix:///PATH#BACKEND`` as (address, backend). Raises ValueError."""
    parts = urlsplit(text)
    if parts.scheme == "tcp":
        address, backend = f"tcp://{parts.netloc}", parts.path.removeprefix("/")
        good = parts.hostname and parts.port and "@" not in parts.netloc and not parts.query and not parts.fragment
    else:
        address, backend = f"unix://{parts.path}", parts.fragment
        good = parts.scheme == "unix" and not parts.netloc and not parts.query and parts.path.startswith("/")
        good = good and len(parts.path.encode()) <= _PATH_BYTES
    if not good or not _NAME.fullmatch(backend):
        raise ValueError(text)
    return address, backend
