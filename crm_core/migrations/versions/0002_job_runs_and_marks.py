"""job runs; marks of changed summary days become append-only

Every day that holds closed deals or orders is marked anew, so that figures stay exact until the first refresh.

Revision ID: 0002
Revises: 0001
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_run",
        sa.Column("job_id", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
        sa.Column("title", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("progress_attempt", sa.Integer(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("message", sqlmodel.sql.sqltypes.AutoString(length=1000), nullable=False),
        sa.Column("cursor", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_job_run_user_id_app_user"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_run")),
    )
    op.create_index("ix_job_run_name", "job_run", ["name"], unique=False)
    op.create_index("ix_job_run_user_id", "job_run", ["user_id"], unique=False)
    op.drop_table("summary_dirty")
    op.create_table(
        "summary_dirty",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("summary", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("from_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("until_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_summary_dirty")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_summary_dirty_day", "summary_dirty", ["summary", "day"], unique=False)
    _mark_everything(op.get_bind())


def _mark_everything(connection: sa.Connection) -> None:
    for table in ("deal_daily", "order_daily", "sale_daily"):
        connection.execute(sa.text(f"DELETE FROM {table}"))
    name = connection.execute(sa.text("SELECT timezone FROM organisation ORDER BY id LIMIT 1")).scalar() or "UTC"
    closed = _days(connection, "SELECT DISTINCT closed_on FROM deal WHERE closed_on IS NOT NULL")
    ordered = _days(connection, "SELECT DISTINCT date(ordered_at) FROM sales_order")
    around = {day + timedelta(days=shift) for day in ordered if 1 < day.year < 9999 for shift in (-1, 0, 1)}
    dirty = sa.table(
        "summary_dirty",
        sa.column("summary", sa.String),
        sa.column("day", sa.Date),
        sa.column("from_at", sqlmodel.sql.sqltypes.UTCDateTime()),
        sa.column("until_at", sqlmodel.sql.sqltypes.UTCDateTime()),
    )
    rows = [
        (key, day, ZoneInfo(name)) for key, days in (("deal", closed), ("order", around), ("sale", around)) for day in sorted(days)
    ]
    if rows:
        connection.execute(
            dirty.insert(),
            [
                {"summary": key, "day": day, "from_at": _start(day, zone), "until_at": _start(day, zone, 1)}
                for key, day, zone in rows
            ],
        )


def _days(connection: sa.Connection, query: str) -> set[date]:
    found = connection.execute(sa.text(query)).scalars()
    return {value if isinstance(value, date) else date.fromisoformat(str(value)[:10]) for value in found}


def _start(day: date, zone: ZoneInfo, later: int = 0) -> datetime:
    if not 1 < day.year < 9999:
        return datetime.combine(day, time.min, UTC)
    return datetime.combine(day + timedelta(days=later), time.min, zone).astimezone(UTC)


def downgrade() -> None:
    op.drop_table("summary_dirty")
    op.create_table(
        "summary_dirty",
        sa.Column("summary", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("summary", "day", name=op.f("pk_summary_dirty")),
    )
    op.drop_table("job_run")
