"""The labels by which a service says what it wants. A wrong label is a finding, never an exception.

Each label is declared once, in ``LABELS``: its reader, its default, what it means. docs/labels.md is made of it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from nodewise import policy
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
    without_login,
)
from nodewise.domain.errors import UserError
from nodewise.domain.steps import GatePlan
from nodewise.domain.swarm import ROLLOUT_LABEL
from nodewise.policy import Policy

PREFIX = "nodewise."
_DURATION = "a duration such as 250ms, 30s, 5m, 1h30m"
_COUNT = "a number from 1 to 1000"


@dataclass(frozen=True, slots=True)
class Label:
    """One label: how it is read, its default (as text), what is allowed and what it means."""

    read: Callable[[str], Any]
    default: str
    allowed: str
    meaning: str
    later: bool = False  # its form is checked, but it has no effect in this version


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return read


def _statuses(text: str) -> str:
    if not re.fullmatch(r"[1-5]\d\d(-[1-5]\d\d)?(,[1-5]\d\d(-[1-5]\d\d)?)*", text.replace(" ", "")):
        raise ValueError(text)
    return text.replace(" ", "")


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1000:
        raise ValueError(text)
    return number


def _positive(text: str) -> float:
    value = seconds(text)
    if value <= 0:
        raise ValueError(text)
    return value


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError(text)
    return text


LABELS: dict[str, Label] = {
    "track": Label(
        policy.parse,
        "",
        "semver:RANGE, glob:PATTERN, regex:EXPRESSION or same",
        "Which pushed tags the service follows. Without it no event touches the service.",
    ),
    "strategy": Label(_one_of("rolling"), "rolling", "rolling", "How a rollout is cut into steps."),
    "gate.container.restarts": Label(
        _count, "3", _COUNT, "How many restarts of the new release's tasks on a node are a restart loop, and a veto."
    ),
    "gate.http.url": Label(
        web_url,
        "",
        "an http(s) URL; {node}, {node_name}, {task} and {service} are filled in",
        "An address that must answer on every node before its step counts as passed.",
    ),
    "gate.http.status": Label(
        _statuses, "200-299", "statuses and ranges, such as 200-299,404", "Which answers are good."
    ),
    "gate.http.body": Label(
        expression, "", "a regular expression", "What must be found in the first 64 KiB of the answer."
    ),
    "gate.http.latency": Label(_positive, "", _DURATION, "How long a good answer may take."),
    "gate.http.interval": Label(_positive, "1s", _DURATION, "How often the address is asked."),
    "gate.http.timeout": Label(_positive, "2s", _DURATION, "How long an answer is waited for."),
    "gate.http.successes": Label(_count, "2", _COUNT, "Good answers in a row that are a pass."),
    "gate.http.failures": Label(_count, "3", _COUNT, "Bad answers in a row that are a veto."),
    "gate.prometheus.query": Label(
        _text,
        "",
        "a PromQL query; {service}, {node}, {node_name}, {task}, {image}, {tag}, {digest} and {rollout} are filled in",
        "A query whose every sample must stay in bounds.",
    ),
    "gate.prometheus.max": Label(number, "", "a number", "The upper bound, itself allowed."),
    "gate.prometheus.min": Label(number, "", "a number", "The lower bound, itself allowed."),
    "gate.prometheus.url": Label(
        server_url, "", "http(s)://HOST:PORT, without a login", "The server; else that of NODEWISE_PROMETHEUS_URL."
    ),
    "gate.prometheus.interval": Label(_positive, "5s", _DURATION, "How often the query is asked."),
    "gate.prometheus.timeout": Label(_positive, "5s", _DURATION, "How long an answer is waited for."),
    "gate.prometheus.successes": Label(_count, "2", _COUNT, "Answers within bounds in a row that are a pass."),
    "gate.prometheus.failures": Label(_count, "3", _COUNT, "Answers out of bounds in a row that are a veto."),
    "gate.edge": Label(
        parse_address,
        "",
        "tcp://HOST:PORT/BACKEND or unix:///PATH#BACKEND",
        "The runtime socket of an HAProxy, and the backend whose servers on the node must be up.",
    ),
    "gate.edge.errors": Label(
        share, "0.05", "a share such as 0.05 or 5%", "The largest share of a server's requests that may fail."
    ),
    "gate.edge.interval": Label(_positive, "2s", _DURATION, "How often the socket is asked."),
    "gate.edge.timeout": Label(_positive, "2s", _DURATION, "How long an answer is waited for."),
    "gate.edge.successes": Label(_count, "2", _COUNT, "Good answers in a row that are a pass."),
    "gate.edge.failures": Label(_count, "3", _COUNT, "Bad answers in a row that are a veto."),
    "bake": Label(seconds, "0s", _DURATION, "How long the gates must go on holding before the step counts as passed."),
    "deadline": Label(_positive, "10m", _DURATION, "How long a rollout may take before it is rolled back."),
    "on_failure": Label(_one_of("rollback"), "rollback", "rollback", "What follows a veto."),
    "steps": Label(_text, "", "each, counts and percentages, or node names", "The steps of a staged rollout.", True),
    "app": Label(_text, "", "a name", "The app that the service is a part of.", True),
    "stage": Label(_text, "", "a number or name", "The service's place in its app's order.", True),
    "gate.approval": Label(_text, "", "true", "A person's approval.", True),
    "watch": Label(seconds, "", _DURATION, "How long the gates are watched after the last step.", True),
    "min_age": Label(seconds, "", _DURATION, "How old a tag must be before it is followed.", True),
    "window": Label(_text, "", "times of the week", "When rollouts may start.", True),
    "hook.before": Label(_text, "", "a command", "Runs once in the new image before anything moves.", True),
    "hook.after": Label(_text, "", "a command", "Runs once in the new image after the last step.", True),
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
    """What a service wants. Where ``problems`` is not empty, the labels in it are at their defaults.

    ``gates`` are those beside the container gate, which every service has; ``restarts`` is for that one.
    """

    track: Policy | None
    strategy: str
    gates: tuple[GatePlan, ...]
    bake: float
    deadline: float
    restarts: int
    problems: tuple[Problem, ...] = ()
    not_yet: tuple[str, ...] = ()


def read_labels(labels: Mapping[str, str], defaults: Mapping[str, str]) -> ServiceLabels:
    """Read a service's labels over *defaults* (names without ``nodewise.``). Never raises."""
    given = {f"{PREFIX}{k}": v for k, v in defaults.items()}
    given |= {k: v for k, v in labels.items() if k.startswith(PREFIX) and k != ROLLOUT_LABEL}
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
    return ServiceLabels(
        track=values["track"],
        strategy=values["strategy"],
        gates=gate_plans(values),
        bake=values["bake"],
        deadline=values["deadline"],
        restarts=values["gate.container.restarts"],
        problems=tuple(problems),
        not_yet=tuple(
            sorted(k for k in given if k.removeprefix(PREFIX) in LABELS and LABELS[k.removeprefix(PREFIX)].later)
        ),
    )


@cache
def _default_values() -> Mapping[str, Any]:
    return {name: label.read(label.default) if label.default else None for name, label in LABELS.items()}


def _problem(full: str, text: str, label: Label, error: Exception) -> Problem:
    detail = f" ({error.what})" if isinstance(error, UserError) else ""
    words = [w for w in re.split(r"[^a-z]+", label.allowed) if w]
    head = text.partition(":")[0]
    nearest = next(iter(difflib.get_close_matches(head, words, n=1, cutoff=0.7)), "")
    return Problem(full, without_login(text), label.allowed + detail, nearest if nearest != head else "")
