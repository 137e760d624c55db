"""indexes in whose order orders are counted by owner, status and source, tickets by priority, and the first won deal of each account is found

Revision ID: 0066
Revises: 0065
"""

import sqlalchemy as sa
from alembic import op

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None

SUM, PRIORITY = "ix_sales_order_sum", "ix_ticket_priority"
NAMED = sa.text("account_id IS NOT NULL")


def upgrade() -> None:
    op.drop_index(SUM, table_name="sales_order")
    op.create_index(SUM, "sales_order", ["deleted_at", "owner_id", "status", "source", "total_minor"])
    op.drop_index(PRIORITY, table_name="ticket")
    op.create_index(PRIORITY, "ticket", ["priority", "deleted_at", "owner_id"])
    op.drop_index("ix_deal_account_id", table_name="deal")
    columns = ["account_id", "deleted_at", "outcome", "closed_on"]
    op.create_index("ix_deal_account", "deal", columns, sqlite_where=NAMED, postgresql_where=NAMED)
    for table in ("sales_order", "ticket", "deal"):
        op.execute(f"ANALYZE {table}")


def downgrade() -> None:
    op.drop_index("ix_deal_account", table_name="deal")
    op.create_index("ix_deal_account_id", "deal", ["account_id"], sqlite_where=NAMED, postgresql_where=NAMED)
    op.drop_index(PRIORITY, table_name="ticket")
    op.create_index(PRIORITY, "ticket", ["priority"])
    op.drop_index(SUM, table_name="sales_order")
    op.create_index(SUM, "sales_order", ["deleted_at", "owner_id", "status", "total_minor"])
