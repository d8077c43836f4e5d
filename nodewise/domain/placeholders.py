"""The words in braces that a gate's label may hold, and what each stands for at one place. Pure.

Only these words are replaced, all in one pass: PromQL has braces of its own, and a value is never read again.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from nodewise.domain.steps import Place
from nodewise.domain.swarm import TaskView

NAMES = ("node", "node_name", "task", "service", "image", "tag", "digest", "rollout")
_WORD = re.compile("{(" + "|".join(NAMES) + ")}")


def fill(text: str, place: Place, task: TaskView | None, quote: Callable[[str], str]) -> str:
    """*text* with every placeholder replaced; *quote* makes a value safe where it is put."""
    values = _values(place, task)
    return _WORD.sub(lambda found: quote(values[found[1]]), text)


def asks_each_task(text: str) -> bool:
    """Whether *text* is another one for every task of a node."""
    return "{task}" in text


def _values(place: Place, task: TaskView | None) -> dict[str, str]:
    """Addresses stand as in a URL: an IPv6 address in brackets, so that a port may follow."""
    name, _, digest = place.image.partition("@")
    return {
        "node": _host(place.node.address),
        "node_name": place.node.name,
        "task": _host(task.address) if task else "",
        "service": place.service,
        "image": place.image,
        "tag": name.rpartition("/")[2].partition(":")[2],
        "digest": digest,
        "rollout": place.rollout_id,
    }


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
