"""Each of NODEWISE_DOCKER_HOSTS by itself: with one of them all goes on, and nobody notices that others are away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from nodewise.answers.checks import Check
from nodewise.answers.clocks import Told, check_clock
from nodewise.bootstrap import Deps
from nodewise.domain.errors import NodewiseError
from nodewise.ports import Manager

_WAYS_OUT = (
    ("permission denied", "let the user that runs Nodewise use the socket: usermod -aG docker USER"),
    ("no such file", "see whether Docker runs there, and the socket's path in NODEWISE_DOCKER_HOSTS"),
    ("swarm", "make it a manager ('docker swarm init', 'docker node promote NODE'), or name one that is"),
    (
        "https server",
        "it asks for TLS, which NODEWISE_DOCKER_HOSTS cannot give: run Nodewise on a manager, on its socket",
    ),
    ("timed out", "see whether the host is up, and whether a firewall is in between"),
    ("refused", "see whether the engine listens on that port ('hosts' in its daemon.json)"),
)
_OPEN = "it is without TLS: let nobody but Nodewise reach that port, whoever does owns the swarm"
_HERE = ("localhost", "127.0.0.1", "::1")


def check_manager(deps: Deps, host: str, manager: Manager) -> Iterator[Check]:
    """Whether it answers, is a manager, may be reached by everybody, and what its clock says."""
    before = deps.clock.now()
    try:
        info = manager.info()
    except NodewiseError as error:
        reason = error.what.removeprefix("no swarm manager answers: ")
        yield Check("manager", False, reason, _way_out(reason))
        return
    after = deps.clock.now()
    hint = _OPEN if host.startswith("tcp://") and urlsplit(host).hostname not in _HERE else ""
    yield Check("manager", True, f"{host} answers, Docker {info.get('ServerVersion', '?')}", hint)
    at = _system_time(info)
    if at is not None:
        yield from check_clock(deps.settings, Told(f"the manager {host}", at, before, after))


def _system_time(info: Mapping[str, Any]) -> float | None:
    try:
        return datetime.fromisoformat(str(info.get("SystemTime"))).timestamp()
    except ValueError:
        return None


def _way_out(reason: str) -> str:
    return next((hint for word, hint in _WAYS_OUT if word in reason.lower()), "check NODEWISE_DOCKER_HOSTS")
