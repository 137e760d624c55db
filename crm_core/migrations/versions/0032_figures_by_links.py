"""figures by a field of a linked record, and of tickets by category and priority, are read from indexes alone

Revision ID: 0032
Revises: 0031
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

DEAL = ["deleted_at", "outcome", "closed_on", "created_on", "owner_id", "pipeline_id", "product_id", "source", "amount_minor"]
OPENED = ["deleted_at", "opened_at", "owner_id", "status", "first_response_at", "solved_at"]
SOLVED = ["deleted_at", "solved_at", "status", "owner_id", "opened_at"]
CHANGED = (
    ("deal", "ix_deal_figures", DEAL, [*DEAL, "account_id"]),
    ("ticket", "ix_ticket_opened", OPENED, [*OPENED, "category", "priority"]),
    ("ticket", "ix_ticket_solved", SOLVED, [*SOLVED, "category", "priority"]),
)
"""Table, name and columns of an index as it was, and as it is."""
ACCOUNT = "ix_sales_order_account"


def upgrade() -> None:
    for table, name, _, columns in CHANGED:
        op.drop_index(name, table_name=table)
        op.create_index(name, table, columns)
    op.drop_index(ACCOUNT, table_name="sales_order")
    op.create_index(ACCOUNT, "sales_order", ["account_id", "ordered_at", "deleted_at", "status", "total_minor"])


def downgrade() -> None:
    filled = sa.text("account_id IS NOT NULL")
    op.drop_index(ACCOUNT, table_name="sales_order")
    op.create_index(ACCOUNT, "sales_order", ["account_id", "ordered_at"], sqlite_where=filled, postgresql_where=filled)
    for table, name, columns, _ in CHANGED:
        op.drop_index(name, table_name=table)
        op.create_index(name, table, columns)
