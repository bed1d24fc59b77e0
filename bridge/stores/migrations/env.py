"""Alembic's entry point; the connection comes from `migrate`."""

from alembic import context

from bridge.stores.engines import WRITES
from bridge.stores.tables import metadata

connection = context.config.attributes["connection"].execution_options(**{WRITES: True})
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
