"""The gates' labels: how their values are read, and which gates they amount to.

The labels themselves are declared in ``labels.py``. Which labels a gate needs together is said here, once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from nodewise.domain.errors import UserError
from nodewise.domain.placeholders import NAMES
from nodewise.domain.steps import GatePlan

PORT = "port"  # of the service, or of its candidates: known when the plan is made
_BRACES = re.compile(r"\{(\w+)\}")


def web_url(text: str) -> str:
    """An http(s) URL with placeholders in it. Raises ValueError, or UserError for a placeholder that is none."""
    names = (*NAMES, PORT)
    unknown = next((name for name in _BRACES.findall(text) if name not in names), None)
    if unknown:
        raise UserError(f"{{{unknown}}} is not filled in, but {', '.join(f'{{{n}}}' for n in names)}")
    parts = urlsplit(_BRACES.sub("1", text))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError(text)
    return text


def server_url(text: str) -> str:
    """The http(s) address of a server, as it is kept in plans: so without a login. Raises ValueError."""
    parts = urlsplit(text)
    if web_url(text) and (_BRACES.search(text) or "@" in parts.netloc or parts.query or parts.fragment):
        raise ValueError(text)
    return text


def expression(text: str) -> str:
    """A regular expression. Raises UserError with what is wrong with it, ValueError when it is empty."""
    if not text:
        raise ValueError(text)
    try:
        re.compile(text)
    except re.error as error:
        raise UserError(str(error)) from error
    return text


def number(text: str) -> float:
    """A finite number. Raises ValueError."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def share(text: str) -> float:
    """A share from 0 to 1, or a percentage. Raises ValueError."""
    value = number(text.removesuffix("%").strip()) / (100 if text.endswith("%") else 1)
    if not 0 <= value <= 1:
        raise ValueError(text)
    return value


def gate_plans(values: Mapping[str, Any]) -> tuple[GatePlan, ...]:
    """The gates that these values ask for, in the order in which they are told. One that lacks a part is left out."""
    plans = []
    if values["gate.http.url"]:
        plans.append(_plan("http", values, "url", "status", "body", "latency"))
    if values["gate.prometheus.query"] and not any(lacking(values, ())):
        plans.append(_plan("prometheus", values, "url", "query", "min", "max"))
    if values["gate.edge"]:
        address, backend = values["gate.edge"]
        config = {"address": address, "backend": backend, "max_errors": values["gate.edge.errors"]}
        plans.append(_plan("edge", values, **config))
    return tuple(plans)


def lacking(values: Mapping[str, Any], given: Collection[str]) -> Iterator[tuple[str, str]]:
    """(label, what is allowed) for each label that cannot do without another one which is not there.

    A label among the *given* that has no value was found wrong already, and is not told again.
    """
    if not values["gate.prometheus.query"]:
        return
    low, high = values["gate.prometheus.min"], values["gate.prometheus.max"]
    bounds = {"gate.prometheus.min", "gate.prometheus.max"}
    if low is None and high is None and not bounds & set(given):
        yield "gate.prometheus.query", "a query with a bound: set nodewise.gate.prometheus.max or .min as well"
    if low is not None and high is not None and low > high:
        yield "gate.prometheus.min", f"a number up to that of nodewise.gate.prometheus.max, which is {high:g}"
    if not values["gate.prometheus.url"] and "gate.prometheus.url" not in given:
        way_out = "set nodewise.gate.prometheus.url, or NODEWISE_PROMETHEUS_URL for all services"
        yield "gate.prometheus.query", f"a query with a server to ask: {way_out}"


def _plan(name: str, values: Mapping[str, Any], *labels: str, **config: Any) -> GatePlan:
    """A gate with the values of *labels* as its config, as far as there are any, and with *config* as it is."""
    found = {label: values[f"gate.{name}.{label}"] for label in (*labels, "timeout")}
    return GatePlan(
        name,
        interval=values[f"gate.{name}.interval"],
        successes=values[f"gate.{name}.successes"],
        failures=values[f"gate.{name}.failures"],
        config={**config, **{label: value for label, value in found.items() if value is not None}},
    )
