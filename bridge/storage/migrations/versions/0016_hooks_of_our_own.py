"""Store the webhooks that the bridge makes, with their sealed secrets."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "hooks",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("sealed_next", sa.Text),
        sa.Column("sealed_last", sa.Text),
        sa.Column("hook", sa.Text),
        sa.Column("signs", sa.Boolean),
        sa.Column("made_at", sa.Float(53), nullable=False),
    )
