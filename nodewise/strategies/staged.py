"""staged: strict order, held between nodes. Candidates walk the nodes; then the service itself is updated natively.

The order is that of ``nodewise.steps``: ``each`` (node by node, by name), counts and percentages (so many nodes by
then), node names. Nodes that no step reaches get the new release with the native update. Until that, the running
service is not touched: a rollback is the removal of the candidates.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from nodewise.domain.errors import UserError
from nodewise.domain.steps import GatePlan, Step, first_steps
from nodewise.strategies import Cut, Terrain, at_port, published_port
from nodewise.strategies.rolling import refuse_unsound, update_settings

EACH = "each"


def plan(terrain: Terrain) -> Cut:
    """Cut the rollout of the spec. Raises UserError for what cannot be staged, naming what is wrong."""
    refuse_unsound(terrain.spec)
    here = [
        s
        for s in first_steps(terrain.tasks, terrain.nodes)
        if s.node_id in terrain.nodes and terrain.nodes[s.node_id].takes_tasks
    ]
    gates = tuple(at_port(g, published_port(terrain.spec)) for g in terrain.gates)
    config, notes = update_settings(terrain, gates)
    asked, skipped = _on_candidates(terrain)
    return Cut(
        steps=tuple(staged(here, terrain.order or (EACH,))),
        gates=gates,
        update_config=config,
        notes=(*notes, *skipped),
        staged=True,
        candidate_gates=asked,
    )


def staged(steps: Sequence[Step], order: Sequence[str]) -> list[Step]:
    """*steps* in order, each with the number of its stage. Those that no word of *order* reaches are left out."""
    ordered = _ordered(steps, order)
    ends = list(_ends([s.node for s in ordered], order))
    placed: list[Step] = []
    for stage, end in enumerate(sorted(set(ends))):
        placed += [replace(step, stage=stage) for step in ordered[len(placed) : end]]
    return placed


def _ordered(steps: Sequence[Step], order: Sequence[str]) -> list[Step]:
    """Named nodes first, in the given order; the rest by name."""
    by_name = {s.node: s for s in steps}
    named = [word for word in order if not _is_count(word) and word != EACH]
    for word in named:
        if word not in by_name:
            near = next(iter(difflib.get_close_matches(word, by_name, n=1)), "")
            hint = f"did you mean {near!r}? " if near else ""
            raise UserError(
                f"the service runs on no node called {word!r} that takes tasks",
                f"{hint}it runs on {', '.join(sorted(by_name)) or 'none'}",
                "nodewise.steps",
            )
    first = [by_name[word] for word in dict.fromkeys(named)]
    return [*first, *(s for s in steps if s not in first)]


def _ends(names: Sequence[str], order: Sequence[str]) -> Iterator[int]:
    """For each word of *order*: how many nodes run the candidate once its stage is over."""
    total = len(names)
    for word in order:
        if word == EACH:
            yield from range(1, total + 1)
        elif word.endswith("%"):
            yield max(1, math.ceil(total * int(word[:-1]) / 100)) if total else 0
        elif _is_count(word):
            yield min(int(word), total)
        else:
            yield names.index(word) + 1


def _is_count(word: str) -> bool:
    return word.rstrip("%").isdigit()


def _on_candidates(terrain: Terrain) -> tuple[tuple[GatePlan, ...], tuple[str, ...]]:
    """The gates that say something about a candidate, and notes about those that do not."""
    port = terrain.candidate_ports[0][1] if terrain.candidate_ports else None
    asked, notes = [], []
    for gate in terrain.gates:
        url = str(gate.config.get("url", ""))
        if gate.name == "edge":
            notes.append("gate edge is asked once the service itself moves: the edge does not know the candidates")
        elif gate.name == "http" and "{node}" in url and "{task}" not in url and not ("{port}" in url and port):
            notes.append(
                f"gate http is asked once the service itself moves: {url} reaches the running release; with {{port}} in"
                " it and nodewise.candidate.publish, or with {task}, it is asked on the candidates too"
            )
        else:
            asked.append(at_port(gate, port) if port else gate)
    return tuple(asked), tuple(notes)
