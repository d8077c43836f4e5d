"""Builds with their whole recipe, several platforms, what git says of their commits, cleaning, and one at a time"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

OLD = ("dockerfile", "context", "args")
builds = sa.table("builds", *(sa.column(n, sa.JSON() if n in ("args", "recipe") else sa.Text()) for n in (
    "id", "state", "recipe", *OLD)))  # fmt: skip


def upgrade() -> None:
    for name in ("author", "message", "builder"):
        op.add_column("builds", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.add_column("builds", sa.Column("inputs", sa.String(64), nullable=False, server_default=""))
    for name in ("committed_at", "cleaned_at"):
        op.add_column("builds", sa.Column(name, sa.Float()))
    for name in ("recipe", "parts"):
        op.add_column("builds", sa.Column(name, sa.JSON(), nullable=False, server_default=json.dumps({})))
    _hold_several_ids()
    c = op.get_bind()
    for row in c.execute(sa.select(builds)).all():
        recipe = {name: row._mapping[name] for name in OLD}
        c.execute(sa.update(builds).where(builds.c.id == row.id).values(recipe=recipe))
    # Each is begun anew by its own job, which still stands in the outbox.
    c.execute(sa.update(builds).where(builds.c.state == "building").values(state="waiting"))
    for name in OLD:
        op.drop_column("builds", name)
    op.create_index(
        "uq_builds_building",
        "builds",
        ["repository"],
        unique=True,
        sqlite_where=sa.text("state = 'building'"),
        postgresql_where=sa.text("state = 'building'"),
    )
    op.create_index("ix_builds_ref", "builds", ["name", "ref"])
    op.create_index("ix_builds_event_id", "builds", ["event_id"])
    op.create_index("ix_rollouts_event_id", "rollouts", ["event_id"])


def _hold_several_ids() -> None:
    """Make image_id a text, by another column: SQLite alters none, and a new table would break the logs' key to it."""
    op.add_column("builds", sa.Column("image_ids", sa.Text(), nullable=False, server_default=""))
    op.execute("UPDATE builds SET image_ids = image_id")
    op.drop_column("builds", "image_id")
    op.execute("ALTER TABLE builds RENAME COLUMN image_ids TO image_id")
