"""Keep from which deployment the bridge goes back by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Add the column, and fill it from the ids of the bridge's own rollbacks."""
    op.add_column("deployments", sa.Column("back_from", sa.Text))
    op.execute(
        "UPDATE deployments SET back_from = substr(delivery, 10)"
        " WHERE action = 'rollback' AND \"trigger\" = 'the bridge' AND delivery LIKE 'rollback-%'"
    )
