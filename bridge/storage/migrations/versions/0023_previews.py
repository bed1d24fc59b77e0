"""Keep previews of pull requests."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "previews",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("described", sa.Text, nullable=False),
        sa.Column("app_id", sa.Text, nullable=False),
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("backend", sa.Text, nullable=False),
        sa.Column("pull", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("made", sa.Text),
        sa.Column("url", sa.Text),
        sa.Column("asked", sa.Text),
        sa.Column("branch", sa.Text),
        sa.Column("approved", sa.Text),
        sa.Column("approver", sa.Text, nullable=False),
        sa.Column("stopped", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("active_at", sa.Float(53), nullable=False),
        sa.Column("look_at", sa.Float(53)),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("pushes", sa.BigInteger, nullable=False),
        sa.Column("rules", sa.Text, nullable=False),
    )
    op.create_index("previews_by_pull", "previews", ["host", "key", "number"])
    op.create_index("previews_by_app", "previews", ["app_id"])
    op.create_index("previews_by_made", "previews", ["made"])
    op.create_index("previews_by_look", "previews", ["look_at"])
