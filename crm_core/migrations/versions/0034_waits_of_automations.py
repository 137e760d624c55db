"""a step of an automation that waits keeps its instant in a column of its own

Revision ID: 0034
Revises: 0033
"""

import re
from datetime import UTC, datetime

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

STEP = sa.table(
    "automation_step",
    sa.column("id", sa.Integer),
    sa.column("message", sa.String),
    sa.column("until", sqlmodel.sql.sqltypes.UTCDateTime()),
)
WORDS = re.compile(r"Until (\d{4}-\d\d-\d\d \d\d:\d\d) UTC")
CHANGE = sa.update(STEP).where(STEP.c.id == sa.bindparam("step_id")).values(message=sa.bindparam("said"), until=sa.bindparam("instant"))


def upgrade() -> None:
    op.add_column("automation_step", sa.Column("until", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    said = op.get_bind().execute(sa.select(STEP.c.id, STEP.c.message).where(STEP.c.message.like("Until % UTC"))).all()
    read = [(row.id, found[1]) for row in said if (found := WORDS.fullmatch(row.message))]
    rows = [{"step_id": key, "said": "", "instant": datetime.fromisoformat(at).replace(tzinfo=UTC)} for key, at in read]
    if rows:
        op.get_bind().execute(CHANGE, rows)


def downgrade() -> None:
    kept = op.get_bind().execute(sa.select(STEP.c.id, STEP.c.until).where(STEP.c.until.is_not(None))).all()
    rows = [{"step_id": row.id, "said": f"Until {row.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC", "instant": row.until} for row in kept]
    if rows:
        op.get_bind().execute(CHANGE, rows)
    op.drop_column("automation_step", "until")
