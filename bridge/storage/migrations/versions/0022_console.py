"""Keep who signed in, with the session; find pushes by repository, branch and author."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add the columns and indexes; sessions of the setup page have no person."""
    for name in ("about", "whose"):
        column = sa.Column(name, sa.Text, nullable=False, server_default="")
        op.add_column("sessions", column)
    op.add_column("pushes", sa.Column("repository", sa.Text))
    op.add_column("pushes", sa.Column("ref", sa.Text))
    t = sa.table("pushes", sa.column("ref_key"), sa.column("repository"), sa.column("ref"))
    find = sa.func.instr if op.get_bind().dialect.name == "sqlite" else sa.func.strpos
    # A `ref_key` is host, repository and ref, and only refs begin like this.
    place = find(t.c.ref_key, " refs/")
    repository = sa.func.substr(t.c.ref_key, 1, place - 1)
    ref = sa.func.substr(t.c.ref_key, place + 1)
    known = sa.update(t).where(t.c.ref_key.contains(" refs/"))
    op.execute(known.values(repository=repository, ref=ref))
    op.create_index("pushes_by_repository", "pushes", ["repository", "seq"])
    op.create_index("pushes_by_name", "pushes", ["ref", "seq"])
    op.create_index("pushes_by_author", "pushes", ["author", "seq"])
