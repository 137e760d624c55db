"""Surveys: what is asked and was asked earlier, who was asked, and what they answered."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text, UniqueConstraint
from sqlmodel import Field

from crm_core.models.base import Json, Record, choice_type, field, table_args
from crm_core.vocabulary import SurveyKind, SurveyTrigger, SurveyWay


class Survey(Record, table=True):
    """One row per survey. ``filter``: which records it is sent about; ``active_since``: nothing older is asked about; ``round_name`` and
    ``round_after``: how far the regular round of people has come; ``base_url``: where its links lead when the settings name no address;
    ``questions``: what is asked besides the score, see ``survey_rules``; ``revision_no``: the wording that invitations get now."""

    __table_args__ = table_args(Index("ix_survey_active", "is_active", "trigger"))
    name: str = field("Name", required=True, unique=True, max_length=80)
    kind: SurveyKind = Field(default=SurveyKind.CSAT, sa_type=choice_type(SurveyKind))
    question: str = Field(default="", max_length=300)
    follow_up: str = Field(default="", max_length=300)
    questions: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    revision_no: int = 0
    thanks: str = Field(default="", max_length=500)
    mail_subject: str = Field(default="", max_length=200)
    mail_intro: str = Field(default="", max_length=2000)
    trigger: SurveyTrigger = Field(default=SurveyTrigger.MANUAL, sa_type=choice_type(SurveyTrigger))
    wait_hours: int = 0
    filter: dict[str, Any] | None = Field(default=None, sa_type=Json, nullable=True)
    sample_pct: int = 100
    cooldown_days: int = 30
    expires_days: int = 30
    needs_consent: bool = False
    owner_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    base_url: str = Field(default="", max_length=200)
    is_active: bool = False
    active_since: datetime | None = None
    round_name: str = Field(default="", max_length=10)
    round_after: int = 0


class SurveyRevision(Record, table=True):
    """One row per wording of a survey: ``form`` is {question, follow_up, questions}. Whoever was invited with it is asked it, and their answer means it."""

    __tablename__ = "survey_revision"
    __table_args__ = table_args(UniqueConstraint("survey_id", "no", name="uq_survey_revision"))
    survey_id: int = Field(foreign_key="survey.id", ondelete="CASCADE")
    no: int
    form: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)


class SurveyInvitation(Record, table=True):
    """One row per time that somebody was to be asked; ``skipped`` says why it did not come to that. Owner, team, account and category are
    those of the record on that day."""

    __tablename__ = "survey_invitation"
    __table_args__ = table_args(
        Index("ix_survey_invitation_survey", "survey_id", "sent_at"),
        Index("ix_survey_invitation_contact", "contact_id", "sent_at"),
        Index("ix_survey_invitation_record", "entity", "record_id"),
    )
    survey_id: int = Field(foreign_key="survey.id", ondelete="CASCADE")
    dedupe_key: str = Field(max_length=120, unique=True)
    contact_id: int | None = Field(default=None, foreign_key="contact.id", ondelete="SET NULL")
    entity: str = Field(max_length=20)
    record_id: int
    account_id: int | None = None
    owner_id: int | None = None
    team_id: int | None = None
    category: str | None = Field(default=None, max_length=120)
    sent_at: datetime | None = None
    opened_at: datetime | None = None
    expires_at: datetime | None = None
    skipped: str = Field(default="", max_length=20)
    revision_no: int = 0


class SurveyAnswer(Record, table=True):
    """One row per answered invitation. ``detractor_at``: when an unhappy answer was handed to somebody; ``completed_at``: when everything that must be
    answered was."""

    __tablename__ = "survey_answer"
    __table_args__ = table_args(Index("ix_survey_answer_survey", "survey_id", "at", "score"))
    invitation_id: int = Field(foreign_key="survey_invitation.id", ondelete="CASCADE", unique=True)
    survey_id: int = Field(foreign_key="survey.id", ondelete="CASCADE")
    score: int
    comment: str = Field(default="", sa_type=Text)
    at: datetime
    changed_at: datetime | None = None
    completed_at: datetime | None = None
    way: SurveyWay = Field(default=SurveyWay.MAIL, sa_type=choice_type(SurveyWay))
    detractor_at: datetime | None = None
    task_id: int | None = Field(default=None, foreign_key="task.id", ondelete="SET NULL")


class SurveyReply(Record, table=True):
    """One row per further question that somebody answered (one per chosen option where several may be): ``number`` of a scale or of yes (1) and no (0),
    ``text`` for an option or their own words. ``question`` is its key in the form of the invitation's revision."""

    __tablename__ = "survey_reply"
    __table_args__ = table_args(Index("ix_survey_reply_survey", "survey_id", "question"))
    answer_id: int = Field(foreign_key="survey_answer.id", ondelete="CASCADE", index=True)
    survey_id: int = Field(foreign_key="survey.id", ondelete="CASCADE")
    question: str = Field(max_length=20)
    number: int | None = None
    text: str = Field(default="", sa_type=Text)
