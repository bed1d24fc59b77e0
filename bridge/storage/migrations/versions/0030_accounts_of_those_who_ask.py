"""Keep by which further accounts those who ask for deployments are known."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Add the column."""
    op.add_column(
        "deployments", sa.Column("accounts", sa.Text, nullable=False, server_default="[]")
    )
