"""The state diagram of docs/rollout.md, drawn from the table of transitions and its one detour."""

from __future__ import annotations

from nodewise.domain.rollout import ACTIVE, TABLE, TERMINAL, Cause, Phase

BEGIN = "<!-- drawn from nodewise/domain/rollout.py by ./dev fix -->"
END = "<!-- end of the drawing -->"


DETOUR = """\
    note right of clearing
        A rollout that has made services of its own (candidates, chores)
        reaches its ending, whichever that is, over clearing
    end note"""


def mermaid() -> str:
    """The table as a Mermaid state diagram; several causes of one move share an arrow.

    The detour over ``clearing`` is no line of the table: it is taken to whichever ending was reached.
    """
    arrows: dict[tuple[Phase, Phase], list[str]] = {}
    for (phase, cause), target in TABLE.items():
        arrows.setdefault((phase, target), []).append(cause.value)
    for ending in sorted(endings_with_helpers()):
        arrows.setdefault((Phase.CLEARING, ending), []).append(Cause.CLEARED.value)
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.PENDING}"]
    lines += [f"    {a} --> {b}: {', '.join(causes)}" for (a, b), causes in arrows.items()]
    lines += [f"    {phase} --> [*]" for phase in Phase if phase in TERMINAL]
    return "\n".join([*lines, DETOUR])


def endings_with_helpers() -> set[Phase]:
    """Endings of phases in which a rollout may have services of its own."""
    return {target for (phase, _), target in TABLE.items() if phase in ACTIVE and target in TERMINAL}


def redraw(page: str) -> str:
    """*page* with its drawing made anew."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n```mermaid\n{mermaid()}\n```\n{END}{tail}"
