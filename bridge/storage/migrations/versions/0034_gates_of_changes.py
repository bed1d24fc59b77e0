"""Keep which gates held a deployment with each line of its history; find previews by number."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Add the column, empty for earlier lines, and the index."""
    op.add_column("changes", sa.Column("gates", sa.Text, nullable=False, server_default=""))
    op.create_index("previews_by_number", "previews", ["number"])
