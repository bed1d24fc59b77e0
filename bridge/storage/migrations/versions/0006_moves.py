"""Indices for what every push asks, so that a long history makes it no slower."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Find pushes by what they led to, and an app's deployments by their state."""
    op.create_index("pushes_by_move", "pushes", ["after", "at"])
    op.create_index("deployments_by_app_state", "deployments", ["app_id", "state", "seq"])
