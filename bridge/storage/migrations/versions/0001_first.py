"""The first journal: apps, pushes, decisions, deployments and their changes.

Its tables are written out: what `tables` describes goes on to change.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

metadata = sa.MetaData()

sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

sa.Table(
    "apps",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("backend", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("gone", sa.Boolean, nullable=False, default=False),
)

sa.Table(
    "pushes",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("ref_key", sa.Text, nullable=False),
    sa.Column("before", sa.Text, nullable=False),
    sa.Column("after", sa.Text, nullable=False),
    sa.Column("delivery", sa.Text, nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
    sa.Index("pushes_by_ref", "ref_key", "seq"),
)

sa.Table(
    "decisions",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("app_id", sa.Text, primary_key=True),
    sa.Column("app", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
    sa.Index("decisions_by_app", "app_id", "seq"),
)

sa.Table(
    "deployments",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("delivery", sa.Text, nullable=False),
    sa.Column("app_id", sa.Text, nullable=False),
    sa.Column("app", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("trigger", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("ref", sa.Text),
    sa.Column("commit", sa.Text),
    sa.Column("message", sa.Text),
    sa.Column("author", sa.Text),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("token", sa.Text, nullable=False),
    sa.Column("known_before", sa.Text, nullable=False),
    sa.Column("backend_id", sa.Text),
    sa.Column("deployed_commit", sa.Text),
    sa.Column("superseded_by", sa.Text),
    sa.Column("created_at", sa.Float(53), nullable=False),
    sa.Column("intent_at", sa.Float(53)),
    sa.Column("asked_at", sa.Float(53)),
    sa.Column("started_at", sa.Float(53)),
    sa.Column("finished_at", sa.Float(53)),
    sa.Index("deployments_by_app", "app_id", "seq"),
    sa.Index("deployments_by_seq", "seq"),
    sa.Index("deployments_by_state", "state", "seq"),
    sa.Index("deployments_by_successor", "superseded_by"),
)

sa.Table(
    "changes",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("deployment", sa.Text, nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Index("changes_by_deployment", "deployment", "number"),
)


def upgrade() -> None:
    """Make the tables."""
    metadata.create_all(op.get_bind())
