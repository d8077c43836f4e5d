"""The labels by which a service says what it wants. A wrong label is a finding, never an exception.

Each label is declared once, in ``LABELS``: its reader, its default, what it means. docs/labels.md is made of it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from nodewise import policy
from nodewise.config import readers, windows
from nodewise.config.durations import seconds
from nodewise.config.edge_address import parse_address
from nodewise.config.gate_labels import (
    expression,
    gate_plans,
    lacking,
    number,
    server_url,
    share,
    web_url,
)
from nodewise.config.windows import Windows
from nodewise.domain.errors import UserError
from nodewise.domain.model import Approval, OnFailure
from nodewise.domain.steps import GatePlan
from nodewise.domain.swarm import OWN_LABELS
from nodewise.domain.urls import without_login
from nodewise.policy import Policy

PREFIX = "nodewise."
_COUNT = "a number from 1 to 1000"
_DURATION = "a duration such as 250ms, 30s, 5m, 1h30m"


@dataclass(frozen=True, slots=True)
class Label:
    """One label: how it is read, its default (as text), what is allowed and what it means."""

    read: Callable[[str], Any]
    default: str
    allowed: str
    meaning: str
    later: bool = False  # its form is checked, but it has no effect in this version


LABELS: dict[str, Label] = {
    "track": Label(
        policy.parse,
        "",
        "semver:RANGE, glob:PATTERN, regex:EXPRESSION or same",
        "Which pushed tags the service follows. Without it no event touches the service.",
    ),
    "strategy": Label(
        readers.one_of("rolling", "staged", "cells"),
        "rolling",
        "rolling, staged or cells",
        "How a rollout is cut into steps.",
    ),
    "gate.container.restarts": Label(
        readers.count,
        "3",
        _COUNT,
        "How many restarts of the new release's tasks on a node are a restart loop, and a veto.",
    ),
    "gate.http.url": Label(
        web_url,
        "",
        "an http(s) URL; {node}, {node_name}, {task}, {service} and {port} are filled in",
        "An address that must answer on every node before its step counts as passed.",
    ),
    "gate.http.status": Label(
        readers.statuses, "200-299", "statuses and ranges, such as 200-299,404", "Which answers are good."
    ),
    "gate.http.body": Label(
        expression, "", "a regular expression", "What must be found in the first 64 KiB of the answer."
    ),
    "gate.http.latency": Label(readers.positive, "", _DURATION, "How long a good answer may take."),
    "gate.http.interval": Label(readers.positive, "1s", _DURATION, "How often the address is asked."),
    "gate.http.timeout": Label(readers.positive, "2s", _DURATION, "How long an answer is waited for."),
    "gate.http.successes": Label(readers.count, "2", _COUNT, "Good answers in a row that are a pass."),
    "gate.http.failures": Label(readers.count, "3", _COUNT, "Bad answers in a row that are a veto."),
    "gate.prometheus.query": Label(
        readers.words,
        "",
        "a PromQL query; {service}, {node}, {node_name}, {task}, {image}, {tag}, {digest} and {rollout} are filled in",
        "A query whose every sample must stay in bounds.",
    ),
    "gate.prometheus.max": Label(number, "", "a number", "The upper bound, itself allowed."),
    "gate.prometheus.min": Label(number, "", "a number", "The lower bound, itself allowed."),
    "gate.prometheus.url": Label(
        server_url, "", "http(s)://HOST:PORT, without a login", "The server; else that of NODEWISE_PROMETHEUS_URL."
    ),
    "gate.prometheus.interval": Label(readers.positive, "5s", _DURATION, "How often the query is asked."),
    "gate.prometheus.timeout": Label(readers.positive, "5s", _DURATION, "How long an answer is waited for."),
    "gate.prometheus.successes": Label(readers.count, "2", _COUNT, "Answers within bounds in a row that are a pass."),
    "gate.prometheus.failures": Label(readers.count, "3", _COUNT, "Answers out of bounds in a row that are a veto."),
    "gate.edge": Label(
        parse_address,
        "",
        "tcp://HOST:PORT/BACKEND or unix:///PATH#BACKEND",
        "The runtime socket of an HAProxy, and the backend whose servers on the node must be up.",
    ),
    "gate.edge.errors": Label(
        share, "0.05", "a share such as 0.05 or 5%", "The largest share of a server's requests that may fail."
    ),
    "gate.edge.interval": Label(readers.positive, "2s", _DURATION, "How often the socket is asked."),
    "gate.edge.timeout": Label(readers.positive, "2s", _DURATION, "How long an answer is waited for."),
    "gate.edge.successes": Label(readers.count, "2", _COUNT, "Good answers in a row that are a pass."),
    "gate.edge.failures": Label(readers.count, "3", _COUNT, "Bad answers in a row that are a veto."),
    "bake": Label(seconds, "0s", _DURATION, "How long the gates must go on holding before the step counts as passed."),
    "deadline": Label(
        readers.positive,
        "10m",
        _DURATION,
        "How long a rollout may go on without one more node that passes, before it is rolled back.",
    ),
    "on_failure": Label(
        readers.one_of(*OnFailure),
        "rollback",
        "rollback, pause (staged, cells) or freeze",
        "What follows a veto: taken back; held where it is; or left as it is, and the service locked.",
    ),
    "steps": Label(
        readers.steps,
        "each",
        "each, or counts, percentages and node names, such as 1,50%,100%",
        "The steps of a staged rollout, in order.",
    ),
    "app": Label(readers.words, "", "a name", "The app that the service is a part of (cells)."),
    "stage": Label(readers.words, "0", "a number or a word", "The service's place in its app's order (cells)."),
    "candidate.publish": Label(
        readers.ports,
        "",
        "published:target, such as 18080:8080",
        "Host ports that candidates publish instead of the service's own, so that {port} reaches them.",
    ),
    "prepull": Label(
        readers.yes_or_no, "false", "true or false", "Whether the nodes pull the image before anything moves."
    ),
    "disk.min_free": Label(
        readers.size,
        "",
        "a size such as 2GiB",
        "How much must be free on the disk of every node concerned; needs NODEWISE_PROBE_IMAGE.",
    ),
    "gate.approval": Label(
        readers.approval,
        "false",
        "true (once, before the new release takes over), each (after every step too) or false",
        "Whether a person has to approve, with 'nodewise approve'. Bound to the digest.",
    ),
    "gate.approval.deadline": Label(
        readers.positive, "24h", _DURATION, "How long an approval is waited for, before the rollout is called off."
    ),
    "watch": Label(seconds, "0s", _DURATION, "How long the gates are watched after the last step."),
    "min_age": Label(seconds, "0s", _DURATION, "How long ago a tag must have been pushed before it is followed."),
    "window": Label(windows.parse, "", windows.ALLOWED, "When events may begin a rollout."),
    "hook.before": Label(
        readers.command, "", "a command", "Runs once in the new image before anything moves; no shell, unless named."
    ),
    "hook.after": Label(readers.command, "", "a command", "Runs once in the new image after the last step."),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A label that cannot be used: its name and value, what is allowed, and the nearest right name or value."""

    label: str
    value: str
    allowed: str
    nearest: str = ""

    def __str__(self) -> str:
        near = f"; did you mean {self.nearest!r}?" if self.nearest else ""
        return f"{self.label}={self.value!r}: allowed is {self.allowed}{near}"


