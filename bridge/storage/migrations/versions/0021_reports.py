"""Find what apps serve, and what has ended since a time, in an index."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the indexes; what an earlier release called done went live when it ended."""
    op.create_index("deployments_by_live", "deployments", ["app_id", "live_at", "id"])
    op.create_index("deployments_by_end", "deployments", ["finished_at", "id"])
    t = sa.table("deployments", sa.column("state"), sa.column("live_at"), sa.column("finished_at"))
    served = t.c.state.in_(("done", "unhealthy")) & t.c.live_at.is_(None)
    op.execute(sa.update(t).where(served).values(live_at=t.c.finished_at))
