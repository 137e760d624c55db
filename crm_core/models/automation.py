"""Automations: what starts them and what they do, their versions, every run with every step."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlmodel import Field

from crm_core.kit.clock import utcnow
from crm_core.models.base import Base, Json, Record, choice_type, field, table_args
from crm_core.vocabulary import AutomationState, FlowState, StepOutcome


class Automation(Record, table=True):
    """One row per automation. ``current``: number of the version that new runs take; ``listens``: which events it wants to hear of
    ({"types": […], "fields": […]}); ``reason``: why it is paused; ``recipe``: the one it was made of; ``checked_at``: how far dates and
    schedules were looked at."""

    __table_args__ = table_args(Index("ix_automation_state", "state", "entity"))
    name: str = field("Name", required=True, unique=True, max_length=120)
    entity: str = Field(max_length=40)
    state: AutomationState = Field(default=AutomationState.DRAFT, sa_type=choice_type(AutomationState))
    owner_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    current: int = 0
    listens: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    hourly_cap: int = 200
    reason: str = Field(default="", max_length=300)
    recipe: str = Field(default="", max_length=40)
    active_since: datetime | None = None
    checked_at: datetime | None = None


class AutomationVersion(Record, table=True):
    """One row per saved state of an automation; never changed. ``flow``: entity, trigger, conditions, goal, steps (see flow_rules)."""

    __tablename__ = "automation_version"
    __table_args__ = table_args(UniqueConstraint("automation_id", "number", name="uq_automation_version"))
    automation_id: int = Field(foreign_key="automation.id", ondelete="CASCADE")
    number: int
    flow: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    author_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")


class AutomationInbox(Base, table=True):
    """One row per event that some active automation wants to hear of, written in the very transaction of the event and gone once it was heard."""

    __tablename__ = "automation_inbox"
    event_id: int = Field(foreign_key="event_log.id", ondelete="CASCADE", primary_key=True)


class AutomationRun(Record, table=True):
    """One row per record that an automation took up. ``trigger_key`` makes the same cause one run; ``step_id``: the step that is next, "" for none;
    ``cause_id``, ``depth``: the event that started it, for the chain of causes."""

    __tablename__ = "automation_run"
    __table_args__ = table_args(
        UniqueConstraint("automation_id", "trigger_key", name="uq_automation_run"),
        Index("ix_automation_run_due", "state", "due_at"),
        Index("ix_automation_run_record", "entity", "record_id", "automation_id"),
        Index("ix_automation_run_list", "automation_id", "state", "id"),
        Index("ix_automation_run_created", "automation_id", "created_at"),
    )
    automation_id: int = Field(foreign_key="automation.id", ondelete="CASCADE")
    version_number: int
    trigger_key: str = Field(max_length=160)
    entity: str = Field(max_length=40)
    record_id: int
    state: FlowState = Field(default=FlowState.RUNNING, sa_type=choice_type(FlowState))
    step_id: str = Field(default="", max_length=40)
    due_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    message: str = Field(default="", max_length=500)
    cause_id: int | None = None
    depth: int = 0


class AutomationStep(Base, table=True):
    """One row per step that a run took, or failed to take. ``key``: run, step and, for failures, attempt: the same step never takes effect twice.
    ``until``: when the run goes on after a step that waits; ``amount_minor``: what an offer may cost, for its budget."""

    __tablename__ = "automation_step"
    __table_args__ = table_args(
        Index("ix_automation_step_run", "run_id", "id"),
        Index("ix_automation_step_kind", "automation_id", "kind", "record_id"),
    )
    id: int = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="automation_run.id", ondelete="CASCADE")
    automation_id: int = Field(foreign_key="automation.id", ondelete="CASCADE")
    key: str = Field(max_length=120, unique=True)
    step_id: str = Field(max_length=40)
    kind: str = Field(max_length=40)
    record_id: int
    outcome: StepOutcome = Field(sa_type=choice_type(StepOutcome))
    message: str = Field(default="", max_length=500)
    at: datetime = Field(default_factory=utcnow)
    until: datetime | None = None
    amount_minor: int | None = Field(default=None, sa_type=BigInteger, nullable=True)
