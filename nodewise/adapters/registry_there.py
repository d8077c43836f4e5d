"""Asks a registry, from this machine, whether it is there and what time it is. What it holds is asked by the engines.

``GET /v2/`` is what every registry answers (OCI distribution specification, end-1), without a login with 401.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import requests

from nodewise.domain.errors import RetryLater
from nodewise.domain.images import HUB

TIMEOUT = 3.0  # seconds
_HUB = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class Answered:
    """*at*: its time, to the second, or None where it does not say; *before* and *after*: ours."""

    at: float | None
    before: float
    after: float


def ask_registry(host: str, now: Callable[[], float] = time.time) -> Answered:
    """By https, else by http, as engines do with those that they are told to trust. Raises RetryLater."""
    name = _HUB if host == HUB else host
    for scheme in ("https", "http"):
        before = now()
        try:
            answer = requests.get(f"{scheme}://{name}/v2/", timeout=TIMEOUT, allow_redirects=False)
        except requests.RequestException:
            continue
        if answer.status_code not in (200, 401, 403):
            raise RetryLater(f"{host} answers, but not like a registry (HTTP {answer.status_code})")
        return Answered(_time_of(answer.headers.get("Date", "")), before, now())
    raise RetryLater(f"{host} does not answer this machine")


def _time_of(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
