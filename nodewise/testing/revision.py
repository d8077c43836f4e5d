"""One spec of a service as the managers keep it, taken apart once.

Two revisions may be equal by value and still be two: swarmkit compares the version of a spec first, then its
values. What is compared how is in ``same_task``, and comes from swarmkit's IsTaskDirty.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Any

from nodewise.domain.errors import GiveUp
from nodewise.domain.placement import constraints_of
from nodewise.domain.swarm import Spec, image_of

SECOND = 1_000_000_000
_ACTIONS = ("pause", "continue", "rollback")
_ORDERS = ("stop-first", "start-first")
_CONDITIONS = ("any", "on-failure", "none")


@dataclass(frozen=True, slots=True)
class UpdateRules:
    """UpdateConfig or RollbackConfig. Seconds. Without any given: one at a time, pause (swarmkit, api/defaults)."""

    parallelism: int = 1
    delay: float = 0.0
    monitor: float = 5.0
    action: str = "pause"
    start_first: bool = False
    max_failure_ratio: float = 0.0

    @classmethod
    def of(cls, config: dict[str, Any] | None) -> UpdateRules:
        """Raises GiveUp with the engine's words. A config without parallelism means all at once."""
        if config is None:
            return cls()
        action, order = config.get("FailureAction") or "pause", config.get("Order") or "stop-first"
        if action not in _ACTIONS:
            raise GiveUp(f"the engine refuses the update: unrecognized update failure action {action}")
        if order not in _ORDERS:
            raise GiveUp(f"the engine refuses the update: unrecognized update order {order}")
        return cls(
            int(config.get("Parallelism") or 0),
            (config.get("Delay") or 0) / SECOND,
            (config.get("Monitor") or 5 * SECOND) / SECOND,
            action,
            order == "start-first",
            float(config.get("MaxFailureRatio") or 0.0),
        )


class Revision:
    """A spec with its registry credentials, and what the simulation asks of it again and again."""

    def __init__(self, spec: Spec, token: str = "") -> None:
        self.spec = normalised(spec)
        self.token = token
        spec = self.spec
        self._read_mode(spec["Mode"])
        template = spec.get("TaskTemplate") or {}
        self._read_task(template)
        self.update = UpdateRules.of(spec.get("UpdateConfig"))
        self.rollback = UpdateRules.of(spec.get("RollbackConfig"))
        self._placement = _canonical(template.get("Placement"))
        self._template = _canonical({k: v for k, v in template.items() if k != "Placement"})
        self._endpoint = _canonical(spec.get("EndpointSpec"))

    def _read_mode(self, mode: dict[str, Any]) -> None:
        self.job = "ReplicatedJob" in mode or "GlobalJob" in mode
        self.by_node = "Global" in mode or "GlobalJob" in mode
        self.replicas = int((mode.get("Replicated") or {}).get("Replicas", 1))
        job = mode.get("ReplicatedJob") or {}
        self.at_once = int(job.get("MaxConcurrent", 1))
        self.completions = int(job.get("TotalCompletions", self.at_once))
        self.mode = next(iter(mode))

    def _read_task(self, template: dict[str, Any]) -> None:
        container, placement = template.get("ContainerSpec") or {}, template.get("Placement") or {}
        self.image = image_of(self.spec)
        self.command = tuple((container.get("Command") or []) + (container.get("Args") or []))
        self.grace = _seconds(container.get("StopGracePeriod"), 10.0)
        self.health = container.get("Healthcheck") or {}
        self.networked = bool(template.get("Networks") or self.spec.get("Networks"))
        self.constraints = constraints_of(self.spec)
        self.max_per_node = int(placement.get("MaxReplicas") or 0)
        restart = template.get("RestartPolicy") or {}
        self.condition = restart.get("Condition") or "any"
        if self.condition not in _CONDITIONS:
            raise GiveUp(f'the engine refuses the update: invalid RestartCondition: "{self.condition}"')
        self.restart_delay = _seconds(restart.get("Delay"), 5.0)
        self.max_attempts = int(restart.get("MaxAttempts") or 0)
        self.window = _seconds(restart.get("Window"), 0.0)
        wanted = (template.get("Resources") or {}).get("Reservations") or {}
        self.cpus, self.memory = int(wanted.get("NanoCPUs") or 0), int(wanted.get("MemoryBytes") or 0)
        ports = (self.spec.get("EndpointSpec") or {}).get("Ports") or []
        self.ports = tuple(
            (str(p.get("Protocol") or "tcp"), int(p["PublishedPort"]))
            for p in ports
            if p.get("PublishMode") == "host" and p.get("PublishedPort")
        )
        self.networked = self.networked or any(p.get("PublishMode") != "host" for p in ports)

    def same_spec(self, other: Revision) -> bool:
        """The whole spec is the same, by value."""
        return self is other or (self.spec == other.spec and self.token == other.token)

    def same_task(self, other: Revision, pulled: bool, node_satisfies: bool) -> bool:
        """Whether a task made from *other* is up to date.

        *pulled*: it runs or is about to, so that other registry credentials do not matter to it.
        *node_satisfies*: its node meets this revision's constraints, so that another placement alone does not.
        """
        if self is other:
            return True
        if self._template != other._template:
            return False
        if self._placement != other._placement:
            # Nothing but the placement may differ here, credentials included: swarmkit asks no further.
            return node_satisfies and self.token == other.token
        return self._endpoint == other._endpoint and (pulled or self.token == other.token)


