"""Builds and their logs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import func, select, update

from nodewise.domain.build import Build, BuildState
from nodewise.domain.errors import LostRace
from nodewise.domain.jobs import Job
from nodewise.store import outbox as box
from nodewise.store.codec import build_of, build_row, clean
from nodewise.store.database import Database
from nodewise.store.schema import build_logs, builds
from nodewise.store.telling import TellingQueries

LOG_CAP = 4 * 1024 * 1024  # characters
CUT = "\n[the log is cut here: it is longer than 4 MiB]\n"


class BuildQueries(TellingQueries):
    """Queries on builds."""

    _db: Database

    def build(self, build_id: str) -> Build | None:
        with self._db.read() as c:
            row = c.execute(select(builds).where(builds.c.id == build_id)).one_or_none()
        return None if row is None else build_of(row._mapping)

    def builds(self, limit: int = 50) -> list[Build]:
        """Newest first."""
        with self._db.read() as c:
            return [build_of(r._mapping) for r in c.execute(select(builds).order_by(builds.c.id.desc()).limit(limit))]

    def build_for(self, name: str, commit: str, image: str) -> Build | None:
        """The newest build of that commit into that image."""
        same = (builds.c.name == name, builds.c.commit == commit, builds.c.image == image)
        with self._db.read() as c:
            row = c.execute(select(builds).where(*same).order_by(builds.c.id.desc()).limit(1)).one_or_none()
        return None if row is None else build_of(row._mapping)

    def build_behind(self, image: str, digest: str) -> Build | None:
        """The newest build that was pushed as *digest*; where none is known, as *image*."""
        same = builds.c.digest == digest if digest else builds.c.image == image
        query = select(builds).where(same, builds.c.state == BuildState.PUSHED.value).order_by(builds.c.id.desc())
        with self._db.read() as c:
            row = c.execute(query.limit(1)).one_or_none()
        return None if row is None else build_of(row._mapping)

    def save_build(self, build: Build, now: float, jobs: Iterable[Job] = ()) -> Build:
        """Save by compare-and-set, with jobs, in one transaction. Raises LostRace."""
        after = build.version + 1
        with self._db.write() as c:
            done = c.execute(
                update(builds)
                .where(builds.c.id == build.id, builds.c.version == build.version)
                .values(build_row(build) | {"version": after, "error": clean(build.error)})
            )
            if done.rowcount != 1:
                raise LostRace(f"build {build.id} was saved by someone else since version {build.version}")
            box.put(self._db, c, jobs, now)
            self._worth_telling(c, [build.id], now)
        return replace(build, version=after)

    def append_build_log(self, build_id: str, text: str) -> None:
        """Add to a build's log, up to its cap; a line says where it was cut."""
        with self._db.write() as c:
            mine = build_logs.c.build_id == build_id
            size = int(c.execute(select(func.sum(func.length(build_logs.c.text))).where(mine)).scalar() or 0)
            if size > LOG_CAP:
                return
            if size + len(text) > LOG_CAP:
                text = text[: LOG_CAP - size] + CUT
            c.execute(build_logs.insert().values(build_id=build_id, text=clean(text)))

    def build_log(self, build_id: str, after: int = 0) -> list[tuple[int, str]]:
        """(sequence number, text) pieces, after the given number."""
        query = select(build_logs.c.seq, build_logs.c.text).where(
            build_logs.c.build_id == build_id, build_logs.c.seq > after
        )
        with self._db.read() as c:
            return [(r.seq, r.text) for r in c.execute(query.order_by(build_logs.c.seq))]
