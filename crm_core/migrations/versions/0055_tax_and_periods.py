"""lines know their tax and how often they are charged, deals what recurs, products their tax rate and stock

Revision ID: 0055
Revises: 0054
"""

import sqlalchemy as sa
from alembic import op

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None

BILLING = sa.Enum("one_time", "monthly", "yearly", name="billing", native_enum=False, length=32)
LINES = ("deal_line", "order_line")
MONEY = (("deal", "mrr_minor"), ("deal", "arr_minor"), ("sales_order", "tax_minor"))


def upgrade() -> None:
    for table in LINES:
        op.add_column(table, sa.Column("billing", BILLING, nullable=False, server_default="one_time"))
        op.add_column(table, sa.Column("periods", sa.Integer(), nullable=False, server_default="1"))
        op.add_column(table, sa.Column("tax_rate_pct", sa.Numeric(6, 3), nullable=False, server_default="0"))
        op.add_column(table, sa.Column("tax_minor", sa.BigInteger(), nullable=False, server_default="0"))
    for table, column in MONEY:
        op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("product", sa.Column("stock", sa.Integer(), nullable=True))
    op.add_column("product", sa.Column("billing", BILLING, nullable=False, server_default="one_time"))
    op.add_column("product", sa.Column("tax_rate_pct", sa.Float(), nullable=True))
    op.add_column("organisation", sa.Column("tax_rate_pct", sa.Float(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("organisation", "tax_rate_pct")
    for column in ("tax_rate_pct", "billing", "stock"):
        op.drop_column("product", column)
    for table, column in reversed(MONEY):
        op.drop_column(table, column)
    for table in LINES:
        for column in ("tax_minor", "tax_rate_pct", "periods", "billing"):
            op.drop_column(table, column)
