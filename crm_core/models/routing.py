"""Who gets new work and why: rules, people's skills and absences, queues, decisions; points of leads and what is watched about them."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from crm_core.models.base import Json, Record, choice_type, field, table_args
from crm_core.vocabulary import LeadPointKind, RouteMethod, RouteOutcome


class WorkQueue(Record, table=True):
    """One row per place where work waits until somebody is free. ``team_id``: whose people are told and may take from it."""

    __tablename__ = "work_queue"
    name: str = field("Name", required=True, unique=True, max_length=80)
    team_id: int | None = Field(default=None, foreign_key="team.id", ondelete="SET NULL")
    max_wait_minutes: int | None = None


class RoutingRule(Record, table=True):
    """One row per assignment rule; the first active one by rank whose filter fits decides. ``people``: [{user_id, weight}], beside or instead of a team;
    ``territory``: {field, rows: [{values, user_id}]}; ``skill``: {field | name, min}; ``weights``: {skill, success, room}. No people and no team: the queue."""

    __tablename__ = "routing_rule"
    __table_args__ = table_args(Index("ix_routing_rule_order", "entity", "rank"))
    name: str = field("Name", required=True, unique=True, max_length=80)
    entity: str = Field(max_length=40)
    rank: int = 0
    is_active: bool = True
    filter: dict[str, Any] | None = Field(default=None, sa_type=Json)
    method: RouteMethod = Field(default=RouteMethod.TURNS, sa_type=choice_type(RouteMethod))
    people: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    team_id: int | None = Field(default=None, foreign_key="team.id", ondelete="SET NULL")
    queue_id: int | None = Field(default=None, foreign_key="work_queue.id", ondelete="RESTRICT")
    territory: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    skill: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    weights: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)


class RoutingTurn(Record, table=True):
    """One row per rule: whose turn it is (``state``: user id → credit) and how many turns were given. Apart from the rule, whose version stays."""

    __tablename__ = "routing_turn"
    rule_id: int = Field(foreign_key="routing_rule.id", ondelete="CASCADE", unique=True)
    state: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    turns: int = 0


class RoutingDecision(Record, table=True):
    """One row per decision about one record: the rule, everybody who was considered with scores and why not, and what came of it."""

    __tablename__ = "routing_decision"
    __table_args__ = table_args(
        Index("ix_routing_decision_record", "entity", "record_id", "id"),
        Index("ix_routing_decision_user", "user_id", "entity", "at"),
        Index("ix_routing_decision_at", "at"),
    )
    entity: str = Field(max_length=40)
    record_id: int
    rule_id: int | None = Field(default=None, foreign_key="routing_rule.id", ondelete="SET NULL", index=True)
    rule_name: str = Field(default="", max_length=80)
    method: RouteMethod | None = Field(default=None, sa_type=choice_type(RouteMethod), nullable=True)
    outcome: RouteOutcome = Field(sa_type=choice_type(RouteOutcome))
    user_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    queue_id: int | None = Field(default=None, foreign_key="work_queue.id", ondelete="SET NULL", index=True)
    candidates: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    why: str = Field(default="", max_length=200)
    at: datetime
    by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")


class QueueItem(Record, table=True):
    """One row per record that waits because nobody was free."""

    __tablename__ = "queue_item"
    __table_args__ = table_args(
        UniqueConstraint("entity", "record_id", name="uq_queue_item"), Index("ix_queue_item_since", "since", "id")
    )
    entity: str = Field(max_length=40)
    record_id: int
    queue_id: int | None = Field(default=None, foreign_key="work_queue.id", ondelete="SET NULL", index=True)
    rule_id: int | None = Field(default=None, foreign_key="routing_rule.id", ondelete="SET NULL", index=True)
    since: datetime
    told_at: datetime | None = None


class WorkProfile(Record, table=True):
    """One row per person for whom more is known than that they exist. ``skills``: name → 1 to 5; ``capacity``: entity → most open records; ``calendar_id``: the shift."""

    __tablename__ = "work_profile"
    user_id: int = Field(foreign_key="app_user.id", ondelete="CASCADE", unique=True)
    takes_work: bool = True
    skills: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    capacity: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    calendar_id: int | None = Field(default=None, foreign_key="service_calendar.id", ondelete="SET NULL", index=True)


class Absence(Record, table=True):
    """One row per stretch of days on which somebody is away. ``hand_on``: give their open tickets to others; ``handed_at``: when that was done."""

    __table_args__ = table_args(Index("ix_absence_days", "first_on", "last_on"))
    user_id: int = Field(foreign_key="app_user.id", ondelete="CASCADE", index=True)
    first_on: date
    last_on: date
    note: str = Field(default="", max_length=120)
    hand_on: bool = True
    handed_at: datetime | None = None


class PointRule(Record, table=True):
    """One row per reason for points of a lead. Fit: ``filter`` holds. Behaviour: ``signal`` happened, each time, fading by ``half_life_days``, up to ``cap``."""

    __tablename__ = "point_rule"
    name: str = field("Name", required=True, unique=True, max_length=120)
    kind: LeadPointKind = Field(sa_type=choice_type(LeadPointKind))
    points: int
    filter: dict[str, Any] | None = Field(default=None, sa_type=Json)
    signal: str = Field(default="", max_length=60)
    cap: int | None = None
    half_life_days: int | None = None
    is_active: bool = True


class LeadPoints(Record, table=True):
    """One row per lead with points: both sums, what each rule gave, and when the lead first reached the threshold."""

    __tablename__ = "lead_points"
    lead_id: int = Field(foreign_key="lead.id", ondelete="CASCADE", unique=True)
    fit: float = 0
    behaviour: float = 0
    reached_at: datetime | None = None
    computed_at: datetime


class SpeedTarget(Record, table=True):
    """One row per promise how soon a new lead hears from us. ``source`` None: all other sources."""

    __tablename__ = "speed_target"
    source: str | None = Field(default=None, max_length=120, unique=True)
    minutes: int
    calendar_id: int | None = Field(default=None, foreign_key="service_calendar.id", ondelete="RESTRICT", index=True)
    escalate_to_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")


class LeadWatch(Record, table=True):
    """One row per lead whose first contact came too late or not yet: when it was due, whom we told when."""

    __tablename__ = "lead_watch"
    lead_id: int = Field(foreign_key="lead.id", ondelete="CASCADE", unique=True)
    due_at: datetime
    told_at: datetime | None = None
    escalated_at: datetime | None = None


class RoutingSetting(Record, table=True):
    """One row per group of switches: ``points`` (bands, threshold), ``nudges`` (tasks that are raised), ``points_seen`` (how far signals were read)."""

    __tablename__ = "routing_setting"
    key: str = Field(max_length=40, unique=True)
    value: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)


__all__ = [
    "Absence", "LeadPoints", "LeadWatch", "PointRule", "QueueItem", "RoutingDecision", "RoutingRule", "RoutingSetting", "RoutingTurn", "SpeedTarget",
    "WorkProfile", "WorkQueue",
]  # fmt: skip
