"""One image is on its way to a service once, however many events tell of it"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COMING = "event_id <> '' AND phase IN ('pending', 'queued', 'moving')"


def upgrade() -> None:
    op.create_index(
        "uq_rollouts_coming",
        "rollouts",
        ["service", "image"],
        unique=True,
        sqlite_where=sa.text(_COMING),
        postgresql_where=sa.text(_COMING),
    )


def downgrade() -> None:
    op.drop_index("uq_rollouts_coming", table_name="rollouts")
