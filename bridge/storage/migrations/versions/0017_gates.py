"""Hold deployments: what holds them, and locks, freezes, approvals and checks."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the columns and the tables."""
    for column in (
        sa.Column("person", sa.Text, nullable=False, server_default=""),
        sa.Column("head", sa.Text),
        sa.Column("not_before", sa.Float(53)),
        sa.Column("holds", sa.Text, nullable=False, server_default="[]"),
        sa.Column("held_at", sa.Float(53)),
        sa.Column("look_at", sa.Float(53)),
        sa.Column("starts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("lifts", sa.Text, nullable=False, server_default="[]"),
    ):
        op.add_column("deployments", column)
    op.create_index("deployments_by_look", "deployments", ["look_at"])
    op.create_table(
        "locks",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("until", sa.Float(53)),
    )
    op.create_table(
        "freezes",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("allow", sa.Text, nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("until", sa.Float(53)),
    )
    op.create_table(
        "approvals",
        sa.Column("app_id", sa.Text, primary_key=True),
        sa.Column("commit", sa.Text, primary_key=True),
        sa.Column("person", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
    )
    op.create_index("approvals_by_age", "approvals", ["at"])
    op.create_table(
        "ci",
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("commit", sa.Text, primary_key=True),
        sa.Column("branch", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("since", sa.Float(53), nullable=False),
        sa.Column("reported", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Float(53)),
    )
    op.create_index("ci_by_due", "ci", ["due_at"])
