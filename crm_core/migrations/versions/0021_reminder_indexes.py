"""indexes for reminders, for the calendar and for the count on the bell

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

UNREAD = sa.text("read_at IS NULL AND in_app")


def upgrade() -> None:
    op.drop_index("ix_notification_unread", table_name="notification")
    op.create_index("ix_notification_unread", "notification", ["user_id", "in_app", "read_at", "show_at"])
    op.create_index("ix_activity_kind", "activity", ["kind", "at"])
    op.create_index("ix_task_due", "task", ["status", "due_at"])


def downgrade() -> None:
    op.drop_index("ix_task_due", table_name="task")
    op.drop_index("ix_activity_kind", table_name="activity")
    op.drop_index("ix_notification_unread", table_name="notification")
    op.create_index(
        "ix_notification_unread", "notification", ["user_id", "show_at"], sqlite_where=UNREAD, postgresql_where=UNREAD
    )
