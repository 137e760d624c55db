"""the index of solved tickets tells those that were merged

Revision ID: 0043
Revises: 0042
"""

from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

NAME = "ix_ticket_solved"
COLUMNS = ["deleted_at", "solved_at", "status", "owner_id", "opened_at", "category", "priority", "team_id", "resolution_minutes"]


def upgrade() -> None:
    op.drop_index(NAME, table_name="ticket")
    op.create_index(NAME, "ticket", [*COLUMNS, "first_solved_at"])


def downgrade() -> None:
    op.drop_index(NAME, table_name="ticket")
    op.create_index(NAME, "ticket", COLUMNS)
