"""From lead to order: leads, pipelines, deals, products, orders."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, Numeric, UniqueConstraint, text
from sqlmodel import Field

from crm_core.models.base import Customisable, Json, Record, choice_type, described, field, sort_column, table_args
from crm_core.vocabulary import (
    Billing,
    CommitteeRole,
    FieldKind,
    ForecastCategory,
    GateStrictness,
    LeadKind,
    OrderStatus,
    StageKind,
    Stance,
)

Quantity = Numeric(14, 3)
Percent = Numeric(6, 3)


class LeadStatus(Record, table=True):
    """One row per lead status; code tests its kind, never its label."""

    __tablename__ = "lead_status"
    label: str = field("Name", required=True, unique=True, max_length=80)
    kind: LeadKind = field("Means", enum=LeadKind, default=LeadKind.OPEN)
    position: int = 0


class Lead(Customisable, table=True):
    """One row per person or company that showed interest and is not yet known to be worth a deal."""

    __table_args__ = table_args(
        Index("ix_lead_list", "deleted_at", "created_at", "id", "owner_id", "converted_at"),
        Index("ix_lead_owner", "owner_id", "deleted_at", "created_at", "status_id", "estimated_minor"),
        Index("ix_lead_created", "created_at"),
        Index("ix_lead_changed", "updated_at", "id"),
        Index("ix_lead_name", "name_sort"),
        Index("ix_lead_points", "deleted_at", "points", "id"),
        Index("ix_lead_status", "status_id", "deleted_at", "created_at", "estimated_minor"),
    )
    name: str = field("Name", required=True, sorted_by="name_sort", pii=True)
    name_sort: str = sort_column("name")
    company: str | None = field("Company")
    job_title: str | None = field("Job title")
    email: str | None = field("E-mail", FieldKind.EMAIL, pii=True, index=True)
    phone: str | None = field("Phone", FieldKind.PHONE, pii=True)
    phone_invalid: bool = field(
        "Wrong number",
        FieldKind.BOOLEAN,
        default=False,
        help="Somebody else answered: the number is called no more. Another number is a new try",
    )
    website: str | None = field("Website", FieldKind.URL)
    city: str | None = field("City", max_length=120)
    country: str | None = field("Country", max_length=120)
    status_id: int = field("Status", to="lead_status", required=True)
    source: str | None = field("Source", FieldKind.PICK)
    campaign_id: int | None = field("Campaign", to="campaign")
    owner_id: int | None = field("Owner", to="user")
    estimated_minor: int | None = field("Estimated value", FieldKind.MONEY, low=0)
    score: int | None = field("Score", FieldKind.INTEGER, editable=False)
    points: int | None = field(
        "Points", FieldKind.INTEGER, editable=False, help="By the rules under Lead points; the score beside it is learned"
    )
    grade: str | None = field("Grade", max_length=2, editable=False, help="A to D for fit, 1 to 4 for behaviour")
    disqualified_reason: str | None = field("Reason", FieldKind.PICK)
    description: str | None = field("Description", FieldKind.LONG_TEXT)
    first_response_at: datetime | None = field("First response", FieldKind.DATETIME, editable=False)
    converted_at: datetime | None = field("Converted", FieldKind.DATETIME, editable=False, index=True)
    converted_account_id: int | None = field("Converted to account", to="account", editable=False)
    converted_contact_id: int | None = field("Converted to contact", to="contact", editable=False)
    converted_deal_id: int | None = field("Converted to deal", to="deal", editable=False)


class Pipeline(Record, table=True):
    """One row per way of selling, with its own stages."""

    name: str = field("Name", required=True, unique=True)
    position: int = 0
    is_default: bool = False
    is_active: bool = True


class Stage(Record, table=True):
    """One row per stage of a pipeline; ``kind`` is what it means to reports, ``gate`` the filter that a deal must match to come in."""

    __table_args__ = table_args(UniqueConstraint("pipeline_id", "name", name="uq_stage_name"))
    pipeline_id: int = field("Pipeline", to="pipeline", required=True)
    name: str = field("Name", required=True, max_length=80)
    kind: StageKind = field("Means", enum=StageKind, default=StageKind.OPEN)
    position: int = 0
    probability_pct: int = field("Probability", FieldKind.PERCENT, default=10, low=0, high=100)
    max_idle_days: int | None = field("Idle after (days)", FieldKind.INTEGER, low=1, high=3650)
    forecast_category: ForecastCategory = field("Forecast category", enum=ForecastCategory, default=ForecastCategory.PIPELINE)
    gate: dict[str, Any] | None = Field(default=None, sa_type=Json)
    gate_message: str | None = Field(default=None, max_length=300)
    gate_strictness: GateStrictness = Field(default=GateStrictness.REFUSE, sa_type=choice_type(GateStrictness))


class Deal(Customisable, table=True):
    """One row per chance to sell. Closed ones keep the day, the outcome and the reason."""

    __table_args__ = table_args(
        CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
        CheckConstraint("probability_pct >= 0 and probability_pct <= 100", name="probability_range"),
        Index("ix_deal_list", "deleted_at", "expected_close_on", "id", "owner_id", "outcome"),
        Index("ix_deal_board", "stage_id", "deleted_at", "expected_close_on"),
        Index("ix_deal_product", "product_id", "deleted_at", "expected_close_on", "id", "amount_minor"),
        Index("ix_deal_campaign", "campaign_id", "deleted_at", "outcome", "amount_minor"),
        Index("ix_deal_owner", "owner_id", "deleted_at", "expected_close_on"),
        Index("ix_deal_closed", "closed_on", "deleted_at", "outcome", "stage_id", "owner_id", "amount_minor"),
        Index("ix_deal_open", "outcome", "deleted_at", "expected_close_on", "id", "owner_id"),
        Index("ix_deal_probability", "deleted_at", "probability_pct", "id"),
        Index("ix_deal_outcome", "outcome", "deleted_at", "stage_id", "owner_id", "amount_minor", "probability_pct"),
        Index("ix_deal_created", "deleted_at", "created_on", "closed_on", "outcome", "owner_id", "pipeline_id", "amount_minor"),
        Index(
            "ix_deal_figures",
            *(
                "deleted_at",
                "outcome",
                "closed_on",
                "created_on",
                "owner_id",
                "pipeline_id",
                "product_id",
                "source",
                "amount_minor",
                "account_id",
            ),
        ),
        Index("ix_deal_account", "account_id", "deleted_at", "outcome", "closed_on"),
        Index(
            "ix_deal_owner_figures",
            *(
                "owner_id",
                "deleted_at",
                "outcome",
                "closed_on",
                "created_on",
                "pipeline_id",
                "product_id",
                "source",
                "stage_id",
                "probability_pct",
                "amount_minor",
            ),
        ),
        Index(
            "ix_deal_waiting",
            *(
                "owner_id",
                "deleted_at",
                "outcome",
                "stage_id",
                "pipeline_id",
                "stage_since",
                "last_contact_at",
                "next_step_on",
                "next_step",
                "expected_close_on",
                "created_on",
                "account_id",
                "probability_pct",
                "amount_minor",
            ),
            sqlite_where=text("outcome = 'open'"),
            postgresql_where=text("outcome = 'open'"),
        ),
        Index("ix_deal_mine", "owner_id", "outcome", "deleted_at", "expected_close_on", "id"),
        Index("ix_deal_amount", "deleted_at", "amount_minor", "id", "owner_id", "outcome"),
        Index("ix_deal_changed", "updated_at", "id"),
        Index("ix_deal_name", "deleted_at", "name_sort", "id"),
    )
    name: str = field("Deal", required=True, sorted_by="name_sort")
    name_sort: str = sort_column("name")
    account_id: int | None = field("Account", to="account")
    contact_id: int | None = field("Main contact", to="contact")
    pipeline_id: int = field("Pipeline", to="pipeline", required=True)
    stage_id: int = field("Stage", to="stage", required=True)
    outcome: StageKind = field("State", enum=StageKind, default=StageKind.OPEN, editable=False)
    owner_id: int | None = field("Owner", to="user")
    amount_minor: int = field("Amount", FieldKind.MONEY, default=0, low=0)
    amount_locked: bool = field(
        "Amount set by hand", FieldKind.BOOLEAN, default=False, help="Otherwise the amount is the sum of the lines"
    )
    mrr_minor: int = field(
        "Monthly recurring",
        FieldKind.MONEY,
        default=0,
        editable=False,
        help="What the lines that are charged every month or year come to in a month",
    )
    arr_minor: int = field(
        "Yearly recurring",
        FieldKind.MONEY,
        default=0,
        editable=False,
        help="What the lines that are charged every month or year come to in a year",
    )
    currency: str = Field(default="USD", max_length=3)
    probability_pct: int = field(
        "Win probability",
        FieldKind.PERCENT,
        default=0,
        low=0,
        high=100,
        help="Follows the stage until it is set by hand",
    )
    probability_own: bool = field("Probability set by hand", FieldKind.BOOLEAN, default=False, editable=False)
    forecast_category: ForecastCategory | None = field("Forecast category", enum=ForecastCategory)
    expected_close_on: date | None = field("Expected close", FieldKind.DATE)
    created_on: date = field("Opened on", FieldKind.DATE, required=True)
    closed_on: date | None = field("Closed on", FieldKind.DATE, editable=False)
    stage_since: datetime = field("In stage since", FieldKind.DATETIME, required=True, editable=False)
    last_activity_at: datetime | None = field("Last activity", FieldKind.DATETIME, editable=False)
    last_contact_at: datetime | None = field(
        "Last contact",
        FieldKind.DATETIME,
        editable=False,
        help="The last call, e-mail or meeting; not a note, not an attempt that reached nobody. A planned meeting counts already",
    )
    next_step: str | None = field("Next step")
    next_step_on: date | None = field("Next step due", FieldKind.DATE)
    source: str | None = field("Source", FieldKind.PICK)
    campaign_id: int | None = field("Campaign", to="campaign")
    product_id: int | None = field("Main product", to="product")
    lost_reason: str | None = field("Lost reason", FieldKind.PICK)
    competitor: str | None = field("Competitor", FieldKind.PICK)
    won_reason: str | None = field("Won reason", FieldKind.PICK)
    description: str | None = field("Description", FieldKind.LONG_TEXT)


class DealLine(Record, table=True):
    """One row per product on a deal, with name, price and tax rate as they were when added. The total is net, of all periods."""

    __tablename__ = "deal_line"
    __table_args__ = table_args(
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("unit_price_minor >= 0", name="price"),
    )
    deal_id: int = Field(foreign_key="deal.id", ondelete="CASCADE", index=True)
    product_id: int | None = Field(default=None, foreign_key="product.id", ondelete="SET NULL", index=True)
    name: str = Field(max_length=300)
    quantity: Decimal = Field(default=Decimal(1), sa_type=Quantity)
    unit_price_minor: int = field("Unit price", FieldKind.MONEY, default=0, low=0)
    discount_pct: Decimal = Field(default=Decimal(0), sa_type=Percent)
    billing: Billing = Field(default=Billing.ONE_TIME, sa_type=choice_type(Billing))
    periods: int = Field(default=1)
    tax_rate_pct: Decimal = Field(default=Decimal(0), sa_type=Percent)
    total_minor: int = field("Total", FieldKind.MONEY, default=0)
    tax_minor: int = field("Tax", FieldKind.MONEY, default=0)
    position: int = 0


class DealContact(Record, table=True):
    """One row per person in the buying committee of a deal."""

    __tablename__ = "deal_contact"
    __table_args__ = table_args(UniqueConstraint("deal_id", "contact_id", name="uq_deal_contact"))
    deal_id: int = Field(foreign_key="deal.id", ondelete="CASCADE")
    contact_id: int = Field(foreign_key="contact.id", ondelete="CASCADE", index=True)
    role: CommitteeRole = Field(default=CommitteeRole.USER, sa_type=choice_type(CommitteeRole))
    influence: int = Field(default=3)
    stance: Stance = Field(default=Stance.NEUTRAL, sa_type=choice_type(Stance))


class StageEvent(Record, table=True):
    """One row per move of a deal from a stage to another: append-only, the only source of velocity and funnels."""

    __tablename__ = "stage_event"
    __table_args__ = table_args(
        Index("ix_stage_event_deal", "deal_id", "at"),
        Index("ix_stage_event_at", "at"),
        Index("ix_stage_event_flow", "from_stage_id", "to_stage_id", "at", "seconds_in_from", "deal_id"),
    )
    deal_id: int = Field(foreign_key="deal.id", ondelete="CASCADE")
    from_stage_id: int | None = Field(default=None, foreign_key="stage.id", ondelete="SET NULL")
    to_stage_id: int | None = Field(default=None, foreign_key="stage.id", ondelete="SET NULL", index=True)
    at: datetime
    by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    seconds_in_from: int | None = None


class ProductCategory(Record, table=True):
    """One row per category of products. One that is not in use is no longer offered in forms."""

    __tablename__ = "product_category"
    name: str = field("Name", required=True, unique=True)
    is_active: bool = True


class Product(Customisable, table=True):
    """One row per thing or service that is sold."""

    __table_args__ = table_args(
        CheckConstraint("price_minor >= 0", name="price_not_negative"),
        Index("ix_product_list", "deleted_at", "name_sort"),
        Index("ix_product_name", "name_sort"),
    )
    name: str = field("Name", required=True, sorted_by="name_sort")
    name_sort: str = sort_column("name")
    sku: str | None = field("Article number", max_length=80, index=True)
    category_id: int | None = field("Category", to="product_category")
    price_minor: int = field("List price", FieldKind.MONEY, default=0, low=0)
    cost_minor: int | None = field("Cost", FieldKind.MONEY, low=0)
    stock: int | None = field("In stock", FieldKind.INTEGER, low=0, help="Left empty, it is not known")
    billing: Billing = field("Charged", enum=Billing, default=Billing.ONE_TIME, help="New lines of deals and orders begin with it")
    tax_rate_pct: float | None = field(
        "Tax rate", FieldKind.PERCENT, low=0, high=100, help="Left empty, the rate of the workspace holds"
    )
    is_active: bool = field("Offered", FieldKind.BOOLEAN, default=True)
    description: str | None = field("Description", FieldKind.LONG_TEXT)


class Order(Customisable, table=True):
    """One row per order, with its total in minor units."""

    __tablename__ = "sales_order"
    __table_args__ = table_args(
        Index("ix_sales_order_list", "deleted_at", "ordered_at", "id"),
        Index(
            "ix_sales_order_sum",
            "deleted_at",
            "owner_id",
            "status",
            "source",
            "total_minor",
            info={"groups": ("owner_id", "status", "source")},
        ),
        Index("ix_sales_order_account", "account_id", "ordered_at", "deleted_at", "status", "total_minor", info={"whole": True}),
        Index("ix_sales_order_contact", "contact_id", "ordered_at"),
        Index("ix_sales_order_at", "ordered_at", "status"),
        Index("ix_sales_order_changed", "updated_at", "id"),
        Index("ix_sales_order_owner", "owner_id", "deleted_at", "ordered_at"),
    )
    number: str = field("Number", required=True, max_length=40, unique=True)
    account_id: int | None = field("Account", to="account")
    contact_id: int | None = field("Contact", to="contact")
    deal_id: int | None = field("Deal", to="deal")
    owner_id: int | None = field("Owner", to="user")
    status: OrderStatus = field("Status", enum=OrderStatus, default=OrderStatus.PLACED)
    ordered_at: datetime = field("Ordered", FieldKind.DATETIME, required=True)
    currency: str = Field(default="USD", max_length=3)
    total_minor: int = field("Total", FieldKind.MONEY, default=0)
    tax_minor: int = field("Tax", FieldKind.MONEY, default=0, editable=False, help="On top of the total, by the rates of the lines")
    source: str | None = field("Source", FieldKind.PICK)
    campaign_id: int | None = field("Campaign", to="campaign")
    description: str | None = field("Description", FieldKind.LONG_TEXT)


class OrderLine(Record, table=True):
    """One row per product on an order. The total is net, of all periods, after ``promotion_minor``: what promotions take off it."""

    __tablename__ = "order_line"
    __table_args__ = table_args(
        Index("ix_order_line_order", "order_id"),
        Index("ix_order_line_product", "product_id", "order_id", "quantity", "total_minor"),
    )
    order_id: int = Field(foreign_key="sales_order.id", ondelete="CASCADE", sa_column_kwargs=described("Order", to="order"))
    product_id: int | None = Field(
        default=None, foreign_key="product.id", ondelete="SET NULL", sa_column_kwargs=described("Product", to="product")
    )
    name: str = Field(max_length=300)
    quantity: Decimal = Field(default=Decimal(1), sa_type=Quantity, sa_column_kwargs=described("Quantity", FieldKind.DECIMAL))
    unit_price_minor: int = field("Unit price", FieldKind.MONEY, default=0, low=0)
    discount_pct: Decimal = Field(default=Decimal(0), sa_type=Percent)
    billing: Billing = Field(default=Billing.ONE_TIME, sa_type=choice_type(Billing))
    periods: int = Field(default=1)
    tax_rate_pct: Decimal = Field(default=Decimal(0), sa_type=Percent)
    total_minor: int = field("Total", FieldKind.MONEY, default=0)
    tax_minor: int = field("Tax", FieldKind.MONEY, default=0)
    promotion_minor: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
