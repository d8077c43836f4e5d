"""Strategies: what a rollout holds, asks, makes and clears up; locks"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_COMING = "event_id <> '' AND phase IN ('pending', 'queued', 'waiting', 'preparing', 'staging', 'moving')"
_ACTIVE = "phase IN ('preparing', 'staging', 'moving', 'finishing', 'watching', 'rolling_back', 'swarm_rolling_back')"
_INDEXES = (("uq_rollouts_coming", ["service", "image"], _COMING), ("uq_rollouts_active", ["service"], _ACTIVE))


def upgrade() -> None:
    op.create_table(
        "locks",
        sa.Column("service", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=140), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("service", "digest", name=op.f("pk_locks")),
    )
    for column in (
        sa.Column("held", sa.Text(), nullable=False, server_default=""),
        sa.Column("abort", sa.Text(), nullable=False, server_default=""),
        sa.Column("turned", sa.String(length=40), nullable=False, server_default=""),
        sa.Column("ends_as", sa.String(length=24)),
        sa.Column("helpers", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("chores", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("approvals", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("idle_since", sa.Float()),
        sa.Column("watch_until", sa.Float()),
        sa.Column("app_rollout", sa.String(length=32), nullable=False, server_default=""),
        sa.Column("stage", sa.Integer(), nullable=False, server_default="0"),
    ):
        op.add_column("rollouts", column)
    op.create_index(op.f("ix_rollouts_app_rollout"), "rollouts", ["app_rollout"])
    op.add_column("steps", sa.Column("stage", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("steps", sa.Column("size", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("steps", sa.Column("first_passed", sa.Float()))
    for name, columns, where in _INDEXES:
        op.drop_index(name, table_name="rollouts")
        op.create_index(
            name, "rollouts", columns, unique=True, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
        )
