"""How values are written for people: times, digests, phases and their colours. Pure."""

from __future__ import annotations

import re

# C0 and C1 but for tab and newline: what a terminal would act upon instead of showing it.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")

GOOD, BAD, BUSY, QUIET = "green", "red", "cyan", "bright_black"
WARN = "yellow"

PHASE_STYLES = {
    "pending": QUIET,
    "queued": QUIET,
    "waiting": QUIET,
    "preparing": BUSY,
    "staging": BUSY,
    "moving": BUSY,
    "finishing": BUSY,
    "watching": BUSY,
    "rolling_back": WARN,
    "swarm_rolling_back": WARN,
    "clearing": QUIET,
    "succeeded": GOOD,
    "rolled_back": BAD,
    "rolled_back_by_swarm": BAD,
    "changed": BAD,
    "superseded": QUIET,
    "aborted": WARN,
    "frozen": BAD,
    "failed": BAD,
}
STATE_STYLES = {
    "waiting": QUIET,
    "moving": BUSY,
    "gating": BUSY,
    "baking": BUSY,
    "passed": GOOD,
    "failed": BAD,
    "skipped": QUIET,
}
CHORE_STYLES = {"waiting": QUIET, "doing": BUSY, "done": GOOD, "failed": BAD}
CHORE_NAMES = {"before": "hook.before", "after": "hook.after"}
SYMBOLS = {
    "waiting": ("·", "."),
    "moving": ("↻", ">"),
    "gating": ("?", "?"),
    "baking": ("◷", "~"),
    "passed": ("✓", "+"),
    "failed": ("✗", "x"),
    "skipped": ("–", "-"),
    "doing": ("↻", ">"),
    "done": ("✓", "+"),
}


def printable(text: str) -> str:
    """*text* without what a terminal would act upon: it may come from an application's log."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def phase_word(phase: str) -> str:
    """``rolled_back_by_swarm`` as people write it."""
    return phase.replace("_", " ").replace("swarm", "Swarm")


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``, ``4 d``. Never negative: clocks differ."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 2 * 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} d"


def ago(at: float | None, now: float) -> str:
    """How long ago that was, in one unit."""
    if at is None:
        return ""
    seconds = max(0.0, now - at)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def short_digest(digest: str) -> str:
    """The first twelve digits of a digest."""
    return digest.rpartition(":")[2][:12]


def image_parts(image: str) -> tuple[str, str, str]:
    """(repository, tag, short digest) as they stand in *image*."""
    name, _, digest = image.partition("@")
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return head + slash + last, tag, short_digest(digest)


def short_image(image: str, beside: str = "") -> str:
    """``1.4.2 (3f2a91c0d4e5)``; with the repository where it is another one than that of *beside*."""
    if not image:
        return "?"
    repository, tag, digest = image_parts(image)
    name = tag if tag and (not beside or image_parts(beside)[0] == repository) else f"{repository}:{tag}".rstrip(":")
    return f"{name} ({digest})" if digest else name


def count(number: int, noun: str) -> str:
    """``1 task``, ``3 tasks``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
