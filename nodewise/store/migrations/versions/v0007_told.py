"""What each channel was told of a rollout or a build last"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "told",
        sa.Column("subject", sa.String(32), nullable=False),
        sa.Column("channel", sa.String(80), nullable=False),
        sa.Column("occasion", sa.String(80), nullable=False),
        sa.Column("kept", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "channel", name="pk_told"),
    )
    op.create_index("ix_builds_digest", "builds", ["digest"])
