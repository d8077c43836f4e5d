"""An event that is told again and again is acted on once"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("once", sa.String(80)))
    op.create_index("uq_events_once", "events", ["once"], unique=True)
