"""what is counted of tickets by day, for the overview of the service desk, and open tickets found with their owners; the next refresh fills it

Revision ID: 0067
Revises: 0066
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None

TABLE, STATUS = "ticket_daily", "ix_ticket_status"
TEXTS = ("response_minutes", "response_work", "resolution_minutes", "resolution_work")
COLUMNS = (
    "response_minutes", "response_work", "response_promised", "response_kept", "resolution_promised", "resolution_kept", "came", "resolution_minutes",
    "resolution_work", "went", "first_solved", "reopened", "answered_solved", "first_contact", "rated", "satisfied",
)  # fmt: skip
MOMENTS = ("opened_at", "solved_at", "first_solved_at", "rated_at")
DIRTY = sa.table(
    "summary_dirty",
    sa.column("summary", sa.String),
    sa.column("day", sa.Date),
    sa.column("from_at", sqlmodel.sql.sqltypes.UTCDateTime()),
    sa.column("until_at", sqlmodel.sql.sqltypes.UTCDateTime()),
)


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        *(sa.Column(name, sa.Text() if name in TEXTS else sa.Integer(), nullable=name in TEXTS) for name in COLUMNS),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket_daily")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ticket_daily_day", TABLE, ["day"])
    op.drop_index(STATUS, table_name="ticket")
    op.create_index(STATUS, "ticket", ["status", "deleted_at", "opened_at", "owner_id", "first_response_at"])
    _mark(op.get_bind())


def downgrade() -> None:
    op.get_bind().execute(DIRTY.delete().where(DIRTY.c.summary == "ticket"))
    op.drop_index(STATUS, table_name="ticket")
    op.create_index(STATUS, "ticket", ["status", "deleted_at", "opened_at"])
    op.drop_table(TABLE)


def _mark(connection: sa.Connection) -> None:
    """Every day that may hold a moment of a ticket: each day in the universal time zone, and the ones beside it."""
    zone = ZoneInfo(connection.execute(sa.text("SELECT timezone FROM organisation ORDER BY id LIMIT 1")).scalar() or "UTC")
    days: set[date] = set()
    for moment in MOMENTS:
        found = connection.execute(sa.text(f"SELECT DISTINCT substr(CAST({moment} AS VARCHAR), 1, 10) FROM ticket WHERE {moment} IS NOT NULL"))  # noqa: S608
        for day in map(date.fromisoformat, found.scalars()):
            days |= {day + timedelta(days=shift) for shift in (-1, 0, 1) if 1 < day.year < 9999} | {day}
    rows = [{"summary": "ticket", "day": day, "from_at": _start(day, zone), "until_at": _start(day, zone, 1)} for day in sorted(days)]
    if rows:
        connection.execute(DIRTY.insert(), rows)


def _start(day: date, zone: ZoneInfo, later: int = 0) -> datetime:
    if not 1 < day.year < 9999:
        return datetime.combine(day, (time.min, time.max)[later], UTC)
    return datetime.combine(day + timedelta(days=later), time.min, zone).astimezone(UTC)
