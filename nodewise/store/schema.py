"""The tables. Times are seconds since the epoch; what has a shape of its own in the domain is JSON."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("provider", String(64), nullable=False),
    Column("hook", String(64), nullable=False),
    Column("key", String(200), nullable=False),  # a digest of it where it is longer
    Column("body_digest", String(80)),  # null where the id is under the signature: nulls never clash
    Column("verdict", String(16), nullable=False),
    Column("note", Text, nullable=False),
    Column("received_at", Float, nullable=False, index=True),
    Column("size", Integer, nullable=False),
    Column("body", LargeBinary),  # compressed; null once expired
    UniqueConstraint("hook", "key"),
    UniqueConstraint("hook", "body_digest"),
)

rejected = Table(
    "rejected",
    metadata,
    Column("provider", String(64), primary_key=True),
    Column("hook", String(64), primary_key=True),
    Column("reason", String(64), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_at", Float, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("delivery_id", String(32), ForeignKey("deliveries.id"), index=True),
    Column("kind", String(32), nullable=False),
    Column("data", JSON, nullable=False),
    Column("origin", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("done_at", Float),
    Column("outcome", Text, nullable=False),
    Column("once", String(80)),  # null where an event may come again: nulls never clash
    Index("uq_events_once", "once", unique=True),
)

releases = Table(
    "releases",
    metadata,
    Column("service", String(255), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("image", Text, nullable=False),
    Column("digest", String(140), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("spec", JSON, nullable=False),
    Column("origin", Text, nullable=False),
    Column("state", String(8), nullable=False),
    Column("created_at", Float, nullable=False),
    Index("ix_releases_fingerprint", "service", "fingerprint"),
)

_COMING = "event_id <> '' AND phase IN ('pending', 'queued', 'waiting', 'preparing', 'staging', 'moving')"
_ACTIVE = "phase IN ('preparing', 'staging', 'moving', 'finishing', 'watching', 'rolling_back', 'swarm_rolling_back')"
rollouts = Table(
    "rollouts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("service", String(255), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("phase", String(24), nullable=False),
    Column("version", Integer, nullable=False),
    Column("origin", Text, nullable=False),
    Column("image", Text, nullable=False),
    Column("requested", Integer),
    Column("event_id", String(32), nullable=False),
    Column("service_id", String(64), nullable=False),
    Column("from_number", Integer),
    Column("to_number", Integer),
    Column("plan", JSON),
    Column("reason", Text, nullable=False),
    Column("failing_task", String(64), nullable=False),
    Column("evidence", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("queued_at", Float),
    Column("started_at", Float),
    Column("written_at", Float),
    Column("ended_at", Float),
    Column("deadline_at", Float),
    Column("held", Text, nullable=False, server_default=""),
    Column("abort", Text, nullable=False, server_default=""),
    Column("turned", String(40), nullable=False, server_default=""),
    Column("ends_as", String(24)),
    Column("helpers", Boolean, nullable=False, server_default=false()),
    Column("chores", JSON, nullable=False, server_default="[]"),
    Column("approvals", JSON, nullable=False, server_default="[]"),
    Column("idle_since", Float),
    Column("watch_until", Float),
    Column("remaining", Integer),
    Column("app_rollout", String(32), nullable=False, server_default="", index=True),
    Column("stage", Integer, nullable=False, server_default="0"),
    Index("ix_rollouts_service", "service", "id"),
    Index("ix_rollouts_event_id", "event_id"),
    # The database itself guarantees it: at most one rollout holds a service, and at most one waits for it.
    Index("uq_rollouts_active", "service", unique=True, sqlite_where=text(_ACTIVE), postgresql_where=text(_ACTIVE)),
    Index(
        "uq_rollouts_queued",
        "service",
        unique=True,
        sqlite_where=text("phase = 'queued'"),
        postgresql_where=text("phase = 'queued'"),
    ),
    # And one image is on its way to a service once, however many events tell of it.
    Index(
        "uq_rollouts_coming",
        "service",
        "image",
        unique=True,
        sqlite_where=text(_COMING),
        postgresql_where=text(_COMING),
    ),
)

steps = Table(
    "steps",
    metadata,
    Column("rollout_id", String(32), ForeignKey("rollouts.id"), primary_key=True),
    Column("node_id", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("node", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("since", Float, nullable=False),
    Column("tasks", JSON, nullable=False),
    Column("streaks", JSON, nullable=False),
    Column("detail", Text, nullable=False),
    Column("stage", Integer, nullable=False, server_default="0"),
    Column("size", Integer, nullable=False, server_default="1"),
    Column("first_passed", Float),
)

readings = Table(
    "readings",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("rollout_id", String(32), ForeignKey("rollouts.id"), nullable=False, index=True),
    Column("gate", String(32), nullable=False),
    Column("node_id", String(64), nullable=False),
    Column("task_id", String(64), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("at", Float, nullable=False),
)

builds = Table(
    "builds",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("repository", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("commit", String(64), nullable=False),
    Column("image", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("event_id", String(32), nullable=False),
    Column("recipe", JSON, nullable=False, server_default="{}"),
    Column("author", Text, nullable=False, server_default=""),
    Column("message", Text, nullable=False, server_default=""),
    Column("committed_at", Float),
    Column("inputs", String(64), nullable=False, server_default=""),
    Column("builder", Text, nullable=False, server_default=""),
    Column("image_id", Text, nullable=False, server_default=""),
    Column("digest", String(140), nullable=False),
    Column("parts", JSON, nullable=False, server_default="{}"),
    Column("error", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("cleaned_at", Float),
    Index("ix_builds_commit", "name", "commit"),
    Index("ix_builds_digest", "digest"),
    Index("ix_builds_ref", "name", "ref"),
    Index("ix_builds_event_id", "event_id"),
    # The database itself guarantees it: of each repository at most one is being built.
    Index(
        "uq_builds_building",
        "repository",
        unique=True,
        sqlite_where=text("state = 'building'"),
        postgresql_where=text("state = 'building'"),
    ),
)

build_logs = Table(
    "build_logs",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("build_id", String(32), ForeignKey("builds.id"), nullable=False, index=True),
    Column("text", Text, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("verb", String(16), primary_key=True),
    Column("subject", String(32), primary_key=True),
    Column("due_at", Float, nullable=False, index=True),
    Column("leased_until", Float),
    Column("published_at", Float),  # when the sweep last told the queue
    Column("attempts", Integer, nullable=False),
    Column("rev", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("last_error", Text, nullable=False),
)

told = Table(
    "told",
    metadata,
    Column("subject", String(32), primary_key=True),  # a rollout or a build
    Column("channel", String(80), primary_key=True),
    Column("occasion", String(80), nullable=False),
    Column("kept", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due_at", Float, nullable=False),
)

locks = Table(
    "locks",
    metadata,
    Column("service", String(255), primary_key=True),
    Column("digest", String(140), primary_key=True),  # empty: the whole service
    Column("reason", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("at", Float, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
    Column("last_used_at", Float),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", String(64), nullable=False),
    Column("subject", Text, nullable=False, index=True),
    Column("detail", Text, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Float, nullable=False),
)
