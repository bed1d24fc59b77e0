"""Keep by which further accounts those who approve are known."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Add the column; it is NULL for approvals that were given before people were told apart."""
    op.add_column("approvals", sa.Column("accounts", sa.Text))
