"""When the host says that something was pushed: what a webhook that is sent again tells, too."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add `moment` to `pushes`; of what came before, or by an older release, it is not known."""
    op.add_column("pushes", sa.Column("moment", sa.Text))
