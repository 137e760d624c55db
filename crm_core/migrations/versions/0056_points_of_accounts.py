"""companies have several e-mail addresses and phone numbers, as people do

Revision ID: 0056
Revises: 0055
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None

TEXT = sqlmodel.sql.sqltypes.AutoString
INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
KIND = sa.Enum("email", "phone", name="pointkind", native_enum=False, length=32)


def upgrade() -> None:
    op.add_column("account", sa.Column("email", TEXT(length=254), nullable=True))
    op.create_table(
        "account_point",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("updated_at", INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("kind", KIND, nullable=False),
        sa.Column("value", TEXT(length=254), nullable=False),
        sa.Column("value_key", TEXT(length=254), nullable=False),
        sa.Column("label", TEXT(length=40), nullable=True),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        sa.Column("opted_out", sa.Boolean(), nullable=False),
        sa.Column("invalid", sa.Boolean(), nullable=False),
        sa.Column("verified_at", INSTANT(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_account_point_account_id_account"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_point")),
        sa.UniqueConstraint("account_id", "kind", "value_key", name="uq_account_point_value"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_account_point_lookup", "account_point", ["kind", "value_key"])
    op.create_index(
        "uq_account_point_primary", "account_point", ["account_id", "kind"], unique=True,
        sqlite_where=sa.text("is_primary = 1"), postgresql_where=sa.text("is_primary"),
    )  # fmt: skip


def downgrade() -> None:
    op.drop_table("account_point")
    op.drop_column("account", "email")
