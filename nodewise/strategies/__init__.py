"""Strategies: how a rollout is cut into steps. One pure file each; the folder is the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from nodewise.domain.errors import UserError
from nodewise.domain.model import OnFailure
from nodewise.domain.steps import GatePlan, Step
from nodewise.domain.swarm import NodeView, Spec, TaskView

_PORT = "{port}"


@dataclass(frozen=True, slots=True)
class Terrain:
    """What a rollout is cut from: the spec that runs, its tasks, the nodes, and what the labels ask for.

    ``order``: the words of ``nodewise.steps``. ``candidate_ports``: (target, published) pairs.
    """

    spec: Spec
    tasks: Sequence[TaskView]
    nodes: Mapping[str, NodeView]
    gates: Sequence[GatePlan]
    bake: float = 0.0
    order: tuple[str, ...] = ()
    candidate_ports: tuple[tuple[int, int], ...] = ()
    on_failure: OnFailure = OnFailure.ROLLBACK


@dataclass(frozen=True, slots=True)
class Cut:
    """A rollout cut into steps, what is written over the user's UpdateConfig, and what to tell about it.

    ``staged``: candidates walk the steps first, and ``candidate_gates`` are read on them.
    """

    steps: tuple[Step, ...]
    gates: tuple[GatePlan, ...]
    update_config: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    staged: bool = False
    candidate_gates: tuple[GatePlan, ...] = ()


def names() -> list[str]:
    """Every strategy there is."""
    return sorted(m.name for m in iter_modules(__path__))


def strategy(name: str) -> ModuleType:
    """The strategy of that name: a module with ``plan(terrain) -> Cut``, which raises UserError."""
    try:
        return import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        hint = f"use one of {', '.join(names())}"
        raise UserError(f"there is no strategy {name!r}", hint, "nodewise.strategy") from error


def at_port(gate: GatePlan, port: int | None) -> GatePlan:
    """*gate* with ``{port}`` in its URL filled in. Raises UserError where there is no port to fill in."""
    url = str(gate.config.get("url", ""))
    if _PORT not in url:
        return gate
    if port is None:
        raise UserError(
            f"the address {url} asks for {_PORT}, and the service publishes no port", "name the port", "gate.http.url"
        )
    return replace(gate, config={**gate.config, "url": url.replace(_PORT, str(port))})


def published_port(spec: Spec) -> int | None:
    """The first port that the service publishes."""
    ports = (spec.get("EndpointSpec") or {}).get("Ports") or []
    return next((int(p["PublishedPort"]) for p in ports if p.get("PublishedPort")), None)
