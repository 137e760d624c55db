"""contacts, accounts and leads that became one, and pairs that look the same

Revision ID: 0070
Revises: 0069
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0070"
down_revision = "0069"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
STAMP = sqlmodel.sql.sqltypes.UTCDateTime
TEXT = sqlmodel.sql.sqltypes.AutoString


def _common():
    return [
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", STAMP(), nullable=False),
        sa.Column("updated_at", STAMP(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("entity", TEXT(length=20), nullable=False),
    ]


def _by(table):
    return [
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.ForeignKeyConstraint(["by_id"], ["app_user.id"], name=op.f(f"fk_{table}_by_id_app_user"), ondelete="SET NULL"),
    ]


def upgrade() -> None:
    op.create_table(
        "record_merge",
        *_common(),
        sa.Column("survivor_id", sa.Integer(), nullable=False),
        sa.Column("loser_id", sa.Integer(), nullable=False),
        sa.Column("snapshot", JSON, nullable=False),
        sa.Column("moved", JSON, nullable=False),
        sa.Column("undone_at", STAMP(), nullable=True),
        *_by("record_merge"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_record_merge_loser", "record_merge", ["entity", "loser_id"])
    op.create_index("ix_record_merge_survivor", "record_merge", ["entity", "survivor_id", "id"])
    op.create_table(
        "duplicate_pair",
        *_common(),
        sa.Column("first_id", sa.Integer(), nullable=False),
        sa.Column("second_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.Enum("open", "different", name="pairstate", native_enum=False, length=32), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("rank", sa.Float(), nullable=False),
        sa.Column("reasons", JSON, nullable=False),
        sa.Column("scan", sa.Integer(), nullable=False),
        sa.Column("decided_at", STAMP(), nullable=True),
        *_by("duplicate_pair"),
        sa.UniqueConstraint("entity", "first_id", "second_id", name="uq_duplicate_pair"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_duplicate_pair_second", "duplicate_pair", ["entity", "second_id"])
    op.create_index("ix_duplicate_pair_list", "duplicate_pair", ["entity", "state", "rank", "id"])


def downgrade() -> None:
    op.drop_table("duplicate_pair")
    op.drop_table("record_merge")
