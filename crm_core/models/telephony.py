"""Telephone menus: their versions, and the calls that went through them."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text, UniqueConstraint
from sqlmodel import Field

from crm_core.models.base import Json, Record, choice_type, field, table_args
from crm_core.vocabulary import CallEnd


class VoiceMenu(Record, table=True):
    """One row per telephone menu. ``flow`` is the draft: {start, nodes: {id: node}}; ``published_no`` the version that callers hear.
    ``key`` stands in its web address; ``token_sealed``: the auth token of the telephone provider, encrypted with the installation's key."""

    __tablename__ = "voice_menu"
    name: str = field("Name", required=True, unique=True, max_length=80)
    key: str = Field(max_length=40, unique=True)
    number: str = Field(default="", max_length=40)
    language: str = Field(default="en-US", max_length=12)
    calendar_id: int | None = Field(default=None, foreign_key="service_calendar.id", ondelete="SET NULL")
    team_id: int | None = Field(default=None, foreign_key="team.id", ondelete="SET NULL")
    owner_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    token_sealed: str = Field(default="", sa_type=Text)
    flow: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    published_no: int = 0
    is_active: bool = True


class VoiceVersion(Record, table=True):
    """One row per published version of a menu; calls stay on the version on which they began."""

    __tablename__ = "voice_version"
    __table_args__ = table_args(UniqueConstraint("menu_id", "no", name="uq_voice_version"))
    menu_id: int = Field(foreign_key="voice_menu.id", ondelete="CASCADE")
    no: int
    flow: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")


class VoiceCall(Record, table=True):
    """One row per call. ``node``, ``turn`` and ``tries``: where it stands; ``steps``: [{node, title, heard, at}] in their order."""

    __tablename__ = "voice_call"
    __table_args__ = table_args(
        UniqueConstraint("menu_id", "call_sid", name="uq_voice_call"),
        Index("ix_voice_call_list", "started_at"),
        Index("ix_voice_call_contact", "contact_id", "started_at"),
    )
    menu_id: int = Field(foreign_key="voice_menu.id", ondelete="CASCADE")
    version_no: int
    call_sid: str = Field(max_length=64)
    caller: str = Field(default="", max_length=40)
    caller_key: str = Field(default="", max_length=40)
    contact_id: int | None = Field(default=None, foreign_key="contact.id", ondelete="SET NULL")
    activity_id: int | None = Field(default=None, foreign_key="activity.id", ondelete="SET NULL")
    ticket_id: int | None = Field(default=None, foreign_key="ticket.id", ondelete="SET NULL")
    task_id: int | None = Field(default=None, foreign_key="task.id", ondelete="SET NULL")
    owner_id: int | None = None
    node: str = Field(default="", max_length=20)
    turn: int = 0
    tries: int = 0
    steps: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    outcome: CallEnd | None = Field(default=None, sa_type=choice_type(CallEnd), nullable=True)
    started_at: datetime
    ended_at: datetime | None = None
    seconds: int | None = None
    recording_url: str = Field(default="", max_length=500)
