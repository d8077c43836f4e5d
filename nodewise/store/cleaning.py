"""What the clean-up has to know: which images are on record, and which of them it has removed."""

from __future__ import annotations

from sqlalchemy import select, update

from nodewise.domain.access import Audit
from nodewise.domain.build import BuildState
from nodewise.domain.release import ReleaseState
from nodewise.domain.retention import Pushed, Shipped
from nodewise.store.access import insert_audit
from nodewise.store.database import Database
from nodewise.store.schema import builds, releases

_ENDED = [state.value for state in BuildState if state.terminal]
_SHIPPED = select(releases.c.service, releases.c.number, releases.c.image, releases.c.state)
_PUSHED = (
    select(builds.c.id, builds.c.name, builds.c.image, builds.c.digest, builds.c.builder, builds.c.parts)
    .where(builds.c.state == BuildState.PUSHED.value, builds.c.cleaned_at.is_(None))
    .order_by(builds.c.id.desc())
)
_BUILDING = select(builds.c.name).where(builds.c.state.not_in(_ENDED)).distinct()


class CleaningQueries:
    """Queries on images on record. Light: no spec is read, no recipe."""

    _db: Database

    def shipped(self) -> list[Shipped]:
        """The image of every release of every service."""
        with self._db.read() as c:
            return [Shipped(r.service, r.number, r.image, ReleaseState(r.state)) for r in c.execute(_SHIPPED)]

    def pushed(self) -> list[Pushed]:
        """The images of builds that were pushed and not cleaned, newest first."""
        with self._db.read() as c:
            return [Pushed(r.id, r.name, r.image, r.digest, r.builder, r.parts) for r in c.execute(_PUSHED)]

    def building(self) -> set[str]:
        """The names of the builds of which one has not ended."""
        with self._db.read() as c:
            return set(c.execute(_BUILDING).scalars())

    def note_cleaned(self, build_id: str, now: float, audit: Audit) -> None:
        """A build's image is gone from where it was pushed to. Noted once, with its audit, whoever comes twice."""
        with self._db.write() as c:
            first = update(builds).where(builds.c.id == build_id, builds.c.cleaned_at.is_(None))
            if c.execute(first.values(cleaned_at=now, version=builds.c.version + 1)).rowcount == 1:
                insert_audit(c, [audit])
