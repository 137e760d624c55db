"""suggested products that somebody took or turned down

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "product_suggestion",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("entity", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("because_id", sa.Integer(), nullable=True),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("taken", sa.Boolean(), nullable=False),
        sa.Column("at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_product_suggestion_product_id_product"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["because_id"], ["product.id"], name=op.f("fk_product_suggestion_because_id_product"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["analysis_run.id"], name=op.f("fk_product_suggestion_run_id_analysis_run"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_product_suggestion_user_id_app_user"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product_suggestion")),
        sa.UniqueConstraint("entity", "record_id", "product_id", name="uq_product_suggestion_record"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_product_suggestion_rule", "product_suggestion", ["because_id", "product_id", "at"])


def downgrade() -> None:
    op.drop_table("product_suggestion")
