"""Remember which deployment of a newer tag a deployment comes behind."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the column."""
    op.add_column("deployments", sa.Column("behind", sa.Text))
