"""index: the deals of a person in one state, in the order of their lists and boards

Revision ID: 0069
Revises: 0068
"""

from alembic import op

revision = "0069"
down_revision = "0068"
branch_labels = None
depends_on = None

COLUMNS = ["owner_id", "outcome", "deleted_at", "expected_close_on", "id"]


def upgrade() -> None:
    op.create_index("ix_deal_mine", "deal", COLUMNS)


def downgrade() -> None:
    op.drop_index("ix_deal_mine", table_name="deal")
