"""checklists of hand-overs that an administrator wrote

Revision ID: 0057
Revises: 0056
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
EDGE = sa.Enum(
    "sales_service", "sales_onboarding", "onboarding_service", "colleagues", name="handoveredge", native_enum=False, length=32
)


def upgrade() -> None:
    op.create_table(
        "handover_checklist",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("updated_at", INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("edge", EDGE, nullable=False),
        sa.Column("items", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handover_checklist")),
        sa.UniqueConstraint("edge", name=op.f("uq_handover_checklist_edge")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("handover_checklist")
