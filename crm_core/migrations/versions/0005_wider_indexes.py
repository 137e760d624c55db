"""indexes that carry what the board, the default list of deals and the sum of orders read

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

WIDER = {
    "ix_deal_outcome": ("deal", ["outcome", "deleted_at", "stage_id", "owner_id", "amount_minor"], ["probability_pct"]),
    "ix_deal_closed": ("deal", ["closed_on", "deleted_at", "outcome"], ["stage_id", "owner_id", "amount_minor"]),
}
NEW = {
    "ix_deal_open": ("deal", ["outcome", "deleted_at", "expected_close_on", "id"]),
    "ix_deal_probability": ("deal", ["deleted_at", "probability_pct", "id"]),
    "ix_sales_order_sum": ("sales_order", ["deleted_at", "owner_id", "total_minor"]),
}


def upgrade() -> None:
    for name, (table, columns, more) in WIDER.items():
        op.drop_index(name, table_name=table)
        op.create_index(name, table, [*columns, *more])
    for name, (table, columns) in NEW.items():
        op.create_index(name, table, columns)


def downgrade() -> None:
    for name, (table, _columns) in NEW.items():
        op.drop_index(name, table_name=table)
    for name, (table, columns, _more) in WIDER.items():
        op.drop_index(name, table_name=table)
        op.create_index(name, table, columns)
