"""The Prometheus gate: what a query gives is within bounds.

The query is asked of ``/api/v1/query`` (prometheus.io, HTTP API, instant queries), which Thanos, Mimir and
VictoriaMetrics answer as well. What cannot be compared is inconclusive and never a pass: no sample, NaN, no
answer. A silent metrics server must turn no rollout round, and let none through.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodewise.domain.placeholders import fill
from nodewise.domain.steps import GatePlan, Place, Reading, Verdict
from nodewise.domain.swarm import TaskView
from nodewise.domain.urls import without_login
from nodewise.gates._asking import Finding, ask_tasks
from nodewise.gates._web import NoAnswer, get

ANSWER_LIMIT = 1024 * 1024  # bytes; a query for a gate has a few samples
_TOLD = 160  # characters of a query, of a sample's labels or of an error in a detail


def read(gate: GatePlan, place: Place) -> Reading:
    """Ask. Config: ``url`` of the server, ``query`` with placeholders, ``min`` and ``max`` or one of them,
    ``timeout`` in seconds. With ``{task}`` in the query it is asked for every task."""
    query = str(gate.config["query"])
    return ask_tasks(gate, place, query, lambda task: _ask(gate.config, query, place, task))


def _ask(config: Mapping[str, Any], query: str, place: Place, task: TaskView | None) -> Finding:
    server = str(config["url"]).rstrip("/")
    query = fill(query, place, task, _in_string)
    url = f"{server}/api/v1/query"
    try:
        answer = get(url, float(config.get("timeout", 5.0)), ANSWER_LIMIT, {"query": query})
    except NoAnswer as error:
        return Finding(Verdict.INCONCLUSIVE, f"Prometheus {without_login(server)}: {error}")
    if len(answer.body) >= ANSWER_LIMIT:
        return Finding(Verdict.INCONCLUSIVE, f"{_cut(query)} gives more than {ANSWER_LIMIT} bytes")
    try:
        said = json.loads(answer.body)
        samples = samples_of(said)
    except Unusable as error:
        return Finding(Verdict.INCONCLUSIVE, f"{_cut(query)}: {error}")
    except (ValueError, LookupError, TypeError, AttributeError):
        detail = f"Prometheus {without_login(server)} answers {answer.status} and no result of a query"
        return Finding(Verdict.INCONCLUSIVE, detail)
    return judge(_cut(query), samples, config.get("min"), config.get("max"))


class Unusable(Exception):
    """An answer that has nothing to compare; the text says why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of an answer; ``labels`` as PromQL writes them, empty for a scalar."""

    value: float
    labels: str = ""


def samples_of(answer: Mapping[str, Any]) -> list[Sample]:
    """The samples of an answer. Raises Unusable for one without, ValueError and its like for no answer at all."""
    if answer["status"] != "success":
        raise Unusable(_cut(f"{answer.get('errorType', 'error')}: {answer.get('error', 'no reason given')}"))
    kind, result = answer["data"]["resultType"], answer["data"]["result"]
    if kind == "scalar":
        return [Sample(float(result[1]))]
    if kind != "vector":
        raise Unusable(f"gives a {kind}, which has no single value to compare")
    if not result:
        raise Unusable("no data")
    if any("value" not in sample for sample in result):
        raise Unusable("gives a histogram, which has no single value to compare")
    return [Sample(float(s["value"][1]), _labels(s["metric"])) for s in result]


def judge(query: str, samples: Sequence[Sample], low: float | None, high: float | None) -> Finding:
    """Every sample must be within the bounds, which belong to what is allowed; the worst one is told."""
    known = [s for s in samples if not math.isnan(s.value)]
    worst = max(known, key=lambda s: _beyond(s.value, low, high), default=None)
    if worst is not None and _beyond(worst.value, low, high) > 0:
        out = sum(_beyond(s.value, low, high) > 0 for s in known)
        over = high is not None and worst.value > high
        bound = f"above the max of {high:.12g}" if over else f"below the min of {low:.12g}"
        return Finding(Verdict.FAIL, f"{_is(query, worst)}, {bound}{_of(out, samples)}")
    if worst is None or len(known) < len(samples):
        missing = next(s for s in samples if math.isnan(s.value))
        return Finding(Verdict.INCONCLUSIVE, f"{_is(query, missing)}{_of(len(samples) - len(known), samples)}")
    bounds = " and ".join(f"{name} {b:.12g}" for name, b in (("min", low), ("max", high)) if b is not None)
    if not bounds:
        return Finding(Verdict.INCONCLUSIVE, f"{_is(query, worst)}, but there is no bound to compare it with")
    return Finding(Verdict.PASS, f"{_is(query, worst)}, within {bounds}{_of(len(samples), samples)}")


def _beyond(value: float, low: float | None, high: float | None) -> float:
    """How far out of bounds a value is; at or below zero it is within."""
    over = -math.inf if high is None else value - high
    under = -math.inf if low is None else low - value
    return max(over, under)


def _is(query: str, sample: Sample) -> str:
    return f"{query} is {sample.value:.12g}{f' for {_cut(sample.labels)}' if sample.labels else ''}"


def _of(count: int, samples: Sequence[Sample]) -> str:
    return f" ({count} of {len(samples)} samples)" if len(samples) > 1 else ""


def _labels(metric: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{k}="{v}"' for k, v in metric.items()) + "}" if metric else ""


def _in_string(value: str) -> str:
    """A value as it stands within a string of PromQL in double quotes."""
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _TOLD else text[: _TOLD - 1] + "…"
