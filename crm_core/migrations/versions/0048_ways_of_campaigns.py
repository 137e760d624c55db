"""a campaign goes out by several ways, each to people of its own

Revision ID: 0048
Revises: 0047
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
OUTLETS = ("email", "call_list", "mail_merge", "ad_audience", "event")


def upgrade() -> None:
    op.add_column("campaign_channel", sa.Column("outlet", sa.Enum(*OUTLETS, name="outlet", native_enum=False, length=32), nullable=True))
    for name in ("segment_ids", "exclude_ids", "funnel"):
        op.add_column("campaign_channel", sa.Column(name, JSON, nullable=True))
    op.add_column("campaign_member", sa.Column("ways", sqlmodel.sql.sqltypes.AutoString(length=80), nullable=True))


def downgrade() -> None:
    op.drop_column("campaign_member", "ways")
    for name in ("funnel", "exclude_ids", "segment_ids", "outlet"):
        op.drop_column("campaign_channel", name)
