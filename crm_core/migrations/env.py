"""Alembic environment: takes the connection it is handed by crm_core.schema, batch mode on SQLite, foreign keys off while tables are rebuilt."""

import sqlmodel  # noqa: F401  (migrations name its types)
from alembic import context

from crm_core.models import Base
from crm_core.schema import include_object, render_item

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
    include_object=include_object,
    render_item=render_item,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
