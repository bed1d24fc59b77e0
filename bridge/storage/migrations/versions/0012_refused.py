"""Refused webhooks, and what a list of deliveries says of pushes: repository and author."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make `refused` and `repositories`, and add `author` to `pushes`.

    An older release leaves `author` empty; the list then looks into what was delivered.
    """
    op.add_column("pushes", sa.Column("author", sa.Text))
    op.create_table(
        "repositories",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
    )
    op.create_table(
        "refused",
        sa.Column("minute", sa.Float(53), primary_key=True),
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, primary_key=True),
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("network", sa.Text, primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("last", sa.Float(53), nullable=False),
    )
    op.create_index("refused_by_age", "refused", ["last"])
