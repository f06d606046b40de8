"""Alembic asks this file how to connect; migrations run in the transaction that the caller has begun."""

from alembic import context

from study_server.store.models import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
context.run_migrations()
