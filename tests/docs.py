"""Draw the generated pages anew: ``python -m tests.docs``. What they are made of is declared in the code."""

from __future__ import annotations

from pathlib import Path

from nodewise.config.docs import labels_page, settings_page
from nodewise.domain.diagram import redraw
from webhooks.docs import providers_page

DOCS = Path(__file__).parents[1] / "docs"


def pages() -> dict[Path, str]:
    """Every generated page, and what should stand in it."""
    rollout = DOCS / "rollout.md"
    return {
        rollout: redraw(rollout.read_text()),
        DOCS / "labels.md": labels_page(),
        DOCS / "providers.md": providers_page(),
        DOCS / "settings.md": settings_page(),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
