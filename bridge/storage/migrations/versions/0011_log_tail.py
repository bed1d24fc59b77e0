"""The end of a failed build's log, kept since the backend forgets its logs."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add `log_tail` to `deployments`; of those that failed before it is not known."""
    op.add_column("deployments", sa.Column("log_tail", sa.Text))
