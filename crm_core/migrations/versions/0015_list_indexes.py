"""indexes of lists that also hold owner and state, so that a list of own or a team's records walks to a late page without touching rows

Revision ID: 0015
Revises: 0014
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

CHANGED = {
    "ix_deal_list": ("deal", ["deleted_at", "expected_close_on", "id"], ["owner_id", "outcome"]),
    "ix_deal_open": ("deal", ["outcome", "deleted_at", "expected_close_on", "id"], ["owner_id"]),
    "ix_deal_amount": ("deal", ["deleted_at", "amount_minor", "id"], ["owner_id", "outcome"]),
    "ix_lead_owner": ("lead", ["owner_id", "deleted_at", "created_at"], ["status_id", "estimated_minor"]),
    "ix_ticket_list": ("ticket", ["deleted_at", "opened_at", "id"], ["owner_id", "status"]),
}
SUM, ORDERS = "ix_sales_order_sum", "sales_order"


def upgrade() -> None:
    for name, (table, columns, more) in CHANGED.items():
        op.drop_index(name, table_name=table)
        op.create_index(name, table, [*columns, *more])
    op.drop_index(SUM, table_name=ORDERS)
    op.create_index(SUM, ORDERS, ["deleted_at", "owner_id", "status", "total_minor"])
    for table in ("deal", "lead", "ticket", ORDERS):
        op.execute(f"ANALYZE {table}")


def downgrade() -> None:
    for name, (table, columns, _more) in CHANGED.items():
        op.drop_index(name, table_name=table)
        op.create_index(name, table, columns)
    op.drop_index(SUM, table_name=ORDERS)
    op.create_index(SUM, ORDERS, ["deleted_at", "owner_id", "total_minor"])
