"""Alembic's entry: runs on the connection that hub.store.migrate hands over."""

from alembic import context

from hub.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=False,  # the unit is the transaction
)
context.run_migrations()
