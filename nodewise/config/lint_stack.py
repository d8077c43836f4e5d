"""What is wrong in the labels of a stack file (``docker stack deploy -c``). The rest of it is Docker's business."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nodewise.config.finding import Finding, finding
from nodewise.config.labels import PREFIX, ServiceLabels, read_labels
from nodewise.config.variables import Unset, fill_in

At = tuple[str | int, ...]


def lint(
    data: Mapping[str, Any], defaults: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[list[Finding], list[str]]:
    """What is wrong with each service's labels over *defaults*; and what the services ask for."""
    services = data["services"]
    if not isinstance(services, dict):
        return [finding(("services",), "it is no mapping of names to services")], []
    findings: list[Finding] = []
    asked: dict[str, ServiceLabels] = {}
    for name, service in services.items():
        labels, wrong = _labels_of(str(name), service if isinstance(service, dict) else {}, environment)
        findings += wrong
        asked[str(name)] = read_labels(labels, defaults)
        findings += _problems(str(name), labels, defaults, asked[str(name)])
    return findings, list(_configured(asked))


def _labels_of(
    name: str, service: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[dict[str, str], list[Finding]]:
    """The labels whose values are known, and what is wrong with how they are written."""
    deploy = service.get("deploy")
    labels: dict[str, str] = {}
    findings = list(_misplaced(name, service))
    for label, value in _pairs(deploy.get("labels") if isinstance(deploy, dict) else None):
        if not label.startswith(PREFIX):
            continue
        at: At = ("services", name, "deploy", "labels", label)
        if isinstance(value, bool):
            findings.append(_no_text(at, _text(value)))
        try:
            labels[label] = fill_in(_text(value), environment)
        except (Unset, ValueError) as error:
            findings.append(_unfilled(at, _text(value), error))
    return labels, findings


def _text(value: Any) -> str:
    """As the engine gets it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _no_text(at: At, word: str) -> Finding:
    hint = f"put it in quotes, as docker stack deploy wants it: '{word}'"
    return finding(at, "is no text", word, hint, warning=True)


def _unfilled(at: At, text: str, error: Exception) -> Finding:
    if isinstance(error, Unset):
        return finding(at, f"${error.name} is not set here: not checked", text, "set the variable", warning=True)
    return finding(at, "has a dollar sign that begins no variable", text, "write $$ for a dollar sign")


def _pairs(labels: Any) -> Iterator[tuple[str, Any]]:
    """Both ways to write labels: a mapping, or a list of ``name=value``."""
    if isinstance(labels, dict):
        yield from ((str(name), value) for name, value in labels.items())
    for line in labels if isinstance(labels, list) else []:
        name, _, value = str(line).partition("=")
        yield name, value


def _misplaced(name: str, service: Mapping[str, Any]) -> Iterator[Finding]:
    for label, value in _pairs(service.get("labels")):
        if label.startswith(PREFIX):
            hint = f"move it to services.{name}.deploy.labels"
            what = "is a label of the containers, which nobody reads; Nodewise reads those of the service"
            yield finding(("services", name, "labels", label), what, str(value), hint)


def _problems(
    name: str, labels: Mapping[str, str], defaults: Mapping[str, str], found: ServiceLabels
) -> Iterator[Finding]:
    """What the defaults alone are wrong about is told with them, and not again with each service."""
    known = set(read_labels({}, defaults).problems) if defaults else set()
    for problem in found.problems:
        if problem.label in labels or problem not in known:
            near = f"did you mean {problem.nearest!r}?" if problem.nearest else ""
            at = ("services", name, "deploy", "labels", problem.label)
            yield finding(at, f"allowed is {problem.allowed}", problem.value, near)


def _configured(asked: Mapping[str, ServiceLabels]) -> Iterator[str]:
    for name, labels in asked.items():
        if labels.track is not None:
            gates = ", ".join(["container", *(gate.name for gate in labels.gates)])
            yield f"service {name}: follows {labels.track}, {labels.strategy}, gates: {gates}"
    left = [name for name, labels in asked.items() if labels.track is None]
    if left:
        yield f"without {PREFIX}track, so no event touches them: {', '.join(left)}"
