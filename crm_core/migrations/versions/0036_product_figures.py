"""what was sold of each product by day, for its page; the next refresh fills it

Revision ID: 0036
Revises: 0035
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

TABLE = "product_daily"
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
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("quantity_milli", sa.BigInteger(), nullable=False),
        sa.Column("revenue_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product_daily")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_product_daily_product", TABLE, ["product_id", "day", "orders", "quantity_milli", "revenue_minor"])
    op.create_index("ix_product_daily_day", TABLE, ["day"])
    _mark(op.get_bind())


def downgrade() -> None:
    op.get_bind().execute(DIRTY.delete().where(DIRTY.c.summary == "product"))
    op.drop_table(TABLE)


def _mark(connection: sa.Connection) -> None:
    """Every day that may hold sold lines: those of the daily figures of orders, and those that wait for them."""
    name = connection.execute(sa.text("SELECT timezone FROM organisation ORDER BY id LIMIT 1")).scalar() or "UTC"
    known = sa.text("SELECT day FROM order_daily UNION SELECT day FROM summary_dirty WHERE summary IN ('order', 'sale')")
    days = {day if isinstance(day, date) else date.fromisoformat(str(day)[:10]) for day in connection.execute(known).scalars()}
    zone = ZoneInfo(name)
    rows = [{"summary": "product", "day": day, "from_at": _start(day, zone), "until_at": _start(day, zone, 1)} for day in sorted(days)]
    if rows:
        connection.execute(DIRTY.insert(), rows)


def _start(day: date, zone: ZoneInfo, later: int = 0) -> datetime:
    if not 1 < day.year < 9999:
        return datetime.combine(day, (time.min, time.max)[later], UTC)
    return datetime.combine(day + timedelta(days=later), time.min, zone).astimezone(UTC)
