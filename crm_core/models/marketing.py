"""Campaigns, who is in them, and what touched whom."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field

from crm_core.models.base import Customisable, Json, Record, choice_type, field, table_args
from crm_core.vocabulary import CampaignStatus, Channel, FieldKind, MemberStatus, Outlet, RecipientStep


class Campaign(Customisable, table=True):
    """One row per campaign."""

    __table_args__ = table_args(Index("ix_campaign_list", "deleted_at", "name"))
    name: str = field("Name", required=True)
    status: CampaignStatus = field("Status", enum=CampaignStatus, default=CampaignStatus.DRAFT)
    goal: str | None = field("Goal")
    starts_on: date | None = field("Starts", FieldKind.DATE)
    ends_on: date | None = field("Ends", FieldKind.DATE)
    budget_minor: int | None = field("Budget", FieldKind.MONEY, low=0)
    expected_response_pct: float | None = field("Expected response", FieldKind.PERCENT, low=0, high=100)
    expected_revenue_minor: int | None = field("Expected revenue", FieldKind.MONEY, low=0)
    owner_id: int | None = field("Owner", to="user")
    description: str | None = field("Description", FieldKind.LONG_TEXT)


class CampaignChannel(Record, table=True):
    """One row per channel that a campaign uses, with planned and actual cost. ``outlet``: the campaign goes out by it, beside others; to people of its own
    where ``segment_ids`` is not empty, else to those of the plan; ``funnel``: as it was at the launch."""

    __tablename__ = "campaign_channel"
    __table_args__ = table_args(CheckConstraint("planned_cost_minor >= 0 and actual_cost_minor >= 0", name="cost"))
    campaign_id: int = Field(foreign_key="campaign.id", ondelete="CASCADE", index=True)
    channel: Channel = Field(sa_type=choice_type(Channel))
    planned_cost_minor: int = field("Planned cost", FieldKind.MONEY, default=0, low=0)
    actual_cost_minor: int = field("Actual cost", FieldKind.MONEY, default=0, low=0)
    starts_on: date | None = None
    ends_on: date | None = None
    outlet: Outlet | None = Field(default=None, sa_type=choice_type(Outlet), nullable=True)
    segment_ids: list[int] | None = Field(default=None, sa_type=Json, nullable=True)
    exclude_ids: list[int] | None = Field(default=None, sa_type=Json, nullable=True)
    funnel: list[Any] | None = Field(default=None, sa_type=Json, nullable=True)


class CampaignMember(Record, table=True):
    """One row per person (contact or lead) in a campaign. ``step`` is empty until a launch has frozen them; ``due_at`` is the earliest
    instant at which they may be contacted. ``inside``: in which of the segments that the letter's parts ask for they were at the launch; ``ways``: by which
    ways they are reached, or would be had chance not held them out (``,email,call_list,``), empty in a campaign with a single one."""

    __tablename__ = "campaign_member"
    __table_args__ = table_args(
        UniqueConstraint("campaign_id", "contact_id", name="uq_campaign_member_contact"),
        UniqueConstraint("campaign_id", "lead_id", name="uq_campaign_member_lead"),
        CheckConstraint("(contact_id is null) <> (lead_id is null)", name="one_person"),
        Index("ix_campaign_member_step", "campaign_id", "step", "due_at"),
        Index("ix_campaign_member_list", "campaign_id", "id"),
    )
    campaign_id: int = Field(foreign_key="campaign.id", ondelete="CASCADE")
    contact_id: int | None = Field(default=None, foreign_key="contact.id", ondelete="CASCADE", index=True)
    lead_id: int | None = Field(default=None, foreign_key="lead.id", ondelete="CASCADE", index=True)
    status: MemberStatus = Field(default=MemberStatus.PLANNED, sa_type=choice_type(MemberStatus), index=True)
    is_control: bool = False
    responded_at: datetime | None = None
    step: RecipientStep | None = Field(default=None, sa_type=choice_type(RecipientStep), nullable=True)
    variant: str | None = Field(default=None, max_length=1)
    address: str | None = Field(default=None, max_length=254)
    skip_reason: str | None = Field(default=None, max_length=40)
    inside: str | None = Field(default=None, max_length=200)
    ways: str | None = Field(default=None, max_length=80)
    due_at: datetime | None = None
    mail_id: int | None = Field(default=None, index=True)  # no foreign key: SQLite can't add one without rebuilding the table
    opened_at: datetime | None = None
    clicked_at: datetime | None = None
    unsubscribed_at: datetime | None = None
    replied_at: datetime | None = None


class Touchpoint(Record, table=True):
    """One row per contact of a person with one of our channels."""

    __table_args__ = table_args(
        Index("ix_touchpoint_contact", "contact_id", "at"),
        Index("ix_touchpoint_at", "at"),
        Index("ix_touchpoint_campaign", "campaign_id", "at"),
    )
    contact_id: int | None = Field(default=None, foreign_key="contact.id", ondelete="CASCADE")
    lead_id: int | None = Field(default=None, foreign_key="lead.id", ondelete="CASCADE", index=True)
    anonymous_id: str | None = Field(default=None, max_length=64, index=True)
    channel: Channel = Field(sa_type=choice_type(Channel))
    campaign_id: int | None = Field(default=None, foreign_key="campaign.id", ondelete="SET NULL")
    at: datetime
    kind: str = Field(default="visit", max_length=40)
    cost_minor: int = 0
    url: str | None = Field(default=None, max_length=1000)