@dataclass(frozen=True, slots=True)
class ServiceLabels:
    """What a service wants. Where ``problems`` is not empty, the labels in it are at their defaults."""

    track: Policy | None
    strategy: str
    gates: tuple[GatePlan, ...]
    bake: float
    deadline: float
    on_failure: OnFailure = OnFailure.ROLLBACK
    steps: tuple[str, ...] = ()
    app: str = ""
    stage: str = "0"
    candidate_ports: tuple[tuple[int, int], ...] = ()
    prepull: bool = False
    min_free: int = 0
    approval: Approval = Approval.NEVER
    approval_deadline: float = 86400.0
    watch: float = 0.0
    min_age: float = 0.0
    window: Windows | None = None
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    restarts: int = 3
    problems: tuple[Problem, ...] = ()
    not_yet: tuple[str, ...] = ()


def read_labels(labels: Mapping[str, str], defaults: Mapping[str, str]) -> ServiceLabels:
    """Read a service's labels over *defaults* (names without ``nodewise.``). Never raises."""
    given = {f"{PREFIX}{k}": v for k, v in defaults.items()}
    given |= {k: v for k, v in labels.items() if k.startswith(PREFIX) and k not in OWN_LABELS}
    return _read(tuple(given.items()))


@lru_cache(maxsize=1024)  # a burst of events reads the same labels again and again
def _read(labels: tuple[tuple[str, str], ...]) -> ServiceLabels:
    given = dict(labels)
    problems: list[Problem] = []
    values = dict(_default_values())
    for full, text in given.items():
        name = full.removeprefix(PREFIX)
        if name not in LABELS:
            nearest = next(iter(difflib.get_close_matches(name, LABELS, n=1, cutoff=0.6)), "")
            problems.append(Problem(full, text, "a label of docs/labels.md", PREFIX + nearest if nearest else ""))
            continue
        try:
            values[name] = LABELS[name].read(text.strip())
        except (ValueError, UserError) as error:
            problems.append(_problem(full, text, LABELS[name], error))
    names = {full.removeprefix(PREFIX) for full in given}
    problems += [Problem(PREFIX + n, given[PREFIX + n], allowed) for n, allowed in lacking(values, names)]
    problems += _contradictions(values)
    return ServiceLabels(
        track=values["track"],
        strategy=values["strategy"],
        gates=gate_plans(values),
        bake=values["bake"],
        deadline=values["deadline"],
        on_failure=OnFailure(values["on_failure"]),
        steps=values["steps"],
        app=values["app"] or "",
        stage=values["stage"],
        candidate_ports=values["candidate.publish"] or (),
        prepull=values["prepull"],
        min_free=values["disk.min_free"] or 0,
        approval=values["gate.approval"],
        approval_deadline=values["gate.approval.deadline"],
        watch=values["watch"],
        min_age=values["min_age"],
        window=values["window"],
        before=values["hook.before"] or (),
        after=values["hook.after"] or (),
        restarts=values["gate.container.restarts"],
        problems=tuple(problems),
        not_yet=tuple(
            sorted(k for k in given if k.removeprefix(PREFIX) in LABELS and LABELS[k.removeprefix(PREFIX)].later)
        ),
    )


