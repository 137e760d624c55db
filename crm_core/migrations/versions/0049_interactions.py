"""what was exchanged with somebody on the timeline of a record, by which channel a ticket came, what was put aside in the inbox

Revision ID: 0049
Revises: 0048
"""

from typing import Any

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime()
TEXT = sqlmodel.sql.sqltypes.AutoString
JSON = sa.JSON().with_variant(sa.dialects.postgresql.JSONB(), "postgresql")
CHANNELS = (
    ("email", "mailbox_id IS NOT NULL"),
    ("phone", "mailbox_id IS NULL AND id IN (SELECT ticket_id FROM voice_call WHERE ticket_id IS NOT NULL)"),
)
"""What can still be told of the tickets that are there."""


def upgrade() -> None:
    op.create_table(
        "interaction",
        *_record(),
        sa.Column("activity_id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("direction", sa.String(32), nullable=False),
        sa.Column("entity", TEXT(length=40), nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("thread_id", sa.Integer()),
        sa.Column("message_id", TEXT(length=300)),
        sa.Column("sender", TEXT(length=254), nullable=False),
        sa.Column("people", JSON, nullable=False),
        sa.Column("user_id", sa.Integer()),
        sa.Column("settled_at", INSTANT),
        sa.Column("settled_by_id", sa.Integer()),
        _points_to("interaction", "activity_id", "activity", "CASCADE"),
        _points_to("interaction", "user_id", "app_user", "SET NULL"),
        _points_to("interaction", "settled_by_id", "app_user", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interaction")),
        sa.UniqueConstraint("activity_id", name="uq_interaction_activity"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_interaction_open", "interaction", ["direction", "settled_at", "id"])
    op.create_index("ix_interaction_record", "interaction", ["entity", "record_id", "id"])
    op.create_index("ix_interaction_message", "interaction", ["message_id"])
    op.create_index("ix_interaction_thread_id", "interaction", ["thread_id"])
    op.create_table(
        "inbox_done",
        *_record(),
        sa.Column("kind", TEXT(length=20), nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("by_id", sa.Integer()),
        _points_to("inbox_done", "by_id", "app_user", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox_done")),
        sa.UniqueConstraint("kind", "record_id", name="uq_inbox_done"),
        sqlite_autoincrement=True,
    )
    op.add_column("ticket", sa.Column("channel", sa.String(32)))
    for channel, told in CHANNELS:
        op.execute(f"UPDATE ticket SET channel = '{channel}' WHERE {told}")  # noqa: S608


def downgrade() -> None:
    op.execute("UPDATE inbound_mail SET state = 'timeline' WHERE state = 'filed'")
    op.execute("UPDATE mailbox SET becomes = 'timeline' WHERE becomes = 'filed'")
    op.drop_column("ticket", "channel")
    op.drop_table("inbox_done")
    op.drop_table("interaction")


def _record() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    ]


def _points_to(table: str, column: str, other: str, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}_{other}"), ondelete=ondelete)
