"""Who may be written to or called, and what a campaign sends to whom."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text, UniqueConstraint, text
from sqlmodel import Field

from crm_core.models.base import Base, Json, Record, choice_type, described, table_args
from crm_core.vocabulary import (
    ConsentStatus,
    ContactWay,
    FieldKind,
    LegalBasis,
    LetterUse,
    Outlet,
    PlanState,
    Purpose,
    SuppressionReason,
    Visibility,
)


class Consent(Base, table=True):
    """One row per statement of a person about a purpose and a way: append-only, the latest one counts (``is_latest``)."""

    __table_args__ = table_args(
        Index("ix_consent_contact", "contact_id", "purpose", "way", "is_latest"),
        Index("ix_consent_lead", "lead_id", "purpose", "way", "is_latest"),
    )
    id: int = Field(default=None, primary_key=True)
    contact_id: int | None = Field(default=None, foreign_key="contact.id", ondelete="CASCADE")
    lead_id: int | None = Field(default=None, foreign_key="lead.id", ondelete="CASCADE")
    purpose: Purpose = Field(sa_type=choice_type(Purpose), sa_column_kwargs=described("About", enum=Purpose))
    way: ContactWay = Field(sa_type=choice_type(ContactWay), sa_column_kwargs=described("By", enum=ContactWay))
    status: ConsentStatus = Field(sa_type=choice_type(ConsentStatus), sa_column_kwargs=described("Said", enum=ConsentStatus))
    basis: LegalBasis = Field(
        default=LegalBasis.CONSENT, sa_type=choice_type(LegalBasis), sa_column_kwargs=described("Legal basis", enum=LegalBasis)
    )
    source: str = Field(default="", max_length=300)
    at: datetime = Field(sa_column_kwargs=described("Since", FieldKind.DATETIME))
    by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    is_latest: bool = Field(default=True, sa_column_kwargs=described("Their last word", FieldKind.BOOLEAN))


class Suppression(Record, table=True):
    """One row per address or number that must not be used, whoever it belongs to, and reason, until it is lifted."""

    __table_args__ = table_args(
        Index(
            "uq_suppression_open",
            "address_key",
            "way",
            "reason",
            unique=True,
            sqlite_where=text("lifted_at is null"),
            postgresql_where=text("lifted_at is null"),
        ),
    )
    address_key: str = Field(max_length=254)
    way: ContactWay = Field(sa_type=choice_type(ContactWay))
    reason: SuppressionReason = Field(sa_type=choice_type(SuppressionReason))
    source: str = Field(default="", max_length=300)
    lifted_at: datetime | None = None
    by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")


class OutreachRules(Record, table=True):
    """One row: how often and when people may be contacted for marketing, and what a new campaign starts with."""

    __tablename__ = "outreach_rules"
    needs_consent: bool = True
    cap_7_days: int = 2
    cap_30_days: int = 6
    quiet_from: str = Field(default="20:00", max_length=5)
    quiet_until: str = Field(default="08:00", max_length=5)
    quiet_weekends: bool = False
    holdout_pct: int = 10
    postal_address: str = Field(default="", max_length=500)


class CampaignPlan(Record, table=True):
    """One row per campaign that addresses people: audience, way out, hold-out, and what counts as success. ``promotion_id``: whose codes its
    letters carry."""

    __tablename__ = "campaign_plan"
    campaign_id: int = Field(foreign_key="campaign.id", ondelete="CASCADE", unique=True)
    state: PlanState = Field(default=PlanState.DRAFT, sa_type=choice_type(PlanState))
    outlet: Outlet = Field(default=Outlet.EMAIL, sa_type=choice_type(Outlet))
    purpose: Purpose = Field(default=Purpose.MARKETING, sa_type=choice_type(Purpose))
    segment_ids: list[int] = Field(default_factory=list, sa_type=Json, nullable=False)
    exclude_ids: list[int] = Field(default_factory=list, sa_type=Json, nullable=False)
    holdout_pct: int = 10
    seed: int = 1
    window_days: int = 30
    goal: str = Field(default="order", max_length=20)
    expected_base_pct: float | None = None
    expected_lift_points: float | None = None
    send_at: datetime | None = None
    launched_at: datetime | None = None
    launched_by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    finished_at: datetime | None = None
    funnel: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    base_url: str = Field(default="", max_length=300)
    message: str = Field(default="", max_length=500)
    promotion_id: int | None = None  # no foreign key: SQLite can't add one without rebuilding the table


class CampaignVariant(Record, table=True):
    """One row per wording of a campaign; people are split between them by ``weight``."""

    __tablename__ = "campaign_variant"
    __table_args__ = table_args(UniqueConstraint("campaign_id", "key", name="uq_campaign_variant"))
    campaign_id: int = Field(foreign_key="campaign.id", ondelete="CASCADE")
    key: str = Field(max_length=1)
    weight: int = 1
    subject: str = Field(default="", max_length=300)
    body: str = Field(default="", sa_type=Text)
    template_id: int | None = (
        None  # no foreign key: SQLite can't add one without rebuilding the table; the letter it was copied from
    )


class LetterTemplate(Record, table=True):
    """One row per letter that is kept to be written again. Whatever begins with it takes a copy, so a later change reaches nothing that runs.
    ``archived_at``: it is offered no more."""

    __tablename__ = "letter_template"
    name: str = Field(max_length=80)
    about: str = Field(default="", max_length=300)
    use: LetterUse = Field(sa_type=choice_type(LetterUse))
    subject: str = Field(default="", max_length=300)
    body: str = Field(default="", sa_type=Text)
    visibility: Visibility = Field(default=Visibility.SHARED, sa_type=choice_type(Visibility))
    owner_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL", index=True)
    archived_at: datetime | None = None
    used_count: int = 0
    used_at: datetime | None = None


class LetterTemplateVersion(Record, table=True):
    """One row per wording that a letter template had or has; never changed. The first one is written down with the first change, where the template
    is older than its versions. ``author_id``: who saved it; ``visibility``: who could read the template then; ``brought_back``: number of the version
    whose words these are again."""

    __tablename__ = "letter_template_version"
    __table_args__ = table_args(UniqueConstraint("template_id", "number", name="uq_letter_template_version"))
    template_id: int = Field(foreign_key="letter_template.id", ondelete="CASCADE")
    number: int
    use: LetterUse = Field(sa_type=choice_type(LetterUse))
    subject: str = Field(default="", max_length=300)
    body: str = Field(default="", sa_type=Text)
    visibility: Visibility = Field(default=Visibility.SHARED, sa_type=choice_type(Visibility))
    author_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL", index=True)
    brought_back: int | None = None


class TrackedLink(Base, table=True):
    """One row per web address that a campaign's messages lead to; only these are ever redirected to."""

    __tablename__ = "tracked_link"
    __table_args__ = table_args(UniqueConstraint("campaign_id", "url", name="uq_tracked_link"))
    id: int = Field(default=None, primary_key=True)
    campaign_id: int = Field(foreign_key="campaign.id", ondelete="CASCADE")
    url: str = Field(max_length=1000)


class SigningKey(Base, table=True):
    """One row per purpose for which links are signed; the key stays in the database, so that web and worker agree and backups keep links alive."""

    __tablename__ = "signing_key"
    purpose: str = Field(primary_key=True, max_length=40)
    key: str = Field(max_length=128)
