"""how segments stand against the analysis they came from; first solved, told anew for tickets that came back

Revision ID: 0053
Revises: 0052
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None

STATUS = {"sqlite": "json_extract(event_log.changes, '$.status[{n}]')", "postgresql": "event_log.changes #>> '{{status,{n}}}'"}
"""The status before (0) and after (1) an event. Whatever it is called: an answer, a mail and a form can solve and re-open a ticket too."""
CAME_BACK = """UPDATE ticket SET first_solved_at = COALESCE(
    (SELECT MIN(event_log.at) FROM event_log WHERE event_log.entity = 'ticket' AND event_log.record_id = ticket.id
     AND ({before} IN ('solved', 'closed') OR {after} IN ('solved', 'closed'))), first_solved_at, solved_at, closed_at)
   WHERE merged_into_id IS NULL AND reopened_count > 0"""


def upgrade() -> None:
    status = STATUS[op.get_bind().dialect.name]
    op.execute(CAME_BACK.format(before=status.format(n=0), after=status.format(n=1)))  # what an early 0041 passed over
    op.add_column("segment", sa.Column("drift", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True))


def downgrade() -> None:
    op.drop_column("segment", "drift")
