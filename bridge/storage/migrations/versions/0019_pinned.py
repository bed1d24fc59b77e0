"""A deployment may be bound to one commit."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the column."""
    op.add_column("deployments", sa.Column("pinned", sa.Text))
