"""Tickets and their conversations."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text
from sqlmodel import Field

from crm_core.models.base import Customisable, Json, Record, choice_type, field, table_args
from crm_core.vocabulary import FieldKind, InboundChannel, Level, MessageDirection, Priority, PromiseOutcome, TicketKind, Visibility


class Ticket(Customisable, table=True):
    """One row per request of a customer."""

    __table_args__ = table_args(
        Index("ix_ticket_list", "deleted_at", "opened_at", "id", "owner_id", "status"),
        Index(
            "ix_ticket_opened",
            "deleted_at",
            "opened_at",
            "owner_id",
            "status",
            "first_response_at",
            "solved_at",
            "category",
            "priority",
            "team_id",
            "response_promise",
            "resolution_promise",
            "response_minutes",
        ),
        Index(
            "ix_ticket_solved",
            "deleted_at",
            "solved_at",
            "status",
            "owner_id",
            "opened_at",
            "category",
            "priority",
            "team_id",
            "resolution_minutes",
            "first_solved_at",
        ),
        Index(
            "ix_ticket_first_solved",
            "deleted_at",
            "first_solved_at",
            "reopened_count",
            "answer_count",
            "owner_id",
            "category",
            "priority",
            "team_id",
        ),
        Index("ix_ticket_rated", "deleted_at", "rated_at", "satisfaction", "owner_id", "category", "priority", "team_id"),
        Index("ix_ticket_status", "status", "deleted_at", "opened_at", "owner_id", "first_response_at"),
        Index("ix_ticket_priority", "priority", "deleted_at", "owner_id"),
        Index("ix_ticket_due", "deleted_at", "sla_due_at", "id"),
        Index("ix_ticket_owner", "owner_id", "deleted_at", "status"),
        Index("ix_ticket_changed", "updated_at", "id"),
    )
    number: str = field("Number", required=True, max_length=20, unique=True, editable=False)
    subject: str = field("Subject", required=True)
    status: TicketKind = field("Status", enum=TicketKind, default=TicketKind.NEW)
    impact: Level = field("Impact", enum=Level, default=Level.MEDIUM)
    urgency: Level = field("Urgency", enum=Level, default=Level.MEDIUM)
    priority: Priority = field("Priority", enum=Priority, default=Priority.NORMAL, editable=False)
    category: str | None = field("Category", FieldKind.PICK)
    channel: InboundChannel | None = field("Channel", enum=InboundChannel)
    account_id: int | None = field("Account", to="account")
    contact_id: int | None = field("Contact", to="contact")
    product_id: int | None = field("Product", to="product")
    serial_number: str | None = field("Serial number", max_length=80, index=True, help="Of the piece that this is about")
    owner_id: int | None = field("Assigned to", to="user")
    team_id: int | None = field("Team", to="team")
    opened_at: datetime = field("Opened", FieldKind.DATETIME, required=True, editable=False)
    first_response_at: datetime | None = field("First response", FieldKind.DATETIME, editable=False)
    solved_at: datetime | None = field("Solved", FieldKind.DATETIME, editable=False, index=True)
    sla_due_at: datetime | None = field(
        "Due", FieldKind.DATETIME, editable=False, help="The next promise of the service level that runs out"
    )
    closed_at: datetime | None = field("Closed", FieldKind.DATETIME, editable=False)
    reopened_count: int = field("Re-opened", FieldKind.INTEGER, default=0, editable=False)
    first_solved_at: datetime | None = field(
        "First solved", FieldKind.DATETIME, editable=False, help="Stays when the ticket is opened again"
    )
    answer_count: int = field("Answers", FieldKind.INTEGER, default=0, editable=False, help="Answers of ours to the customer")
    response_promise: PromiseOutcome | None = field("First response promise", enum=PromiseOutcome, editable=False)
    resolution_promise: PromiseOutcome | None = field("Resolution promise", enum=PromiseOutcome, editable=False)
    response_minutes: int | None = field(
        "First response in working minutes",
        FieldKind.INTEGER,
        editable=False,
        help="Working hours of the service level, waiting left out",
    )
    resolution_minutes: int | None = field(
        "Resolution in working minutes",
        FieldKind.INTEGER,
        editable=False,
        help="Working hours of the service level, waiting left out",
    )
    satisfaction: int | None = field(
        "Satisfaction",
        FieldKind.INTEGER,
        editable=False,
        help="1 to 5: the latest answer of the customer to a survey about this ticket",
    )
    rated_at: datetime | None = field("Rated", FieldKind.DATETIME, editable=False)
    mailbox_id: int | None = Field(
        default=None, index=True
    )  # no foreign keys here: SQLite can't add one without rebuilding the table
    follows_id: int | None = Field(default=None, index=True)
    merged_into_id: int | None = Field(default=None, index=True)


class TicketMessage(Record, table=True):
    """One row per message or internal note of a ticket. ``body`` is what was newly said, ``quoted`` the earlier words below it; ``html``: a cleaned
    copy of a mail that had one; ``mail``: {from, to, cc, subject, files, inline, deliveries, auto}."""

    __tablename__ = "ticket_message"
    __table_args__ = table_args(Index("ix_ticket_message_ticket", "ticket_id", "at"))
    ticket_id: int = Field(foreign_key="ticket.id", ondelete="CASCADE")
    direction: MessageDirection = Field(sa_type=choice_type(MessageDirection))
    body: str = field("Message", FieldKind.LONG_TEXT, required=True)
    at: datetime
    author_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    author_name: str | None = Field(default=None, max_length=200)
    message_id: str | None = Field(default=None, max_length=300, index=True)
    quoted: str | None = Field(default=None, sa_type=Text)
    html: str | None = Field(default=None, sa_type=Text)
    mail: dict[str, Any] | None = Field(default=None, sa_type=Json, nullable=True)


class TicketMerge(Record, table=True):
    """One row per ticket that was merged into another one, with what moved, so that it can be taken apart again."""

    __tablename__ = "ticket_merge"
    source_id: int = Field(foreign_key="ticket.id", ondelete="CASCADE", index=True)
    target_id: int = Field(foreign_key="ticket.id", ondelete="CASCADE", index=True)
    moved: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    undone_at: datetime | None = None


class Macro(Record, table=True):
    """One row per named set of steps on tickets: [{do, …}] in their order. ``rank``: where it stands among those of everybody, or among its owner's."""

    __table_args__ = table_args(Index("ix_macro_owner", "owner_id", "visibility"))
    name: str = Field(max_length=80)
    about: str = Field(default="", max_length=300)
    visibility: Visibility = Field(default=Visibility.PRIVATE, sa_type=choice_type(Visibility))
    owner_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    steps: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    rank: int = 0
    used_count: int = 0
    used_at: datetime | None = None
