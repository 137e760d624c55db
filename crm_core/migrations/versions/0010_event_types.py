"""events by their type, for conditions such as "solved a ticket in the last 90 days"

Revision ID: 0010
Revises: 0009
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_event_log_type", "event_log", ["type", "at", "record_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_event_log_type", table_name="event_log")
