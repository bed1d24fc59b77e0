"""Cancels that outlive a restart, and how often the backend has lost a deployment."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add `asked_again` and `cancel` to `deployments`; an older release leaves them as they are."""
    count = sa.Column("asked_again", sa.Integer, nullable=False, server_default="0")
    op.add_column("deployments", count)
    op.add_column("deployments", sa.Column("cancel", sa.Text))
