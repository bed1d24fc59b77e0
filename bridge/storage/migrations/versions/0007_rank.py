"""Which of the places that share a lane is brought up to date first."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add `rank` to `feedback`; what an older release adds meanwhile goes first."""
    op.add_column("feedback", sa.Column("rank", sa.Integer, nullable=False, server_default="0"))
