"""What a change leaves behind so that it can be undone, and which delivery asked for it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add `seq`, `undoing` and `undoes` to `audit`."""
    op.add_column("audit", sa.Column("seq", sa.BigInteger))
    op.add_column("audit", sa.Column("undoing", sa.Text, nullable=False, server_default=""))
    op.add_column("audit", sa.Column("undoes", sa.Integer))
    op.create_index("audit_by_seq", "audit", ["seq"], unique=True)
