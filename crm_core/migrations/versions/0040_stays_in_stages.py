"""what became of the deals of a stage is read along one index of the stage log; deals know their last contact

Revision ID: 0040
Revises: 0039
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

COLUMNS = ["from_stage_id", "to_stage_id", "at", "seconds_in_from", "deal_id"]
WAITING = (
    "owner_id", "deleted_at", "outcome", "stage_id", "pipeline_id", "stage_since", "{}", "next_step_on", "next_step", "expected_close_on",
    "created_on", "account_id", "probability_pct", "amount_minor",
)  # fmt: skip
INSTANT = sqlmodel.sql.sqltypes.UTCDateTime()
DEAL = sa.table("deal", sa.column("id", sa.Integer), sa.column("last_contact_at", INSTANT))
ACTIVITY = sa.table(
    "activity", *(sa.column(name) for name in ("deal_id", "kind", "outcome", "deleted_at")), sa.column("at", INSTANT)
)


def _index(column: str) -> None:
    is_open = sa.text("outcome = 'open'")
    names = [name.format(column) for name in WAITING]
    op.create_index("ix_deal_waiting", "deal", names, sqlite_where=is_open, postgresql_where=is_open)


def upgrade() -> None:
    op.create_index("ix_stage_event_flow", "stage_event", COLUMNS)
    op.add_column("deal", sa.Column("last_contact_at", INSTANT, nullable=True))
    heard = sa.or_(ACTIVITY.c.outcome.is_(None), ACTIVITY.c.outcome.not_in(("no_answer", "voicemail", "wrong_number")))
    contact = sa.and_(ACTIVITY.c.kind.in_(("call", "email", "meeting")), heard, ACTIVITY.c.deleted_at.is_(None))
    last = sa.select(ACTIVITY.c.deal_id, sa.func.max(ACTIVITY.c.at).label("at")).where(contact, ACTIVITY.c.deal_id.is_not(None))
    found = last.group_by(ACTIVITY.c.deal_id).subquery()
    op.get_bind().execute(sa.update(DEAL).where(DEAL.c.id == found.c.deal_id).values(last_contact_at=found.c.at))
    op.drop_index("ix_deal_waiting", table_name="deal")
    _index("last_contact_at")


def downgrade() -> None:
    op.drop_index("ix_deal_waiting", table_name="deal")
    _index("last_activity_at")
    op.drop_column("deal", "last_contact_at")
    op.drop_index("ix_stage_event_flow", table_name="stage_event")
