"""Builds and their logs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from nodewise.domain.build import Build, BuildState
from nodewise.domain.errors import Conflict, LostRace
from nodewise.domain.jobs import Job
from nodewise.store import outbox as box
from nodewise.store.codec import build_of, build_row, clean
from nodewise.store.database import Database
from nodewise.store.schema import build_logs, builds
from nodewise.store.telling import TellingQueries


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

    def same_build(self, build: Build) -> Build | None:
        """The newest one that was pushed with the same commit and the same inputs."""
        b = builds.c
        same = (b.name == build.name, b.commit == build.commit, b.inputs == build.inputs, b.id != build.id)
        return self._newest(*same, b.state == BuildState.PUSHED.value)

    def newer_build(self, build: Build) -> Build | None:
        """The newest build of the same ref that was asked for after *build*, and not skipped since."""
        return self._newest(*_same_ref(build), builds.c.id > build.id, builds.c.state != BuildState.SKIPPED.value)

    def last_pushed(self, build: Build) -> Build | None:
        """The newest build of the same ref before *build* that was pushed."""
        return self._newest(*_same_ref(build), builds.c.id < build.id, builds.c.state == BuildState.PUSHED.value)

    def build_ahead(self, build: Build) -> Build | None:
        """One of the same repository that was asked for before *build* and is not built yet."""
        b, states = builds.c, (BuildState.WAITING.value, BuildState.BUILDING.value)
        return self._newest(b.repository == build.repository, b.id < build.id, b.state.in_(states))

    def latest_build(self, name: str, ref: str) -> Build | None:
        """The newest build of that ref."""
        return self._newest(builds.c.name == name, builds.c.ref == ref)

    def given_way(self, build: Build) -> Build | None:
        """The newest build of the same ref before *build*, where that one was replaced."""
        older = self._newest(*_same_ref(build), builds.c.id < build.id, builds.c.state != BuildState.SKIPPED.value)
        return older if older is not None and older.state is BuildState.REPLACED else None

    def _newest(self, *which: Any) -> Build | None:
        with self._db.read() as c:
            row = c.execute(select(builds).where(*which).order_by(builds.c.id.desc()).limit(1)).one_or_none()
        return None if row is None else build_of(row._mapping)

    def build_behind(self, image: str, digest: str) -> Build | None:
        """The newest build that was pushed as *digest*; where none is known, as *image*."""
        same = builds.c.digest == digest if digest else builds.c.image == image
        return self._newest(same, builds.c.state == BuildState.PUSHED.value)

    def build_named(self, image: str) -> Build | None:
        """The newest build that is to have this name, whatever became of it."""
        return self._newest(builds.c.image == image)

    def save_build(self, build: Build, now: float, jobs: Iterable[Job] = ()) -> Build:
        """Save by compare-and-set, with jobs, in one transaction.

        Raises LostRace, and Conflict where the build is to begin while another one of its repository is under way.
        """
        after = build.version + 1
        try:
            with self._db.write() as c:
                done = c.execute(
                    update(builds)
                    .where(builds.c.id == build.id, builds.c.version == build.version)
                    .values(build_row(build) | {"version": after})
                )
                if done.rowcount != 1:
                    raise LostRace(f"build {build.id} was saved by someone else since version {build.version}")
                box.put(self._db, c, jobs, now)
                self._worth_telling(c, [build.id], now)
        except IntegrityError as error:
            raise Conflict(f"another build of {build.repository} is under way") from error
        return replace(build, version=after)

    def append_build_log(self, build_id: str, text: str) -> None:
        """Add a piece to a build's log. Not durable by itself: the build's end is."""
        with self._db.write(durable=False) as c:
            c.execute(build_logs.insert().values(build_id=build_id, text=clean(text)))

    def build_log(self, build_id: str, after: int = 0) -> list[tuple[int, str]]:
        """(sequence number, text) pieces, after the given number."""
        query = select(build_logs.c.seq, build_logs.c.text).where(
            build_logs.c.build_id == build_id, build_logs.c.seq > after
        )
        with self._db.read() as c:
            return [(r.seq, r.text) for r in c.execute(query.order_by(build_logs.c.seq))]


def _same_ref(build: Build) -> tuple[Any, ...]:
    return (builds.c.name == build.name, builds.c.ref == build.ref)
