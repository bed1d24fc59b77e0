"""Keep when a deployment went live, and what a rollback goes back to."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add the columns; what is done went live when it ended."""
    op.add_column("deployments", sa.Column("live_at", sa.Float(53)))
    for name in ("target", "way", "image", "fingerprint"):
        op.add_column("deployments", sa.Column(name, sa.Text))
    deployments = sa.table(
        "deployments", sa.column("state"), sa.column("live_at"), sa.column("finished_at")
    )
    done = sa.update(deployments).where(deployments.c.state == "done")
    op.execute(done.values(live_at=deployments.c.finished_at))
