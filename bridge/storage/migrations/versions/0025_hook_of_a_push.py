"""Keep which webhook has reported a push."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Add the column; of earlier pushes it is not known."""
    op.add_column("pushes", sa.Column("hook", sa.Text))
