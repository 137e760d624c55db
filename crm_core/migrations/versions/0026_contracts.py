"""accounts know when their contract renews and when it ended

Revision ID: 0026
Revises: 0025
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("renews_on", sa.Date(), nullable=True))
    op.add_column("account", sa.Column("customer_until", sa.Date(), nullable=True))


def downgrade() -> None:
    op.drop_column("account", "customer_until")
    op.drop_column("account", "renews_on")
