"""Tickets and their conversations."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from crm_core.models.base import Customisable, Record, choice_type, field, table_args
from crm_core.vocabulary import FieldKind, Level, MessageDirection, Priority, TicketKind


class Ticket(Customisable, table=True):
    """One row per request of a customer."""

    __table_args__ = table_args(
        Index("ix_ticket_list", "deleted_at", "opened_at", "id", "owner_id", "status"),
        Index("ix_ticket_opened", "deleted_at", "opened_at", "owner_id", "status", "first_response_at", "solved_at"),
        Index("ix_ticket_solved", "deleted_at", "solved_at", "status", "owner_id", "opened_at"),
        Index("ix_ticket_status", "status", "deleted_at", "opened_at"),
        Index("ix_ticket_due", "deleted_at", "sla_due_at", "id"),
        Index("ix_ticket_owner", "owner_id", "deleted_at", "status"),
    )
    number: str = field("Number", required=True, max_length=20, unique=True, editable=False)
    subject: str = field("Subject", required=True)
    status: TicketKind = field("Status", enum=TicketKind, default=TicketKind.NEW)
    impact: Level = field("Impact", enum=Level, default=Level.MEDIUM)
    urgency: Level = field("Urgency", enum=Level, default=Level.MEDIUM)
    priority: Priority = field("Priority", enum=Priority, default=Priority.NORMAL, editable=False, index=True)
    category: str | None = field("Category", FieldKind.PICK)
    account_id: int | None = field("Account", to="account")
    contact_id: int | None = field("Contact", to="contact")
    product_id: int | None = field("Product", to="product")
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


class TicketMessage(Record, table=True):
    """One row per message or internal note of a ticket."""

    __tablename__ = "ticket_message"
    __table_args__ = table_args(Index("ix_ticket_message_ticket", "ticket_id", "at"))
    ticket_id: int = Field(foreign_key="ticket.id", ondelete="CASCADE")
    direction: MessageDirection = Field(sa_type=choice_type(MessageDirection))
    body: str = field("Message", FieldKind.LONG_TEXT, required=True)
    at: datetime
    author_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    author_name: str | None = Field(default=None, max_length=200)
    message_id: str | None = Field(default=None, max_length=300, index=True)
