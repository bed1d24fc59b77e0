"""Keep the first line of a pushed commit's message, and what a verified app has answered."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Add the columns; of earlier pushes, only the messages of what they deployed are known."""
    op.add_column("pushes", sa.Column("message", sa.Text))
    op.add_column("deployments", sa.Column("answer", sa.Text))
