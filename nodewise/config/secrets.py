"""Secrets from the configuration: given in place, or in a file that is read anew each time."""

from __future__ import annotations

from pathlib import Path

from nodewise.domain.errors import UserError


def read_secret(path: Path, field: str) -> str:
    """The content of a secret's file, without the line's end. Raises UserError naming *field*, never the content."""
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{field}: {path} cannot be read: {type(error).__name__}", "check path and rights", field
        ) from None
    if not text:
        raise UserError(f"{field}: {path} is empty", "a secret must not be empty", field)
    return text
