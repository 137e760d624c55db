"""what became of the deals of a stage is read along one index of the stage log

Revision ID: 0037
Revises: 0036
"""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

COLUMNS = ["from_stage_id", "to_stage_id", "at", "seconds_in_from", "deal_id"]


def upgrade() -> None:
    op.create_index("ix_stage_event_flow", "stage_event", COLUMNS)


def downgrade() -> None:
    op.drop_index("ix_stage_event_flow", table_name="stage_event")
