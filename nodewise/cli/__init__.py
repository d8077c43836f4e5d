"""The command line: a client of the API; with ``--local``, of the store itself.

``app`` is the Typer app, to which ``workers.main`` adds the verbs that run processes. What a verb needs is
imported when it runs: ``nodewise --help`` has to be quick.
"""

from nodewise.cli import acting, builds, control, deliveries, doctor, hooks, lint, reading, tokens, watching
from nodewise.cli.app import app, guarded

__all__ = [
    "acting",
    "app",
    "builds",
    "control",
    "deliveries",
    "doctor",
    "guarded",
    "hooks",
    "lint",
    "main",
    "reading",
    "tokens",
    "watching",
]


def main() -> None:
    """The command line without the processes."""
    app()
