"""Which pushes only repeat another, as a second webhook tells of it: those lead nowhere."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add `repeats` to `pushes`; of what came before, or by an older release, it is not known."""
    op.add_column("pushes", sa.Column("repeats", sa.BigInteger))
