"""The state diagram of docs/rollout.md, drawn from the table of transitions and from nothing else."""

from __future__ import annotations

from nodewise.domain.rollout import TABLE, TERMINAL, Phase

BEGIN = "<!-- drawn from nodewise/domain/rollout.py by ./dev fix -->"
END = "<!-- end of the drawing -->"


def mermaid() -> str:
    """The table as a Mermaid state diagram; several causes of one move share an arrow."""
    arrows: dict[tuple[Phase, Phase], list[str]] = {}
    for (phase, cause), target in TABLE.items():
        arrows.setdefault((phase, target), []).append(cause.value)
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.PENDING}"]
    lines += [f"    {a} --> {b}: {', '.join(causes)}" for (a, b), causes in arrows.items()]
    lines += [f"    {phase} --> [*]" for phase in Phase if phase in TERMINAL]
    return "\n".join(lines)


def redraw(page: str) -> str:
    """*page* with its drawing made anew."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n```mermaid\n{mermaid()}\n```\n{END}{tail}"