def _seconds(nanoseconds: int | None, default: float) -> float:
    return default if nanoseconds is None else nanoseconds / SECOND


def normalised(spec: Spec) -> Spec:
    """A copy as the engine gives it back: some fields that were left out are filled in on the way."""
    spec = copy.deepcopy(spec)
    spec.setdefault("Labels", {})
    task = spec.get("TaskTemplate") or {}
    if task.get("ContainerSpec") is not None:
        task["ContainerSpec"].setdefault("Isolation", "default")
    task.setdefault("ForceUpdate", 0)
    task.setdefault("Runtime", "container")
    _fill(task.get("RestartPolicy"), Condition="any", MaxAttempts=0)
    for key in ("UpdateConfig", "RollbackConfig"):
        _fill(spec.get(key), Parallelism=0, FailureAction="pause", MaxFailureRatio=0, Order="stop-first")
    _fill(spec.get("EndpointSpec"), Mode="vip")
    for port in (spec.get("EndpointSpec") or {}).get("Ports") or ():
        _fill(port, Protocol="tcp", PublishMode="ingress")
    mode = spec.get("Mode") or {"Replicated": {}}
    _fill(mode.get("Replicated"), Replicas=1)
    job = mode.get("ReplicatedJob")
    _fill(job, MaxConcurrent=1)
    _fill(job, TotalCompletions=(job or {}).get("MaxConcurrent"))
    return {**spec, "TaskTemplate": task, "Mode": mode}


def _fill(holder: dict[str, Any] | None, **values: Any) -> None:
    if holder is not None:
        for key, value in values.items():
            if holder.get(key) in (None, ""):
                holder[key] = value


# What swarmkit points at: there and empty is another value than not there at all, and restarts tasks.
_POINTERS = {
    *("Delay", "DNSConfig", "Healthcheck", "Init", "Limits", "LogDriver", "Placement", "Privileges"),
    *("Reservations", "Resources", "StopGracePeriod", "Window"),
}


def _is_said(key: str, value: Any) -> bool:
    return value is not None and (key in _POINTERS or value not in ("", 0, [], {}))


def _canonical(value: Any) -> str:
    """A text that is the same for what Go holds equal: fields left out and fields set to nothing."""
    return json.dumps(_stripped(value), sort_keys=True)


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: s for k, v in value.items() if _is_said(k, s := _stripped(v))}
    if isinstance(value, list):
        return [_stripped(v) for v in value]
    return value
