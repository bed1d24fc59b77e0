"""The first journal: apps, pushes, decisions, deployments and their changes."""

from alembic import op

from bridge.stores.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table as `tables` describes it."""
    metadata.create_all(op.get_bind())
