"""What people compose from key figures and how it leaves the house: dashboards, notes on charts, home pages, share links, reports by mail."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from crm_core.models.base import Base, Json, Record, choice_type, table_args
from crm_core.vocabulary import ReportEvery, ShareKind, ShownTo, TileKind


class Dashboard(Record, table=True):
    """One row per dashboard. ``settings``: period and comparison it opens with; ``version`` rises with every change of its tiles too."""

    __table_args__ = table_args(Index("ix_dashboard_owner", "owner_id", "deleted_at"))
    name: str = Field(max_length=80)
    description: str = Field(default="", max_length=300)
    owner_id: int = Field(foreign_key="app_user.id", ondelete="CASCADE")
    shown_to: ShownTo = Field(default=ShownTo.PRIVATE, sa_type=choice_type(ShownTo))
    role_id: int | None = Field(default=None, foreign_key="role.id", ondelete="SET NULL", index=True)
    settings: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    deleted_at: datetime | None = None


class DashboardTile(Record, table=True):
    """One row per tile: what it shows (``spec``, see services.analytics.tile_rules), where, and how large (twelfths of the width)."""

    __tablename__ = "dashboard_tile"
    __table_args__ = table_args(Index("ix_dashboard_tile_place", "dashboard_id", "position"))
    dashboard_id: int = Field(foreign_key="dashboard.id", ondelete="CASCADE")
    position: int = 0
    width: int = 6
    height: int = 2
    kind: TileKind = Field(sa_type=choice_type(TileKind))
    title: str = Field(default="", max_length=120)
    spec: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)


class DashboardChange(Base, table=True):
    """One row per change of a dashboard's tiles with all tiles as they were before: what an undo puts back."""

    __tablename__ = "dashboard_change"
    __table_args__ = table_args(Index("ix_dashboard_change_latest", "dashboard_id", "id"))
    id: int = Field(default=None, primary_key=True)
    dashboard_id: int = Field(foreign_key="dashboard.id", ondelete="CASCADE")
    words: str = Field(max_length=120)
    tiles: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    at: datetime


class DashboardNote(Record, table=True):
    """One row per note on a day: shown on every chart over time of its dashboard."""

    __tablename__ = "dashboard_note"
    __table_args__ = table_args(Index("ix_dashboard_note_day", "dashboard_id", "day"))
    dashboard_id: int = Field(foreign_key="dashboard.id", ondelete="CASCADE")
    day: date
    text: str = Field(max_length=200)
    by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")


class HomePage(Record, table=True):
    """One row per role or person with a start page of their own; the person's choice wins. ``page`` is an address such as ``today``."""

    __tablename__ = "home_page"
    __table_args__ = table_args(
        UniqueConstraint("role_id", name="uq_home_page_role"), UniqueConstraint("user_id", name="uq_home_page_user")
    )
    role_id: int | None = Field(default=None, foreign_key="role.id", ondelete="CASCADE")
    user_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="CASCADE")
    dashboard_id: int | None = Field(default=None, foreign_key="dashboard.id", ondelete="CASCADE", index=True)
    page: str = Field(default="", max_length=40)


class ShareLink(Record, table=True):
    """One row per link that people without an account may open. It shows what its owner may see on the day it is opened."""

    __tablename__ = "share_link"
    __table_args__ = table_args(Index("ix_share_link_target", "kind", "target_id"))
    public_id: str = Field(max_length=32, unique=True)
    kind: ShareKind = Field(sa_type=choice_type(ShareKind))
    target_id: int
    owner_id: int = Field(foreign_key="app_user.id", ondelete="CASCADE", index=True)
    label: str = Field(default="", max_length=120)
    filters: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    expires_at: datetime
    revoked_at: datetime | None = None
    password_hash: str | None = Field(default=None, max_length=200)
    embeddable: bool = False


class ShareView(Base, table=True):
    """One row per opening of a share link, and per refused try at its password."""

    __tablename__ = "share_view"
    __table_args__ = table_args(Index("ix_share_view_link", "link_id", "id"))
    id: int = Field(default=None, primary_key=True)
    link_id: int = Field(foreign_key="share_link.id", ondelete="CASCADE")
    at: datetime
    refused: bool = False
    address: str = Field(default="", max_length=60)
    browser: str = Field(default="", max_length=120)


class ReportSchedule(Record, table=True):
    """One row per dashboard that is mailed by the clock. It runs as its owner; ``next_at`` is the instant that comes next."""

    __tablename__ = "report_schedule"
    __table_args__ = table_args(Index("ix_report_schedule_due", "is_active", "next_at"))
    dashboard_id: int = Field(foreign_key="dashboard.id", ondelete="CASCADE", index=True)
    owner_id: int = Field(foreign_key="app_user.id", ondelete="CASCADE", index=True)
    every: ReportEvery = Field(default=ReportEvery.WEEK, sa_type=choice_type(ReportEvery))
    day: int = 1
    hour: int = 7
    filters: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    is_active: bool = True
    next_at: datetime
    last_at: datetime | None = None
    message: str = Field(default="", max_length=300)


class ReportRecipient(Record, table=True):
    """One row per address that a report goes to; who unsubscribed stays, so that nobody adds them again unawares."""

    __tablename__ = "report_recipient"
    __table_args__ = table_args(UniqueConstraint("schedule_id", "email_key", name="uq_report_recipient"))
    schedule_id: int = Field(foreign_key="report_schedule.id", ondelete="CASCADE")
    email: str = Field(max_length=254)
    email_key: str = Field(max_length=254)
    public_id: str = Field(max_length=32, unique=True)
    unsubscribed_at: datetime | None = None
