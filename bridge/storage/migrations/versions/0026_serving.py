"""Store what backends were last seen to serve, and verdicts in a column of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Add the table and the columns; read earlier verdicts from the ends of the notes."""
    op.create_table(
        "looks",
        sa.Column("app_id", sa.Text, primary_key=True),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("newest", sa.Text),
        sa.Column("doubt", sa.Text),
        sa.Column("told", sa.Text),
        sa.Column("record", sa.Text),
        sa.Column("deployment", sa.Text),
        sa.Column("commit", sa.Text),
        sa.Column("since", sa.Float(53)),
        sa.Column("evidence", sa.Text),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
    )
    op.add_column("deployments", sa.Column("verdict", sa.Text))
    op.add_column("deployments", sa.Column("evidence", sa.Text))
    op.add_column("deployments", sa.Column("back_to", sa.Text))
    op.add_column("deployments", sa.Column("images", sa.Text))
    names = ("state", "note", "verdict", "evidence", "live_at", "way")
    t = sa.table("deployments", *(sa.column(one) for one in names))
    served = t.c.live_at > 0
    says = sa.case(
        (t.c.state == "unhealthy", "unhealthy"),
        (t.c.note.like("%; verified"), "verified"),
        else_="unverified",
    )
    op.execute(sa.update(t).where(served & (t.c.state != "verifying")).values(verdict=says))
    word = sa.case((t.c.way == "kept", "answer"), else_="record")
    op.execute(sa.update(t).where(served).values(evidence=word))
