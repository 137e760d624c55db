"""Meetings with people outside: pages on which strangers book one, what they booked, and who was invited."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from crm_core.models.base import Json, Record, choice_type, field, table_args
from crm_core.vocabulary import BookingPlace, BookingState, GuestState


class BookingPage(Record, table=True):
    """One row per public page. ``host_ids``: whose time is offered, several in turn; ``week``: its own hours (seven lists of [from, to] in minutes, in
    ``timezone``), else those of ``calendar_id``, else each person's; ``questions``: [{label, required}]."""

    __tablename__ = "booking_page"
    name: str = field("Name", required=True, max_length=120)
    slug: str = Field(max_length=60, unique=True)
    intro: str = Field(default="", max_length=1000)
    owner_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL", index=True)
    host_ids: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    minutes: int = 30
    step_minutes: int = 30
    before_minutes: int = 0
    after_minutes: int = 0
    notice_hours: int = 4
    ahead_days: int = 30
    most_a_day: int | None = None
    week: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    timezone: str = Field(default="UTC", max_length=64)
    calendar_id: int | None = Field(default=None, foreign_key="service_calendar.id", ondelete="SET NULL", index=True)
    place: BookingPlace = Field(default=BookingPlace.PHONE, sa_type=choice_type(BookingPlace))
    place_text: str = Field(default="", max_length=300)
    ask_phone: bool = False
    questions: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    source: str = Field(default="", max_length=120)
    base_url: str = Field(default="", max_length=200)
    remind: bool = True
    is_active: bool = True


class MeetingGuest(Record, table=True):
    """One row per person from outside who is invited to a meeting. ``told``: a digest of what the last message to them said, "off" after a cancellation;
    ``told_version``: the version of the meeting at which that was looked at; ``title`` and ``link``: what a booked meeting calls itself, and where it is
    moved or cancelled."""

    __tablename__ = "meeting_guest"
    __table_args__ = table_args(UniqueConstraint("activity_id", "email_key", name="uq_meeting_guest"))
    activity_id: int = Field(foreign_key="activity.id", ondelete="CASCADE")
    contact_id: int | None = Field(default=None, foreign_key="contact.id", ondelete="SET NULL", index=True)
    lead_id: int | None = Field(default=None, foreign_key="lead.id", ondelete="SET NULL", index=True)
    name: str = Field(default="", max_length=200)
    email: str = Field(max_length=254)
    email_key: str = Field(max_length=254, index=True)
    timezone: str = Field(default="", max_length=64)
    title: str = Field(default="", max_length=300)
    link: str = Field(default="", max_length=300)
    state: GuestState = Field(default=GuestState.INVITED, sa_type=choice_type(GuestState))
    answered_at: datetime | None = None
    told: str = Field(default="", max_length=64)
    told_version: int = 0
    removed_at: datetime | None = None


class Booking(Record, table=True):
    """One row per meeting that a visitor booked. When it takes place says the meeting; ``source_hash`` stands for the network address.
    ``marked_at``: when somebody said whether they came; ``asked_at``: when the host was asked that; ``again_at``: when they got a link to try again."""

    __tablename__ = "booking"
    __table_args__ = table_args(
        Index("ix_booking_page", "page_id", "state", "id"),
        Index("ix_booking_source", "source_hash", "created_at"),
        Index("ix_booking_address", "email_key", "id"),
    )
    page_id: int | None = Field(default=None, foreign_key="booking_page.id", ondelete="SET NULL")
    user_id: int = Field(foreign_key="app_user.id", ondelete="CASCADE", index=True)
    activity_id: int | None = Field(default=None, foreign_key="activity.id", ondelete="SET NULL", index=True)
    guest_id: int | None = Field(default=None, foreign_key="meeting_guest.id", ondelete="SET NULL", index=True)
    lead_id: int | None = Field(default=None, foreign_key="lead.id", ondelete="SET NULL", index=True)
    contact_id: int | None = Field(default=None, foreign_key="contact.id", ondelete="SET NULL", index=True)
    name: str = Field(max_length=200)
    email: str = Field(max_length=254)
    email_key: str = Field(max_length=254)
    answers: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    timezone: str = Field(default="UTC", max_length=64)
    state: BookingState = Field(default=BookingState.BOOKED, sa_type=choice_type(BookingState))
    starts_at: datetime
    source_hash: str = Field(default="", max_length=64)
    cancelled_at: datetime | None = None
    reminded_for: datetime | None = None
    marked_at: datetime | None = None
    marked_by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL", index=True)
    asked_at: datetime | None = None
    again_at: datetime | None = None
    moved: int = 0
