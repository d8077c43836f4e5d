"""Helper services: what a rollout makes for itself beside the service, and how their specs follow from its own.

A candidate carries the new release on one node; a chore is a job that runs once. Every helper bears the rollout's
mark and its purpose, so that it is recognised after a lost answer, and no label that an event could match.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from nodewise.domain.model import Chore, Plan, Rollout
from nodewise.domain.steps import Step
from nodewise.domain.swarm import HELPER_LABEL, ROLLOUT_LABEL, NodeView, Spec

CANDIDATE = "candidate"
LONGEST_NAME = 63  # a service's name is a DNS label (swarmkit, manager/controlapi/common.go)
_FOREIGN_LABELS = ("nodewise.", "com.docker.stack.")
# What every engine and user's tools ignore, but a shell must find: a pre-pull only wants the image to be there.
_HARMLESS = ("true",)
ONCE = {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}
_DISK_FREE = ("sh", "-c", "df -Pk /host/var/lib/docker 2>/dev/null || df -Pk /host")


def purpose_of(step: Step) -> str:
    """The helper label of the candidate for *step*."""
    return f"{CANDIDATE}.{step.node_id}"


def candidate_spec(rollout: Rollout, step: Step) -> Spec:
    """The new release on one node, as many tasks as the service has there.

    Published ports are left off, since the running service holds them, but for those given for candidates; so are
    network aliases: traffic must not reach the candidate by the service's own name.
    """
    plan = _planned(rollout)
    task = copy.deepcopy(plan.target["TaskTemplate"])
    placement = task.get("Placement") or {}
    task["Placement"] = {
        **{k: v for k, v in placement.items() if k == "Platforms"},
        "Constraints": [*(placement.get("Constraints") or []), f"node.id=={step.node_id}"],
    }
    _without_aliases(task)
    ports = [
        {"Protocol": "tcp", "TargetPort": target, "PublishedPort": published, "PublishMode": "host"}
        for target, published in plan.candidate_ports
    ]
    endpoint = plan.target.get("EndpointSpec") or {}
    spec: Spec = {
        "Name": _name(rollout, f"candidate-{step.node}"),
        "Labels": _labels(plan.target, rollout.id, purpose_of(step)),
        "TaskTemplate": task,
        "Mode": {"Replicated": {"Replicas": max(1, step.size)}},
        "EndpointSpec": {"Mode": endpoint.get("Mode") or "vip", **({"Ports": ports} if ports else {})},
    }
    networks = _without_aliases(copy.deepcopy(plan.target)).get("Networks")
    return {**spec, "Networks": networks} if networks else spec


def chore_spec(rollout: Rollout, chore: Chore, purpose: str, node: NodeView | None = None) -> Spec:
    """The one-off job of *chore*, on *node* where it is for one; *purpose* tells one try from the next.

    A job of one task each, even for many nodes: swarm makes the failed tasks of a global job anew without end,
    twenty a second (seen on 20.10; swarmkit, orchestrator/jobs/global), and takes no notice of a restart policy.
    """
    if node is not None:
        return _on_node(rollout, chore, purpose, node)
    plan = _planned(rollout)
    task = _without_aliases(copy.deepcopy(plan.target["TaskTemplate"]))
    container = task["ContainerSpec"]
    container.pop("Args", None)
    container |= {"Command": list(chore.command), "Healthcheck": {"Test": ["NONE"]}}
    task["RestartPolicy"] = {"Condition": "none"}
    spec: Spec = {
        "Name": _name(rollout, purpose),
        "Labels": _labels(plan.target, rollout.id, purpose),
        "TaskTemplate": task,
        "Mode": dict(ONCE),
    }
    networks = _without_aliases(copy.deepcopy(plan.target)).get("Networks")
    return {**spec, "Networks": networks} if networks else spec


def _on_node(rollout: Rollout, chore: Chore, purpose: str, node: NodeView) -> Spec:
    plan = _planned(rollout)
    container: dict[str, Any] = {"Image": chore.image, "Healthcheck": {"Test": ["NONE"]}}
    if chore.name == "disk":
        container |= {
            "Command": list(_DISK_FREE),
            "Mounts": [{"Type": "bind", "Source": "/", "Target": "/host", "ReadOnly": True}],
        }
    else:
        container["Command"] = list(_HARMLESS)
    return {
        "Name": _name(rollout, f"{chore.name}-{node.name}"),
        "Labels": {ROLLOUT_LABEL: rollout.id, HELPER_LABEL: purpose},
        "TaskTemplate": {
            "ContainerSpec": container,
            "RestartPolicy": {"Condition": "none"},
            "Placement": {"Constraints": [f"node.id=={node.id}"], **_platforms(plan, chore)},
        },
        "Mode": dict(ONCE),
    }


def _platforms(plan: Plan, chore: Chore) -> dict[str, Any]:
    platforms = (plan.target["TaskTemplate"].get("Placement") or {}).get("Platforms")
    return {"Platforms": platforms} if platforms and chore.name == "prepull" else {}


def _labels(target: Spec, mark: str, purpose: str) -> dict[str, str]:
    kept = {k: v for k, v in (target.get("Labels") or {}).items() if not k.startswith(_FOREIGN_LABELS)}
    return {**kept, ROLLOUT_LABEL: mark, HELPER_LABEL: purpose}


def _name(rollout: Rollout, purpose: str) -> str:
    """Unique to this rollout, so that helpers of one that clears up are in nobody's way."""
    end = f"-{dns_part(purpose)}-{rollout.id[-5:]}"
    return f"{rollout.service[: LONGEST_NAME - len(end)].rstrip('-_.')}{end}"


def dns_part(text: str) -> str:
    """What of *text* may stand in the middle of a service's name."""
    return "".join(c if c.isalnum() or c == "-" else "-" for c in text.lower())[:30].strip("-")


def _without_aliases(holder: Spec) -> Spec:
    networks: Iterable[dict[str, Any]] = holder.get("Networks") or ()
    for network in networks:
        network.pop("Aliases", None)
    return holder


def _planned(rollout: Rollout) -> Plan:
    assert rollout.plan is not None
    return rollout.plan
