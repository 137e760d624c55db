"""what people are told, and how they want to be told

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
UNREAD = sa.text("read_at IS NULL AND in_app")


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "notification",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("updated_at", INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        _text("kind", 60),
        _text("entity", 40, nullable=True),
        sa.Column("record_id", sa.Integer(), nullable=True),
        sa.Column("params", JSON, nullable=False),
        _text("dedupe_key", 200),
        sa.Column("at", INSTANT(), nullable=False),
        sa.Column("show_at", INSTANT(), nullable=False),
        sa.Column("in_app", sa.Boolean(), nullable=False),
        sa.Column("read_at", INSTANT(), nullable=True),
        sa.Column("mail", sa.Enum("off", "now", "daily", "weekly", name="mailway", native_enum=False, length=32), nullable=False),
        sa.Column("mail_due_at", INSTANT(), nullable=True),
        sa.Column("mailed_at", INSTANT(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_notification_user_id_app_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
        sa.UniqueConstraint("user_id", "dedupe_key", name="uq_notification_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notification_list", "notification", ["user_id", "show_at"])
    op.create_index(
        "ix_notification_unread", "notification", ["user_id", "show_at"], sqlite_where=UNREAD, postgresql_where=UNREAD
    )
    op.create_index("ix_notification_mail", "notification", ["mail_due_at", "user_id"])
    op.create_index("ix_notification_record", "notification", ["entity", "record_id"])
    op.create_table(
        "user_preference",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("channels", JSON, nullable=False),
        sa.Column("quiet_from", sa.Integer(), nullable=True),
        sa.Column("quiet_to", sa.Integer(), nullable=True),
        sa.Column("digest_minute", sa.Integer(), nullable=False),
        sa.Column("digest_weekday", sa.Integer(), nullable=False),
        sa.Column("meeting_minutes", sa.Integer(), nullable=False),
        sa.Column("first_weekday", sa.Integer(), nullable=False),
        _text("feed_sha256", 64, nullable=True),
        sa.Column("feed_since", INSTANT(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_user_preference_user_id_app_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_user_preference")),
        sa.UniqueConstraint("feed_sha256", name=op.f("uq_user_preference_feed_sha256")),
    )


def downgrade() -> None:
    op.drop_table("user_preference")
    op.drop_table("notification")
