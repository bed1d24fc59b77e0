"""Remind the owners of locks, and release locks with the merge of a pull request."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the columns; the owners of locks from before are reminded as well."""
    for column in (
        sa.Column("merge", sa.Text),
        sa.Column("channel", sa.Text, nullable=False, server_default=""),
        sa.Column("remind_at", sa.Float(53)),
        sa.Column("look_at", sa.Float(53)),
        sa.Column("looks", sa.Integer, nullable=False, server_default="0"),
    ):
        op.add_column("locks", column)
    op.execute("UPDATE locks SET remind_at = at + 86400 WHERE until IS NULL")
