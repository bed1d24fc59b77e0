"""Keep which apps were last seen stopped at their backends."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Add the column; the next look tells it of each app."""
    stopped = sa.Column("stopped", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("looks", stopped)
