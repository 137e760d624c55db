"""Lists of people to call: who is on them, what was tried, and whom somebody is calling at this moment."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field

from crm_core.models.base import Base, Json, Record, choice_type, field, table_args
from crm_core.vocabulary import CallOutcome, DialReach, DialSource, DialState, DialWait, Purpose


class DialList(Record, table=True):
    """One row per list. ``source`` and ``source_id`` say where its people come from (a filtered list is kept in ``filter`` and ``q``); ``entity`` is
    empty for a campaign, which has contacts and leads. ``order_by``: who comes first; ``purpose`` None: about a matter of theirs, which needs no
    consent. ``from_minute`` and ``until_minute``: when people may be called, by their own clock, except on the holidays of ``calendar_id``."""

    __tablename__ = "dial_list"
    __table_args__ = table_args(Index("ix_dial_list_owner", "owner_id", "closed_at"))
    name: str = field("Name", required=True, max_length=120)
    owner_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    reach: DialReach = Field(default=DialReach.PRIVATE, sa_type=choice_type(DialReach))
    team_id: int | None = Field(default=None, foreign_key="team.id", ondelete="SET NULL", index=True)
    source: DialSource = Field(default=DialSource.FILTER, sa_type=choice_type(DialSource))
    source_id: int | None = None
    source_name: str = Field(default="", max_length=200)
    entity: str = Field(default="", max_length=20)
    filter: dict[str, Any] | None = Field(default=None, sa_type=Json, nullable=True)
    q: str = Field(default="", max_length=200)
    order_by: str = Field(default="", max_length=80)
    purpose: Purpose | None = Field(default=None, sa_type=choice_type(Purpose), nullable=True)
    campaign_id: int | None = Field(default=None, foreign_key="campaign.id", ondelete="SET NULL", index=True)
    retry_hours: int = 4
    max_attempts: int = 3
    from_minute: int = 480
    until_minute: int = 1200
    weekdays_only: bool = True
    calendar_id: int | None = Field(default=None, foreign_key="service_calendar.id", ondelete="SET NULL")
    filled_at: datetime | None = None
    closed_at: datetime | None = None


class DialEntry(Record, table=True):
    """One row per person on a list. ``due_at``: not before; ``wait`` says why; ``value`` is what put them at their ``rank``; ``left_out`` names the
    gate that is closed. A call back that was promised belongs to ``callback_by_id``, with the task that reminds of it."""

    __tablename__ = "dial_entry"
    __table_args__ = table_args(
        UniqueConstraint("list_id", "contact_id", name="uq_dial_entry_contact"),
        UniqueConstraint("list_id", "lead_id", name="uq_dial_entry_lead"),
        CheckConstraint("(contact_id is null) <> (lead_id is null)", name="one_person"),
        Index("ix_dial_entry_next", "list_id", "state", "rank"),
    )
    list_id: int = Field(foreign_key="dial_list.id", ondelete="CASCADE")
    contact_id: int | None = Field(default=None, foreign_key="contact.id", ondelete="CASCADE", index=True)
    lead_id: int | None = Field(default=None, foreign_key="lead.id", ondelete="CASCADE", index=True)
    rank: int = 0
    value: float | None = None
    state: DialState = Field(default=DialState.WAITING, sa_type=choice_type(DialState))
    wait: DialWait | None = Field(default=None, sa_type=choice_type(DialWait), nullable=True)
    due_at: datetime | None = None
    left_out: str = Field(default="", max_length=20)
    attempts: int = 0
    outcome: CallOutcome | None = Field(default=None, sa_type=choice_type(CallOutcome), nullable=True)
    last_at: datetime | None = None
    callback_by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL", index=True)
    task_id: int | None = Field(default=None, foreign_key="task.id", ondelete="SET NULL", index=True)


class DialAttempt(Record, table=True):
    """One row per call that somebody made from a list. ``before``: how the entry stood, for taking the call back; ``submit_key``: once per filling of the form."""

    __tablename__ = "dial_attempt"
    __table_args__ = table_args(Index("ix_dial_attempt_list", "list_id", "at"))
    list_id: int = Field(foreign_key="dial_list.id", ondelete="CASCADE")
    entry_id: int = Field(foreign_key="dial_entry.id", ondelete="CASCADE", index=True)
    user_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL", index=True)
    at: datetime
    outcome: CallOutcome = Field(sa_type=choice_type(CallOutcome))
    activity_id: int | None = Field(default=None, foreign_key="activity.id", ondelete="SET NULL", index=True)
    before: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    submit_key: str = Field(max_length=64, unique=True)


class DialClaim(Base, table=True):
    """One row per person whom somebody has before them, on whatever list, until ``until``: ``person`` is ``contact:7`` or ``lead:7``."""

    __tablename__ = "dial_claim"
    person: str = Field(primary_key=True, max_length=40)
    entry_id: int = Field(foreign_key="dial_entry.id", ondelete="CASCADE", index=True)
    list_id: int = Field(foreign_key="dial_list.id", ondelete="CASCADE", index=True)
    user_id: int = Field(foreign_key="app_user.id", ondelete="CASCADE", index=True)
    until: datetime
