"""Mail on its way out."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text
from sqlmodel import Field

from crm_core.models.base import Json, Record, choice_type, table_args
from crm_core.vocabulary import MailState, Purpose


class MailDelivery(Record, table=True):
    """One row per message to one address, from queued to its end; ``dedupe_key`` makes the second request the same message.

    ``claim`` names the sender that holds the row: only that one may take the last step of the hand-over. ``content`` is empty where
    the words must not be kept (one-time links) or live elsewhere (campaigns), once they are sent. ``purpose``: what the reader's consent is
    needed for; it is asked for once more when the message's turn comes. Business under way has none.
    """

    __tablename__ = "mail_delivery"
    __table_args__ = table_args(
        Index("ix_mail_delivery_due", "state", "next_at"),
        Index("ix_mail_delivery_list", "kind", "state", "id"),
        Index("ix_mail_delivery_batch", "batch", "state"),
        Index("ix_mail_delivery_address", "address_key", "id"),
    )
    dedupe_key: str = Field(max_length=200, unique=True)
    kind: str = Field(max_length=40)
    state: MailState = Field(default=MailState.PENDING, sa_type=choice_type(MailState))
    batch: str | None = Field(default=None, max_length=80)
    address: str = Field(max_length=254)
    address_key: str = Field(max_length=254)
    name: str = Field(default="", max_length=300)
    subject: str = Field(default="", max_length=500)
    content: str = Field(default="", sa_type=Text)
    html: str = Field(default="", sa_type=Text)
    headers: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    message_id: str = Field(default="", max_length=254, index=True)
    secret: bool = False
    purpose: Purpose | None = Field(default=None, sa_type=choice_type(Purpose), nullable=True)
    keep: bool = True
    attempts: int = 0
    next_at: datetime
    claim: str | None = Field(default=None, max_length=200)
    claimed_at: datetime | None = None
    sent_at: datetime | None = None
    attachments: list[Any] | None = Field(default=None, sa_type=Json, nullable=True)
    file: str = Field(default="", max_length=200)
    message: str = Field(default="", max_length=1000)
    contact_id: int | None = Field(default=None, foreign_key="contact.id", ondelete="SET NULL", index=True)
    lead_id: int | None = Field(default=None, foreign_key="lead.id", ondelete="SET NULL", index=True)
    user_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
