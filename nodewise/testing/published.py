"""Which published ports are taken by which services, as the control API looks at them when a service is written.

Host-mode ports of two services may be the same: the scheduler keeps them apart. A port of the ingress network
belongs to one service alone.
"""

from __future__ import annotations

from typing import Any

from nodewise.domain.errors import GiveUp
from nodewise.testing.revision import Revision

Port = tuple[str, int]


class PublishedPorts:
    """Kept up to date with every write."""

    def __init__(self) -> None:
        self._taken: dict[Port, dict[str, tuple[str, str]]] = {}

    def check(self, revision: Revision, service_id: str) -> None:
        """Raises GiveUp in the engine's words where a port of *revision* is another service's already."""
        own: dict[Port, set[str]] = {}
        for port, mode in _ports(revision):
            if port in own and mode not in own[port]:
                own[port].add(mode)
            elif port in own:
                raise GiveUp(
                    "the engine refuses the update: rpc error: code = InvalidArgument"
                    " desc = EndpointSpec: duplicate published ports provided"
                )
            else:
                own[port] = {mode}
        for port, modes in own.items():
            for other, (name, mode) in self._taken.get(port, {}).items():
                if other != service_id and (mode == "ingress" or "ingress" in modes):
                    how = "an ingress port" if mode == "ingress" else "a host-published port"
                    raise GiveUp(
                        f"the engine refuses the update: rpc error: code = InvalidArgument"
                        f" desc = port '{port[1]}' is already in use by service '{name}' ({other}) as {how}"
                    )

    def written(self, service_id: str, was: Revision | None, now: Revision | None) -> None:
        for port, _ in _ports(was) if was else ():
            self._taken.get(port, {}).pop(service_id, None)
        for port, mode in _ports(now) if now else ():
            assert now is not None
            self._taken.setdefault(port, {})[service_id] = (str(now.spec["Name"]), mode)


def _ports(revision: Revision) -> list[tuple[Port, str]]:
    ports: list[dict[str, Any]] = (revision.spec.get("EndpointSpec") or {}).get("Ports") or []
    return [
        ((str(p.get("Protocol") or "tcp"), int(p["PublishedPort"])), str(p.get("PublishMode") or "ingress"))
        for p in ports
        if p.get("PublishedPort")
    ]
