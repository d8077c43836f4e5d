"""Alembic's entry: runs on the connection, and in the transaction, that the caller has opened."""

from alembic import context

from nodewise.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
