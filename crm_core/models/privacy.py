"""What persons asked about their data, and which addresses must not be written to again."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from crm_core.models.base import Base, Json, Record, choice_type, table_args
from crm_core.vocabulary import PointKind, PrivacyKind, PrivacyState

_ACTIVE = text("state in ('open', 'running')")


class PrivacyRequest(Record, table=True):
    """One row per request of a person: a copy of their data, or erasure. ``entity`` and ``record_id``: the contact, or the lead that is none yet;
    ``people``: all records that were theirs when the work began; ``words``: how they are called and reached, only while an erasure runs; ``cursor``:
    where it stands; ``outcome``: what was done; ``file``: the report below the data folder, until ``expires_at``."""

    __tablename__ = "privacy_request"
    __table_args__ = table_args(
        Index("ix_privacy_request_record", "entity", "record_id"),
        Index("ix_privacy_request_state", "state", "due_on"),
        Index(
            "uq_privacy_request_active", "kind", "entity", "record_id", unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE
        ),
    )
    kind: PrivacyKind = Field(sa_type=choice_type(PrivacyKind))
    entity: str = Field(max_length=20)
    record_id: int
    state: PrivacyState = Field(default=PrivacyState.OPEN, sa_type=choice_type(PrivacyState))
    asked_on: date
    due_on: date
    reason: str = Field(default="", max_length=1000)
    by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    done_at: datetime | None = None
    job_id: str = Field(default="", max_length=200)
    people: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    words: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    cursor: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    outcome: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    file: str = Field(default="", max_length=100)
    expires_at: datetime | None = None


class ErasedMark(Base, table=True):
    """One row per address or number of somebody who was erased, as a keyed hash alone: whoever comes back with it gets no letters."""

    __tablename__ = "erased_mark"
    __table_args__ = table_args(UniqueConstraint("kind", "sha256", name="uq_erased_mark"))
    id: int = Field(default=None, primary_key=True)
    kind: PointKind = Field(sa_type=choice_type(PointKind))
    sha256: str = Field(max_length=64)
    request_id: int | None = Field(default=None, foreign_key="privacy_request.id", ondelete="SET NULL")
