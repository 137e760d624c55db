"""What people do together: activities, tasks, files."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from crm_core.models.base import Customisable, Record, field, table_args
from crm_core.vocabulary import ActivityKind, CallOutcome, FieldKind, Priority, TaskStatus


class Activity(Customisable, table=True):
    """One row per call, e-mail, meeting or note. It may hang on several records at once."""

    __table_args__ = table_args(
        Index("ix_activity_account", "account_id", "at"),
        Index("ix_activity_contact", "contact_id", "at"),
        Index("ix_activity_deal", "deal_id", "at"),
        Index("ix_activity_lead", "lead_id", "at"),
        Index("ix_activity_ticket", "ticket_id", "at"),
        Index("ix_activity_owner", "owner_id", "at"),
        Index("ix_activity_kind", "kind", "at"),
    )
    kind: ActivityKind = field("Kind", enum=ActivityKind, default=ActivityKind.NOTE)
    subject: str = field("Subject", required=True)
    body: str | None = field("Notes", FieldKind.LONG_TEXT)
    at: datetime = field("When", FieldKind.DATETIME, required=True)
    minutes: int | None = field("Minutes", FieldKind.INTEGER, low=0, high=1440)
    place: str | None = field("Where")
    outcome: CallOutcome | None = field("Outcome", enum=CallOutcome)
    account_id: int | None = field("Account", to="account")
    contact_id: int | None = field("Contact", to="contact")
    deal_id: int | None = field("Deal", to="deal")
    lead_id: int | None = field("Lead", to="lead")
    ticket_id: int | None = field("Ticket", to="ticket")
    owner_id: int | None = field("By", to="user")


class Task(Customisable, table=True):
    """One row per thing to do."""

    __table_args__ = table_args(
        Index("ix_task_owner", "owner_id", "status", "due_at"),
        Index("ix_task_due", "status", "due_at"),
        Index("ix_task_deal", "deal_id", "status"),
        Index("ix_task_account", "account_id", "status"),
        Index("ix_task_contact", "contact_id", "status"),
        Index("ix_task_lead", "lead_id", "status"),
        Index("ix_task_ticket", "ticket_id", "status"),
    )
    subject: str = field("Task", required=True)
    body: str | None = field("Notes", FieldKind.LONG_TEXT)
    status: TaskStatus = field("Status", enum=TaskStatus, default=TaskStatus.OPEN)
    priority: Priority = field("Priority", enum=Priority, default=Priority.NORMAL)
    due_at: datetime | None = field("Due", FieldKind.DATETIME)
    done_at: datetime | None = field("Done", FieldKind.DATETIME, editable=False)
    account_id: int | None = field("Account", to="account")
    contact_id: int | None = field("Contact", to="contact")
    deal_id: int | None = field("Deal", to="deal")
    lead_id: int | None = field("Lead", to="lead")
    ticket_id: int | None = field("Ticket", to="ticket")
    owner_id: int | None = field("Owner", to="user")


class Attachment(Record, table=True):
    """One row per file on a record. The content lies under its hash in the data folder."""

    __table_args__ = table_args(Index("ix_attachment_record", "entity", "record_id"))
    entity: str = Field(max_length=40)
    record_id: int
    name: str = Field(max_length=300)
    media_type: str = Field(max_length=120)
    size_bytes: int
    sha256: str = Field(max_length=64, index=True)
    uploaded_by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    deleted_at: datetime | None = None


class Pin(Record, table=True):
    """One row per entry of a timeline that stands on top of it."""

    __table_args__ = table_args(UniqueConstraint("entity", "record_id", "activity_id"))
    entity: str = Field(max_length=40)
    record_id: int
    activity_id: int = Field(foreign_key="activity.id", ondelete="CASCADE", index=True)


class Follow(Record, table=True):
    """One row per record that a person wants to hear of."""

    __table_args__ = table_args(
        UniqueConstraint("user_id", "entity", "record_id"), Index("ix_follow_record", "entity", "record_id")
    )
    user_id: int = Field(foreign_key="app_user.id", ondelete="CASCADE")
    entity: str = Field(max_length=40)
    record_id: int
