"""What the sections of nodewise.yaml have in common."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the file: unknown keys are errors, and nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def as_list(value: object) -> object:
    """One of something may be written without brackets."""
    return [value] if isinstance(value, (str, Path)) else value


def nearest(word: str, words: Any) -> str:
    """A hint at the one of *words* that may have been meant; empty where none is near."""
    near = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
