"""lint: a nodewise.yaml or a stack file read as a whole, and everything that is wrong in it, not the first thing only.

Looks at nothing but the files. What a secret is stands in no finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from nodewise.config import file, lint_file, lint_stack, places
from nodewise.config.finding import Finding

OWN, STACK = "configuration", "stack file"


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in one file, and what is configured by it."""

    path: str
    kind: str
    findings: tuple[Finding, ...]
    configured: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return all(f.warning for f in self.findings)


def lint(paths: Sequence[Path], environment: Mapping[str, str]) -> list[Report]:
    """A report for each file. Labels are read over the defaults of the nodewise.yaml among them, if there is one."""
    read = [(path, *_read(path)) for path in paths]
    own = [document.data for _, document, _ in read if document and not _is_stack(document)]
    defaults = lint_file.defaults(own[0]) if own else {}
    return [_report(path, document, wrong, defaults, environment) for path, document, wrong in read]


def _read(path: Path) -> tuple[places.Document | None, Finding | None]:
    try:
        return places.read(path.read_text()), None
    except OSError as error:
        return None, Finding("", f"it cannot be read: {error.strerror}", hint="check the path and its rights")
    except UnicodeDecodeError:
        return None, Finding("", "it is no text in UTF-8")
    except yaml.YAMLError as error:
        return None, Finding("", f"it is no YAML: {file.yaml_place(error)}")


def _report(
    path: Path,
    document: places.Document | None,
    wrong: Finding | None,
    defaults: Mapping[str, str],
    environment: Mapping[str, str],
) -> Report:
    if document is None:
        return Report(str(path), "", (wrong,) if wrong else ())
    twice = [Finding(_dotted(at), "is given twice; the last one counts", line=line) for at, line in document.twice]
    if _is_stack(document):
        kind, (findings, configured) = STACK, lint_stack.lint(document.data, defaults, environment)
    else:
        kind, (findings, configured) = OWN, lint_file.lint(document.data)
    placed = [replace(f, line=document.line(f.at)) for f in findings]
    return Report(str(path), kind, tuple(sorted([*twice, *placed], key=lambda f: f.line)), tuple(configured))


def _is_stack(document: places.Document) -> bool:
    return isinstance(document.data, dict) and "services" in document.data


def _dotted(path: places.Path) -> str:
    return ".".join(map(str, path))
