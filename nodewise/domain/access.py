"""Who may do what, and who did: tokens and the audit."""

from __future__ import annotations

from dataclasses import dataclass

SCOPES = ("read", "deploy", "approve", "admin")


@dataclass(frozen=True, slots=True)
class Token:
    """An API token as stored: its hash is not part of it. Times in seconds since the epoch."""

    name: str
    scopes: frozenset[str]
    created_at: float
    revoked_at: float | None = None
    last_used_at: float | None = None

    def allows(self, scope: str) -> bool:
        """admin allows all; deploy and approve allow reading."""
        return not self.revoked_at and (
            scope in self.scopes or "admin" in self.scopes or (scope == "read" and bool(self.scopes))
        )


@dataclass(frozen=True, slots=True)
class Audit:
    """One act: when, by whom, what, on what."""

    at: float
    who: str
    what: str
    subject: str
    detail: str = ""