def _contradictions(values: dict[str, Any]) -> list[Problem]:
    """Labels that are right by themselves and mean nothing together. What they stand for in *values* is undone."""
    found = []
    if values["strategy"] == "cells" and not values["app"]:
        found.append(Problem(f"{PREFIX}strategy", "cells", f"cells for a service with {PREFIX}app"))
        values["strategy"] = _default_values()["strategy"]
    if values["on_failure"] == OnFailure.PAUSE and values["strategy"] == "rolling":
        allowed = "rollback or freeze with the strategy rolling: Swarm's own update cannot be held half-way"
        found.append(Problem(f"{PREFIX}on_failure", "pause", allowed))
        values["on_failure"] = _default_values()["on_failure"]
    return found


@cache
def _default_values() -> Mapping[str, Any]:
    return {name: label.read(label.default) if label.default else None for name, label in LABELS.items()}


def _problem(full: str, text: str, label: Label, error: Exception) -> Problem:
    detail = f" ({error.what})" if isinstance(error, UserError) else ""
    words = [w for w in re.split(r"[^a-z]+", label.allowed) if w]
    head = text.partition(":")[0]
    nearest = next(iter(difflib.get_close_matches(head, words, n=1, cutoff=0.7)), "")
    return Problem(full, without_login(text), label.allowed + detail, nearest if nearest != head else "")
