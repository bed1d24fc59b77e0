"""Count interrupted builds apart from lost ones, and remember a request without an answer.

The history of an open deployment tells how often its build was interrupted before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

COUNT = """
UPDATE deployments SET interrupted = (
    SELECT count(*) FROM changes WHERE changes.deployment = deployments.id
    AND changes.note = 'the backend was restarted while it built; asked again'
) WHERE asked_again > 0
"""


def upgrade() -> None:
    """Add the columns, and fill the count."""
    number = sa.Column("interrupted", sa.Integer, nullable=False, server_default="0")
    op.add_column("deployments", number)
    maybe = sa.Column("maybe_asked", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("deployments", maybe)
    op.execute(COUNT)
