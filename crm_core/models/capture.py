"""Forms that strangers fill in, and everything that was sent through them."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text, UniqueConstraint
from sqlmodel import Field

from crm_core.models.base import Json, Record, choice_type, field, table_args
from crm_core.vocabulary import SubmissionState, Via


class LeadForm(Record, table=True):
    """One row per public form. ``fields``: [{key, label, required}] of the lead; ``defaults``: what every lead of it gets; ``embed_hosts``: sites that may
    show it in a frame; ``asks_price``: whoever sends it asks for a price; ``key_sha256``: of the key with which programs send leads."""

    __tablename__ = "lead_form"
    name: str = field("Name", required=True, unique=True, max_length=80)
    slug: str = Field(max_length=60, unique=True)
    title: str = Field(default="", max_length=200)
    intro: str = Field(default="", max_length=1000)
    thanks: str = Field(default="", max_length=1000)
    fields: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    defaults: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    ask_consent: bool = False
    asks_price: bool = False
    confirm_by_mail: bool = True
    embed_hosts: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    key_sha256: str | None = Field(default=None, max_length=64, unique=True)
    is_active: bool = True


class LeadSource(Record, table=True):
    """One row per list of another program that leads are fetched from, through a form. ``mapping``: field of the lead → path in an entry; ``cursor_in``:
    whether the next question begins where the "answer" or the last "item" says; ``keeps_cursor``: the next look goes on there, else it begins at the
    front. ``new_count``, ``known_count`` and ``failed_count`` are of the last look. ``secret_sealed`` is encrypted with the key of the installation."""

    __tablename__ = "lead_source"
    name: str = Field(max_length=80, unique=True)
    form_id: int = Field(foreign_key="lead_form.id", ondelete="CASCADE", index=True)
    url: str = Field(max_length=1000)
    header: str = Field(default="", max_length=60)
    secret_sealed: str = Field(default="", sa_type=Text)
    items_path: str = Field(default="", max_length=200)
    id_path: str = Field(default="id", max_length=200)
    consent_path: str = Field(default="", max_length=200)
    mapping: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    cursor_param: str = Field(default="", max_length=60)
    cursor_in: str = Field(default="answer", max_length=10)
    cursor_path: str = Field(default="", max_length=200)
    keeps_cursor: bool = True
    cursor: str = Field(default="", max_length=1000)
    every_minutes: int = 15
    is_active: bool = True
    next_pull_at: datetime | None = None
    lease_until: datetime | None = None
    last_pull_at: datetime | None = None
    last_good_at: datetime | None = None
    failures: int = 0
    message: str = Field(default="", max_length=500)
    new_count: int = 0
    known_count: int = 0
    failed_count: int = 0
    new_total: int = 0


class FormSubmission(Record, table=True):
    """One row per sending of a form, as it came. ``digest`` and ``slot`` make the same one within five minutes one row; ``source_hash`` stands for the
    network address; ``source_id`` and ``external_id``: where it was fetched and its number there, once. Personal data: forgotten with the lead."""

    __tablename__ = "form_submission"
    __table_args__ = table_args(
        UniqueConstraint("form_id", "digest", "slot", name="uq_form_submission"),
        UniqueConstraint("source_id", "external_id", name="uq_form_submission_external"),
        Index("ix_form_submission_form", "form_id", "id"),
        Index("ix_form_submission_source", "source_hash", "created_at"),
    )
    form_id: int = Field(foreign_key="lead_form.id", ondelete="CASCADE")
    payload: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    digest: str = Field(max_length=64)
    slot: int
    source_hash: str = Field(max_length=64)
    via: Via = Field(default=Via.FORM, sa_type=choice_type(Via))
    state: SubmissionState = Field(sa_type=choice_type(SubmissionState))
    lead_id: int | None = Field(default=None, foreign_key="lead.id", ondelete="SET NULL", index=True)
    message: str = Field(default="", max_length=500)
    source_id: int | None = Field(default=None, foreign_key="lead_source.id", ondelete="SET NULL")
    external_id: str | None = Field(default=None, max_length=200)
    token_sha256: str | None = Field(default=None, max_length=64, unique=True)
    token_until: datetime | None = None
    confirmed_at: datetime | None = None
