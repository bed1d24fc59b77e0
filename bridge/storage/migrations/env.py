"""Alembic's entry point; the connection, in its transaction, comes from `migrate`."""

from alembic import context

from bridge.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
