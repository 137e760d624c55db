"""What people are told, how they want to be told, and how they like their days."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from crm_core.models.base import Base, Json, Record, choice_type, table_args
from crm_core.vocabulary import MailWay


class Notification(Record, table=True):
    """One row per thing that one person is told. ``params`` holds ids and plain facts; the sentence is made when it is read, with the reader's rights.

    ``show_at``: from when on it stands in the list (later when snoozed); ``mail_due_at``: when it goes out by mail, if it does.
    """

    __table_args__ = table_args(
        UniqueConstraint("user_id", "dedupe_key", name="uq_notification_key"),
        Index("ix_notification_list", "user_id", "show_at"),
        Index("ix_notification_unread", "user_id", "in_app", "read_at", "show_at"),
        Index("ix_notification_mail", "mail_due_at", "user_id"),
        Index("ix_notification_record", "entity", "record_id"),
    )
    user_id: int = Field(foreign_key="app_user.id", ondelete="CASCADE")
    kind: str = Field(max_length=60)
    entity: str | None = Field(default=None, max_length=40)
    record_id: int | None = None
    params: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    dedupe_key: str = Field(max_length=200)
    at: datetime
    show_at: datetime
    in_app: bool = True
    read_at: datetime | None = None
    mail: MailWay = Field(default=MailWay.OFF, sa_type=choice_type(MailWay))
    mail_due_at: datetime | None = None
    mailed_at: datetime | None = None


class UserPreference(Base, table=True):
    """One row per person who chose something. ``channels``: kind → {app, mail}; minutes are after midnight in the person's time zone."""

    __tablename__ = "user_preference"
    user_id: int = Field(primary_key=True, foreign_key="app_user.id", ondelete="CASCADE")
    channels: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    quiet_from: int | None = None
    quiet_to: int | None = None
    digest_minute: int = 8 * 60
    digest_weekday: int = 0
    meeting_minutes: int = 15
    first_weekday: int = 0
    feed_sha256: str | None = Field(default=None, max_length=64, unique=True)
    feed_since: datetime | None = None
