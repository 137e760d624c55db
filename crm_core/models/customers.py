"""Companies and people."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from crm_core.models.base import Customisable, Json, Record, choice_type, field, sort_column, table_args
from crm_core.vocabulary import (
    AccountKind,
    FieldKind,
    HandoverCheck,
    HandoverEdge,
    HandoverState,
    PointKind,
    PreferredChannel,
)


class Account(Customisable, table=True):
    """One row per company (or household) that buys or may buy."""

    __table_args__ = table_args(
        Index("ix_account_list", "deleted_at", "name_sort"),
        Index("ix_account_owner", "owner_id", "deleted_at", "name_sort"),
        Index("ix_account_name", "name_sort"),
        Index("ix_account_changed", "updated_at", "id"),
    )

    name: str = field("Name", required=True, sorted_by="name_sort")
    name_sort: str = sort_column("name")
    kind: AccountKind = field("Type", enum=AccountKind, default=AccountKind.PROSPECT, index=True)
    industry: str | None = field("Industry", FieldKind.PICK)
    website: str | None = field("Website", FieldKind.URL)
    domain: str | None = Field(default=None, max_length=253, index=True)
    email: str | None = field("E-mail", FieldKind.EMAIL)
    phone: str | None = field("Phone", FieldKind.PHONE)
    employees: int | None = field("Employees", FieldKind.INTEGER, low=0)
    revenue_minor: int | None = field("Annual revenue", FieldKind.MONEY, low=0)
    founded_year: int | None = field("Founded", FieldKind.INTEGER, low=1000, high=2200)
    street: str | None = field("Street")
    postcode: str | None = field("Postcode", max_length=20)
    city: str | None = field("City", max_length=120)
    country: str | None = field("Country", max_length=120)
    parent_id: int | None = field("Parent account", to="account")
    owner_id: int | None = field("Owner", to="user")
    customer_since: date | None = field("Customer since", FieldKind.DATE)
    renews_on: date | None = field("Contract renews", FieldKind.DATE, help="The day on which it can end or goes on")
    customer_until: date | None = field(
        "Customer until", FieldKind.DATE, help="The day on which the contract ended, or will end. Empty while it runs"
    )
    handover_state: HandoverState | None = field("Hand-over", enum=HandoverState, default=None, editable=False, index=True)
    handover_at: datetime | None = field("Hand-over since", FieldKind.DATETIME, editable=False)
    description: str | None = field("Description", FieldKind.LONG_TEXT)


class Contact(Customisable, table=True):
    """One row per person. Main e-mail and phone stand here for lists; all of them are contact points."""

    __table_args__ = table_args(
        Index("ix_contact_list", "deleted_at", "name_sort"),
        Index("ix_contact_owner", "owner_id", "deleted_at", "name_sort"),
        Index("ix_contact_name", "name_sort"),
        Index("ix_contact_changed", "updated_at", "id"),
    )

    name: str = field("Name", required=True, sorted_by="name_sort", pii=True)
    name_sort: str = sort_column("name")
    salutation: str | None = field("Salutation", max_length=40)
    job_title: str | None = field("Job title")
    account_id: int | None = field("Account", to="account")
    email: str | None = field("E-mail", FieldKind.EMAIL, pii=True, index=True)
    phone: str | None = field("Phone", FieldKind.PHONE, pii=True)
    birthday: date | None = field("Birthday", FieldKind.DATE, pii=True)
    city: str | None = field("City", max_length=120)
    country: str | None = field("Country", max_length=120)
    source: str | None = field("Source", FieldKind.PICK)
    owner_id: int | None = field("Owner", to="user")
    preferred_channel: PreferredChannel = field("Preferred channel", enum=PreferredChannel, default=PreferredChannel.ANY)
    preferred_hours: str | None = field(
        "Best time", max_length=40, help="Local time of the person, such as 09:00-12:00 or Mon-Thu 9-12"
    )
    timezone: str | None = field(
        "Time zone", max_length=64, help="Such as Europe/Berlin. Left empty, the area of the phone number decides."
    )
    language: str | None = field("Language", max_length=40)
    goals: str | None = field("Goals", FieldKind.LONG_TEXT)
    do_not: str | None = field("Please do not", FieldKind.LONG_TEXT, help="What this person asked us not to do")
    do_not_call: bool = field("Do not call", FieldKind.BOOLEAN, default=False)
    do_not_email: bool = field("Do not e-mail", FieldKind.BOOLEAN, default=False)
    description: str | None = field("Description", FieldKind.LONG_TEXT)


class Point(Record):
    """What one e-mail address or phone number holds, whoever it belongs to."""

    kind: PointKind = Field(sa_type=choice_type(PointKind))
    value: str = Field(max_length=254)
    value_key: str = Field(max_length=254)
    label: str | None = Field(default=None, max_length=40)
    is_primary: bool = False
    opted_out: bool = False
    invalid: bool = False
    verified_at: datetime | None = None


def _points_of(owner: str) -> Any:
    """The rules of a table of points: no value twice, found by its key, and one of each kind comes first."""
    return table_args(
        UniqueConstraint(f"{owner}_id", "kind", "value_key", name=f"uq_{owner}_point_value"),
        Index(f"ix_{owner}_point_lookup", "kind", "value_key"),
        Index(
            f"uq_{owner}_point_primary",
            f"{owner}_id",
            "kind",
            unique=True,
            sqlite_where=text("is_primary = 1"),
            postgresql_where=text("is_primary"),
        ),
    )


class ContactPoint(Point, table=True):
    """One row per e-mail address or phone number of a person."""

    __tablename__ = "contact_point"
    __table_args__ = _points_of("contact")
    contact_id: int = Field(foreign_key="contact.id", ondelete="CASCADE")


class AccountPoint(Point, table=True):
    """One row per e-mail address or phone number of a company."""

    __tablename__ = "account_point"
    __table_args__ = _points_of("account")
    account_id: int = Field(foreign_key="account.id", ondelete="CASCADE")


class MatchKey(Record, table=True):
    """One row per normalised key by which a lead, contact or account can be recognised: the blocking index of the duplicate check."""

    __tablename__ = "match_key"
    __table_args__ = table_args(Index("ix_match_key_lookup", "kind", "key"), Index("ix_match_key_record", "entity", "record_id"))
    entity: str = Field(max_length=20)
    record_id: int
    kind: str = Field(max_length=16)
    key: str = Field(max_length=254)


class Handover(Record, table=True):
    """One row per hand-over of an account to another person. Its state stands on the account too, for lists and figures."""

    __table_args__ = table_args(
        Index(
            "uq_handover_pending",
            "account_id",
            unique=True,
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
    )
    account_id: int = Field(foreign_key="account.id", ondelete="CASCADE", index=True)
    from_user_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL", index=True)
    to_user_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL", index=True)
    edge: HandoverEdge = Field(default=HandoverEdge.SALES_SERVICE, sa_type=choice_type(HandoverEdge))
    state: HandoverState = Field(default=HandoverState.PENDING, sa_type=choice_type(HandoverState))
    note: str = Field(default="", max_length=4000)
    reason: str = Field(default="", max_length=1000)
    decided_at: datetime | None = None


class HandoverChecklist(Record, table=True):
    """One row per edge whose checklist an administrator wrote; edges without one start with the usual items."""

    __tablename__ = "handover_checklist"
    __table_args__ = table_args(UniqueConstraint("edge"))
    edge: HandoverEdge = Field(sa_type=choice_type(HandoverEdge))
    items: list[dict[str, Any]] = Field(default_factory=list, sa_type=Json, nullable=False)


class HandoverItem(Record, table=True):
    """One row per item of the checklist that comes with a hand-over."""

    __tablename__ = "handover_item"
    __table_args__ = table_args(Index("ix_handover_item_handover", "handover_id", "position"))
    handover_id: int = Field(foreign_key="handover.id", ondelete="CASCADE")
    position: int = 0
    label: str = Field(max_length=200)
    looks_at: HandoverCheck = Field(default=HandoverCheck.MANUAL, sa_type=choice_type(HandoverCheck))
    required: bool = False
    done: bool = False
    done_by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    done_at: datetime | None = None
