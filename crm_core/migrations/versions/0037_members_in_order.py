"""the members of a campaign are read page by page along an index

Revision ID: 0037
Revises: 0036
"""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

NAME = "ix_campaign_member_list"


def upgrade() -> None:
    op.create_index(NAME, "campaign_member", ["campaign_id", "id"])


def downgrade() -> None:
    op.drop_index(NAME, table_name="campaign_member")
