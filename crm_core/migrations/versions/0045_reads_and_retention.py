"""who looked at personal data, and how long the trail is kept

Revision ID: 0045
Revises: 0044
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
VIA = ("screen", "import", "api", "worker", "cli", "demo", "form", "mail", "survey", "phone")


def _text(length: int) -> sa.types.TypeEngine:
    return sqlmodel.sql.sqltypes.AutoString(length=length)


def upgrade() -> None:
    op.create_table(
        "personal_read",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", INSTANT(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("entity", _text(40), nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=True),
        sa.Column("way", sa.Enum("page", "export", "api", name="readway", native_enum=False, length=32), nullable=False),
        sa.Column("via", sa.Enum(*VIA, name="via", native_enum=False, length=32), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ids", sa.Text(), nullable=True),
        sa.Column("words", _text(200), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_personal_read_user_id_app_user"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_personal_read")),
        sa.UniqueConstraint("user_id", "entity", "record_id", "way", "slot", name="uq_personal_read"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_personal_read_record", "personal_read", ["entity", "record_id", "at"])
    op.create_index("ix_personal_read_at", "personal_read", ["at"])
    op.create_table(
        "audit_policy",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("updated_at", INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("log_reads", sa.Boolean(), nullable=False),
        sa.Column("keep_reads_months", sa.Integer(), nullable=True),
        sa.Column("keep_signins_months", sa.Integer(), nullable=True),
        sa.Column("keep_settings_months", sa.Integer(), nullable=True),
        sa.Column("keep_values_months", sa.Integer(), nullable=True),
        sa.Column("redacted_until", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_policy")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("audit_seal") as batch:
        batch.add_column(sa.Column("kept_count", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("kept_sha256", _text(64), nullable=True))
        batch.add_column(sa.Column("trimmed_at", INSTANT(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("audit_seal") as batch:
        batch.drop_column("trimmed_at")
        batch.drop_column("kept_sha256")
        batch.drop_column("kept_count")
    op.drop_table("audit_policy")
    op.drop_index("ix_personal_read_at", table_name="personal_read")
    op.drop_index("ix_personal_read_record", table_name="personal_read")
    op.drop_table("personal_read")
