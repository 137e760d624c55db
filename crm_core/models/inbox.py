"""What comes in: the mailboxes, every message that came, and what was exchanged with somebody on the timeline of a record."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Text, UniqueConstraint
from sqlmodel import Field

from crm_core.models.base import Json, Record, choice_type, table_args
from crm_core.vocabulary import (
    InboundChannel,
    InboundState,
    Level,
    MailBecomes,
    MailSource,
    MailTls,
    MessageDirection,
    UnknownSender,
)


class Mailbox(Record, table=True):
    """One row per address that customers write to: how its mail comes in, what it becomes, and how far it was read.

    ``secret_sealed`` and ``signing_sealed`` are encrypted with the key of the installation; ``key_sha256`` is that of the web address. ``last_uid``
    counts within ``uid_validity``; ``lease_until`` keeps two workers from reading the same box at once.
    """

    __table_args__ = table_args(
        UniqueConstraint("address_key", name="uq_mailbox_address"), Index("ix_mailbox_due", "is_active", "next_pull_at")
    )
    name: str = Field(max_length=80)
    address: str = Field(max_length=254)
    address_key: str = Field(max_length=254)
    source: MailSource = Field(default=MailSource.IMAP, sa_type=choice_type(MailSource))
    host: str = Field(default="", max_length=253)
    port: int = 993
    tls: MailTls = Field(default=MailTls.TLS, sa_type=choice_type(MailTls))
    username: str = Field(default="", max_length=254)
    secret_sealed: str = Field(default="", sa_type=Text)
    folder: str = Field(default="INBOX", max_length=200)
    first_days: int = 1
    key_sha256: str | None = Field(default=None, max_length=64, unique=True)
    signing_sealed: str = Field(default="", sa_type=Text)
    becomes: MailBecomes = Field(default=MailBecomes.TICKET, sa_type=choice_type(MailBecomes))
    unknown: UnknownSender = Field(default=UnknownSender.CONTACT, sa_type=choice_type(UnknownSender))
    team_id: int | None = Field(default=None, foreign_key="team.id", ondelete="SET NULL")
    owner_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    category: str | None = Field(default=None, max_length=120)
    impact: Level = Field(default=Level.MEDIUM, sa_type=choice_type(Level))
    urgency: Level = Field(default=Level.MEDIUM, sa_type=choice_type(Level))
    signature: str = Field(default="", max_length=2000)
    plus_address: bool = False
    acknowledge: bool = False
    ack_subject: str = Field(default="", max_length=200)
    ack_body: str = Field(default="", max_length=4000)
    is_active: bool = True
    uid_validity: int | None = Field(default=None, sa_type=BigInteger)
    last_uid: int = Field(default=0, sa_type=BigInteger)
    last_pull_at: datetime | None = None
    last_good_at: datetime | None = None
    next_pull_at: datetime | None = None
    lease_until: datetime | None = None
    failures: int = 0
    message: str = Field(default="", max_length=500)


class InboundMail(Record, table=True):
    """One row per message that came in, whatever became of it; ``dedupe_key`` makes the same message a single row however often it is fetched.

    ``raw`` names the untouched source below the data folder; ``undo``: what a person's choice in the tray changed, to take it back.
    """

    __tablename__ = "inbound_mail"
    __table_args__ = table_args(
        Index("ix_inbound_mail_state", "state", "id"),
        Index("ix_inbound_mail_sender", "sender_key", "created_at"),
        Index("ix_inbound_mail_list", "mailbox_id", "id"),
    )
    dedupe_key: str = Field(max_length=80, unique=True)
    mailbox_id: int | None = Field(default=None, foreign_key="mailbox.id", ondelete="SET NULL")
    message_id: str = Field(default="", max_length=300, index=True)
    sender: str = Field(default="", max_length=254)
    sender_key: str = Field(default="", max_length=254)
    sender_name: str = Field(default="", max_length=200)
    subject: str = Field(default="", max_length=500)
    preview: str = Field(default="", max_length=300)
    sent_at: datetime | None = None
    size_bytes: int = 0
    state: InboundState = Field(sa_type=choice_type(InboundState))
    reason: str = Field(default="", max_length=500)
    raw: str = Field(default="", max_length=64)
    ticket_id: int | None = Field(default=None, foreign_key="ticket.id", ondelete="SET NULL", index=True)
    ticket_message_id: int | None = Field(default=None, foreign_key="ticket_message.id", ondelete="SET NULL", index=True)
    contact_id: int | None = Field(default=None, foreign_key="contact.id", ondelete="SET NULL", index=True)
    activity_id: int | None = Field(default=None, foreign_key="activity.id", ondelete="SET NULL", index=True)
    settled_by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    settled_at: datetime | None = None
    undo: dict[str, Any] | None = Field(default=None, sa_type=Json, nullable=True)


class Interaction(Record, table=True):
    """One row per entry of a timeline that was exchanged with somebody: a mail either way, or what came in by another channel.

    ``entity`` and ``record_id``: where the conversation stands; ``thread_id``: its first row; ``user_id``: who wrote, or who is told of an answer;
    ``settled_at``: nobody waits for an answer any more. ``people``: the addresses that it went to.
    """

    __table_args__ = table_args(
        UniqueConstraint("activity_id", name="uq_interaction_activity"),
        Index("ix_interaction_open", "direction", "settled_at", "id"),
        Index("ix_interaction_record", "entity", "record_id", "id"),
        Index("ix_interaction_message", "message_id"),
    )
    activity_id: int = Field(foreign_key="activity.id", ondelete="CASCADE")
    channel: InboundChannel = Field(default=InboundChannel.EMAIL, sa_type=choice_type(InboundChannel))
    direction: MessageDirection = Field(sa_type=choice_type(MessageDirection))
    entity: str = Field(max_length=40)
    record_id: int
    thread_id: int | None = Field(default=None, index=True)
    message_id: str | None = Field(default=None, max_length=300)
    sender: str = Field(default="", max_length=254)
    people: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    user_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    settled_at: datetime | None = None
    settled_by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")


class InboxDone(Record, table=True):
    """One row per thing of the inbox that has no state of its own (a call, a comment) and that somebody put aside."""

    __tablename__ = "inbox_done"
    __table_args__ = table_args(UniqueConstraint("kind", "record_id", name="uq_inbox_done"))
    kind: str = Field(max_length=20)
    record_id: int
    by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
