"""Errors, sorted by what the caller has to do about them: try later, give up, or tell the user.

Every adapter wraps its client's errors in one of these with ``from``.
"""

from __future__ import annotations


class NodewiseError(Exception):
    """Base of all. ``what`` says what is wrong, ``hint`` says the way out."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what} ({self.hint})" if self.hint else self.what


class UserError(NodewiseError):
    """The request cannot be carried out as given: tell the user. ``field`` names the offending input."""

    def __init__(self, what: str, hint: str = "", field: str = "") -> None:
        super().__init__(what, hint)
        self.field = field


class NotFound(UserError):
    """The named thing does not exist."""


class Conflict(UserError):
    """The named thing is in a state that does not allow this."""


class Forbidden(UserError):
    """The caller may not do this."""


class RetryLater(NodewiseError):
    """Something outside does not answer for now. ``delay``: seconds to wait before the next try."""

    def __init__(self, what: str, hint: str = "", delay: float = 1.0) -> None:
        super().__init__(what, hint)
        self.delay = delay


class OutOfSequence(RetryLater):
    """The service's version moved on between our reading and our writing: read again, decide again.

    Swarm answers HTTP 500 "update out of sequence"; its own updater bumps the version too.
    """


class GiveUp(NodewiseError):
    """Trying again will not help. The job ends, and what it was for ends with this reason."""


class LostRace(NodewiseError):
    """Somebody else saved this row first (compare-and-set). The loser returns and does nothing."""
