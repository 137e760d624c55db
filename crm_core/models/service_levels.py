"""Working hours, what was promised for which tickets, and the clock of each promise."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from crm_core.models.base import Json, Record, choice_type, field, table_args
from crm_core.vocabulary import Priority, SlaTarget


class ServiceCalendar(Record, table=True):
    """One row per set of working hours. ``week``: seven lists of [from, to] in minutes after midnight, Monday first; ``exceptions``: days with other hours."""

    __tablename__ = "service_calendar"
    name: str = field("Name", required=True, unique=True, max_length=80)
    timezone: str = Field(max_length=64)
    week: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    exceptions: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)


class SlaPolicy(Record, table=True):
    """One row per promise about tickets. The first active one by rank whose filter matches holds. ``targets``: priority → target → minutes;
    ``escalation``: what happens by itself while a promise runs out (see ``helpdesk/escalation_rules``)."""

    __tablename__ = "sla_policy"
    name: str = field("Name", required=True, unique=True, max_length=80)
    rank: int = 0
    is_active: bool = True
    filter: dict[str, Any] | None = Field(default=None, sa_type=Json)
    calendar_id: int | None = Field(default=None, foreign_key="service_calendar.id", ondelete="RESTRICT")
    targets: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    escalation: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    escalate_to_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")


class SlaClock(Record, table=True):
    """One row per promise about one ticket, with its due time. ``paused_seconds``: working time that did not count so far;
    ``raised_to``: the priority that the watch raised the ticket to, which moves no due time of this clock."""

    __tablename__ = "sla_clock"
    __table_args__ = table_args(
        UniqueConstraint("ticket_id", "target", "seq", name="uq_sla_clock"), Index("ix_sla_clock_warn", "next_warn_at", "id")
    )
    ticket_id: int = Field(foreign_key="ticket.id", ondelete="CASCADE")
    target: SlaTarget = Field(sa_type=choice_type(SlaTarget))
    seq: int = 1
    policy_id: int | None = Field(default=None, foreign_key="sla_policy.id", ondelete="SET NULL")
    minutes: int
    started_at: datetime
    due_at: datetime
    paused_at: datetime | None = None
    paused_seconds: int = 0
    met_at: datetime | None = None
    cancelled_at: datetime | None = None
    breached_at: datetime | None = None
    warned_pct: int = 0
    next_warn_at: datetime | None = None
    raised_to: Priority | None = Field(default=None, sa_type=choice_type(Priority))
