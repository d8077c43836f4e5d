"""Releases, and how a service spec becomes another one.

A release keeps the spec that the *user* wanted. What a rollout adds for its own sake (its mark, a longer
delay) is in the one update that it writes, stays there, and is taken off again before the next plan.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nodewise.domain.swarm import LOST_LABEL, OWN_LABELS, ROLLOUT_LABEL, ResolvedImage, Spec, image_of


class ReleaseState(StrEnum):
    """What is known of a release: ``new`` (not yet proven), ``good`` (it ran), ``bad`` (it was taken back)."""

    NEW = "new"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Release:
    """A numbered, immutable record of what a service ran. Only ``state`` ever changes."""

    service: str
    number: int
    image: str
    digest: str
    spec: Spec
    origin: str
    state: ReleaseState
    created_at: float

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.spec)


def fingerprint(spec: Spec) -> str:
    """A hash of everything that makes a release. Scale is not part of it: scaling is no new release."""
    essence = copy.deepcopy(spec)
    replicated = (essence.get("Mode") or {}).get("Replicated")
    if replicated is not None:
        replicated.pop("Replicas", None)
    for label in OWN_LABELS:
        (essence.get("Labels") or {}).pop(label, None)
    return hashlib.sha256(json.dumps(essence, sort_keys=True).encode()).hexdigest()


def same_spec(one: Spec, other: Spec) -> bool:
    """Whether two specs ask for the same, but for the scale and for tasks that were lost on the way.

    An engine gives back what was written to it, but leaves out or fills in what is empty or zero; that is no change.
    """
    return bool(_essence(one) == _essence(other))


def _essence(spec: Spec) -> Any:
    replicated = (spec.get("Mode") or {}).get("Replicated")
    if replicated is not None:
        spec = {**spec, "Mode": {"Replicated": {**replicated, "Replicas": 0}}}
    return _full({**spec, "Labels": {k: v for k, v in (spec.get("Labels") or {}).items() if k != LOST_LABEL}})


def _full(value: Any) -> Any:
    """*value* without what is empty or zero in it."""
    if isinstance(value, dict):
        return {k: full for k, v in value.items() if (full := _full(v)) or v is False}
    return [_full(v) for v in value] if isinstance(value, list) else value


def with_image(spec: Spec, image: str, resolved: ResolvedImage) -> Spec:
    """*spec* with another image and nothing else changed.

    Placement.Platforms follows the image, as the docker command line does it
    (docker/cli, cli/command/service/update.go); it is left alone where the registry names none. The image that
    runs already changes nothing, so that nothing restarts for it.
    """
    spec = copy.deepcopy(spec)
    if image_of(spec) == image:
        return spec
    spec["TaskTemplate"]["ContainerSpec"]["Image"] = image
    if resolved.platforms:
        placement = spec["TaskTemplate"].get("Placement") or {}
        spec["TaskTemplate"]["Placement"] = {**placement, "Platforms": [dict(p) for p in resolved.platforms]}
    return spec


def marked(spec: Spec, mark: str, update_config: Mapping[str, Any] | None = None) -> Spec:
    """The spec as it is written: with our mark, and *update_config* over the user's own."""
    spec = copy.deepcopy(spec)
    spec["Labels"] = {**(spec.get("Labels") or {}), ROLLOUT_LABEL: mark}
    if update_config:
        spec["UpdateConfig"] = {**(spec.get("UpdateConfig") or {}), **update_config}
    return spec


def without_lost(spec: Spec, tasks: Collection[str]) -> Spec:
    """The spec as it is written again, for an update that is to go on without *tasks*."""
    if not tasks:
        return spec
    return {**spec, "Labels": {**(spec.get("Labels") or {}), LOST_LABEL: " ".join(sorted(tasks))}}


def unmarked(spec: Spec, written: Mapping[str, Any] | None, original: Mapping[str, Any] | None) -> Spec:
    """The inverse of :func:`marked`: the user's spec.

    *written* is what the rollout that left its mark put into UpdateConfig, *original* the user's whole
    UpdateConfig before it (None: there was none). Where a value is no longer the one that was written,
    someone else has changed it since, and it is theirs.
    """
    spec = copy.deepcopy(spec)
    labels = spec.get("Labels")
    if labels is not None:
        for label in OWN_LABELS:
            labels.pop(label, None)
    config = dict(spec.get("UpdateConfig") or {})
    if written and all(config.get(key) == value for key, value in written.items()):
        if original is None:
            spec.pop("UpdateConfig", None)
        else:
            spec["UpdateConfig"] = dict(original)
    return spec


def keeping_scale(spec: Spec, running: Spec) -> Spec:
    """*spec* with the number of replicas that runs now: a rollback takes back a release, not a scaling."""
    now = (running.get("Mode") or {}).get("Replicated")
    then = (spec.get("Mode") or {}).get("Replicated")
    if now is None or then is None or "Replicas" not in now:
        return spec
    spec = copy.deepcopy(spec)
    spec["Mode"]["Replicated"]["Replicas"] = now["Replicas"]
    return spec


def digest_of(spec: Spec) -> str:
    """The digest that a spec is pinned to, or empty."""
    return image_of(spec).partition("@")[2]
