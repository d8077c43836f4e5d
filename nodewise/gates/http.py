"""The HTTP gate: an address answers as it should: with an allowed status, the right words, and soon enough.

``{node}`` in the URL is the node's address, ``{task}`` a task's address on its first network; see
``nodewise.domain.placeholders`` for the rest. With ``{task}`` every task of the node is asked, side by side,
and the worst answer counts. Redirects are not followed: a redirect is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from nodewise.domain.placeholders import fill
from nodewise.domain.steps import GatePlan, Place, Reading, Verdict
from nodewise.domain.swarm import TaskView
from nodewise.domain.urls import without_login
from nodewise.gates._asking import Finding, ask_tasks
from nodewise.gates._web import Answer, NoAnswer, get

BODY_LIMIT = 64 * 1024  # bytes of an answer that are read and searched


def read(gate: GatePlan, place: Place) -> Reading:
    """Ask. Config: ``url``, ``status`` (such as ``200-299,404``), ``timeout`` for the whole answer; where wanted
    ``body`` (a regular expression to be found in it) and ``latency`` (how long it may take). Times in seconds."""
    url = str(gate.config["url"])
    return ask_tasks(gate, place, url, lambda task: _ask(gate.config, url, place, task))


def _ask(config: Mapping[str, Any], url: str, place: Place, task: TaskView | None) -> Finding:
    url = fill(url, place, task, partial(quote, safe="[]:"))
    wants_body = config.get("body") or config.get("latency")
    try:
        answer = get(url, float(config.get("timeout", 2.0)), BODY_LIMIT if wants_body else 0)
    except NoAnswer as error:
        return Finding(Verdict.FAIL, f"GET {without_login(url)}: {error}", error.reached)
    wrong = complaint(config, answer)
    detail = f"GET {without_login(url)}: {answer.status}{wrong or _praise(config, answer)}"
    return Finding(Verdict.FAIL if wrong else Verdict.PASS, detail)


def complaint(config: Mapping[str, Any], answer: Answer) -> str:
    """What is wrong with *answer*, to stand behind its status; empty when nothing is."""
    statuses, body, latency = config.get("status", "200-299"), config.get("body"), config.get("latency")
    if not allowed(str(statuses), answer.status):
        redirect = " (redirects are not followed)" if 300 <= answer.status < 400 else ""
        return f", allowed is {statuses}{redirect}"
    if body and not re.search(str(body), answer.body.decode(errors="replace")):
        return f", but nothing in it matches {str(body)!r}"
    if latency and answer.seconds > float(latency):
        return f", but after {answer.seconds:.3g} s, slower than {float(latency):g} s"
    return ""


def _praise(config: Mapping[str, Any], answer: Answer) -> str:
    matches = f", matches {str(config['body'])!r}" if config.get("body") else ""
    return matches + (f", in {answer.seconds:.3g} s" if config.get("latency") else "")


def allowed(statuses: str, status: int) -> bool:
    """Whether *status* is in a list of numbers and ranges."""
    for part in statuses.split(","):
        low, _, high = part.strip().partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False
