"""The first release: `migrate` makes its tables as they are described, so nothing is left to do."""

revision = "0012"
down_revision = None


def upgrade() -> None:
    """Do nothing."""
