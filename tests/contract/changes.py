"""Changes of specs, and other small words that the engine's contract is written in."""

from __future__ import annotations

import copy
from typing import Any

from nodewise.domain.swarm import Spec
from tests.swarms import SECOND

ALL_AT_ONCE = {"Parallelism": 0, "FailureAction": "continue", "Monitor": SECOND // 10}
ONCE = {"RestartPolicy": {"Condition": "none"}}


def with_label(spec: Spec, key: str, value: str) -> Spec:
    return {**spec, "Labels": {**(spec.get("Labels") or {}), key: value}}


def with_task(spec: Spec, **fields: Any) -> Spec:
    return {**spec, "TaskTemplate": {**spec["TaskTemplate"], **fields}}


def with_command(spec: Spec, command: tuple[str, ...]) -> Spec:
    spec = copy.deepcopy(spec)
    spec["TaskTemplate"]["ContainerSpec"]["Command"] = list(command)
    return spec


def on_nodes(*constraints: str) -> dict[str, Any]:
    return {"Placement": {"Constraints": list(constraints)}}


def host_port(port: int) -> dict[str, Any]:
    return {"Ports": [{"Protocol": "tcp", "TargetPort": 8080, "PublishedPort": port, "PublishMode": "host"}]}


def ids(tasks: Any) -> set[str]:
    return {t.id for t in tasks}
