"""What a forecast of sales is held against: quotas of people, and how the pipeline stood on past days."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field

from crm_core.models.base import Base, Record, choice_type, table_args
from crm_core.vocabulary import ForecastCategory


class Quota(Record, table=True):
    """One row per person and calendar month: what they are to win in it. Quarters and years are sums of months."""

    __table_args__ = table_args(
        UniqueConstraint("owner_id", "month_on", name="uq_quota_month"),
        CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
        Index("ix_quota_month", "month_on"),
    )
    owner_id: int = Field(foreign_key="app_user.id", ondelete="CASCADE")
    month_on: date
    amount_minor: int = Field(sa_type=BigInteger)


class PipelineSnapshot(Base, table=True):
    """One row per stretch of days on which an open deal stood unchanged: from the evening of ``from_on`` until before that of ``until_on``.

    A row per deal and day would hold the same few values hundreds of times. ``backfilled`` rows were read off the log of changes later.
    """

    __tablename__ = "pipeline_snapshot"
    __table_args__ = table_args(
        UniqueConstraint("deal_id", "from_on", name="uq_pipeline_snapshot_deal"),
        Index("ix_pipeline_snapshot_until", "until_on", "from_on"),
    )
    id: int = Field(default=None, primary_key=True)
    deal_id: int = Field(foreign_key="deal.id", ondelete="CASCADE")
    from_on: date
    until_on: date | None = None
    owner_id: int | None = None
    pipeline_id: int
    stage_id: int
    amount_minor: int = Field(sa_type=BigInteger)
    expected_close_on: date | None = None
    probability_pct: int
    category: ForecastCategory = Field(sa_type=choice_type(ForecastCategory))
    backfilled: bool = False


class PipelineSnapshotDay(Base, table=True):
    """One row per evening on which the pipeline was really looked at, with what stood open."""

    __tablename__ = "pipeline_snapshot_day"
    taken_on: date = Field(primary_key=True)
    taken_at: datetime
    deals: int
    amount_minor: int = Field(sa_type=BigInteger)
