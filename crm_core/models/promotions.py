"""Promotions: what a code takes off an order, the codes that were given out, and every use of one."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from crm_core.models.base import Customisable, Json, Record, choice_type, field, table_args
from crm_core.vocabulary import CodeKind, EndReason, FieldKind, PromotionEffect, PromotionState, ReleaseReason, Via


class Promotion(Customisable, table=True):
    """One row per promotion. ``code``: in capitals, the one that everybody types, or what single codes begin with; ``rule`` and ``rule_of``: the filter
    over contacts or accounts that says who may use it; ``spent_minor`` and ``redeemed_count`` follow the redemptions, under a lock on this row."""

    __table_args__ = table_args(
        Index("ix_promotion_list", "deleted_at", "name", "id"),
        Index("ix_promotion_due", "state", "ends_on"),
        Index(
            "uq_promotion_shared_code",
            "code",
            unique=True,
            sqlite_where=text("code_kind = 'shared'"),
            postgresql_where=text("code_kind = 'shared'"),
        ),
        CheckConstraint("spent_minor >= 0 and redeemed_count >= 0", name="never_below_zero"),
    )
    name: str = field("Name", required=True, max_length=120)
    state: PromotionState = field("State", enum=PromotionState, default=PromotionState.DRAFT)
    effect: PromotionEffect = field("Effect", enum=PromotionEffect, default=PromotionEffect.PERCENT)
    percent_off: float | None = field(
        "Percent off", FieldKind.PERCENT, low=0, high=100, only_with=("effect", PromotionEffect.PERCENT)
    )
    amount_off_minor: int | None = field("Amount off", FieldKind.MONEY, low=0, only_with=("effect", PromotionEffect.AMOUNT))
    min_order_minor: int | None = field(
        "Minimum order", FieldKind.MONEY, low=0, help="What the products must come to before the discount"
    )
    product_id: int | None = field("Only on product", to="product")
    category_id: int | None = field("Only on category", to="product_category")
    code_kind: CodeKind = field("Codes", enum=CodeKind, default=CodeKind.SHARED)
    code: str | None = field(
        "Code",
        max_length=24,
        help="What everybody types, such as SPRING26. Single codes begin with it. Capitals and small letters are the same",
    )
    starts_on: date | None = field("Valid from", FieldKind.DATE)
    ends_on: date | None = field("Valid until", FieldKind.DATE, help="This day included, in the workspace's time zone")
    budget_minor: int | None = field(
        "Budget", FieldKind.MONEY, low=0, help="The most discount it gives in all; then it ends by itself"
    )
    max_redemptions: int | None = field(
        "Redemptions at most", FieldKind.INTEGER, low=1, help="Orders in all; then it ends by itself"
    )
    per_customer: int | None = field("Orders per customer", FieldKind.INTEGER, low=1, help="Empty: as many as they like")
    segment_id: int | None = field("Only members of", to="segment", help="A segment of contacts or accounts")
    campaign_id: int | None = field(
        "Campaign", to="campaign", help="What its orders count for, where the code itself says no other"
    )
    owner_id: int | None = field("Owner", to="user", help="Is told when it ends")
    spent_minor: int = field("Discount given", FieldKind.MONEY, default=0, editable=False)
    redeemed_count: int = field("Redeemed", FieldKind.INTEGER, default=0, editable=False)
    description: str | None = field("Description", FieldKind.LONG_TEXT)
    rule_of: str = Field(default="contact", max_length=20)
    rule: dict[str, Any] | None = Field(default=None, sa_type=Json)
    ended_because: EndReason | None = Field(default=None, sa_type=choice_type(EndReason), nullable=True)


class PromotionCode(Record, table=True):
    """One row per single code that was given out: to a person (``contact_id``, ``lead_id``), or in a file (``given_for``). ``draw_key``: whose it is and
    the how-manieth of theirs, so that nobody draws twice."""

    __tablename__ = "promotion_code"
    __table_args__ = table_args(
        UniqueConstraint("code", name="uq_promotion_code_code"),
        UniqueConstraint("promotion_id", "draw_key", name="uq_promotion_code_draw"),
        Index("ix_promotion_code_list", "promotion_id", "id"),
    )
    promotion_id: int = Field(foreign_key="promotion.id", ondelete="CASCADE")
    code: str = Field(max_length=40)
    draw_key: str | None = Field(default=None, max_length=60)
    given_at: datetime
    given_for: str = Field(default="", max_length=120)
    campaign_id: int | None = Field(default=None, foreign_key="campaign.id", ondelete="SET NULL", index=True)
    contact_id: int | None = Field(default=None, foreign_key="contact.id", ondelete="SET NULL", index=True)
    lead_id: int | None = Field(default=None, foreign_key="lead.id", ondelete="SET NULL", index=True)


class Redemption(Record, table=True):
    """One row per use of a code on an order; ``released_at`` is empty while it counts. ``from_shop``: the shop has taken it off already, so the
    order's lines are after it; ``remark``: which rule it broke there."""

    __tablename__ = "promotion_redemption"
    __table_args__ = table_args(
        Index(
            "uq_promotion_redemption_order",
            "promotion_id",
            "order_id",
            unique=True,
            sqlite_where=text("released_at is null"),
            postgresql_where=text("released_at is null"),
        ),
        Index(
            "uq_promotion_redemption_code",
            "code_id",
            unique=True,
            sqlite_where=text("released_at is null and code_id is not null"),
            postgresql_where=text("released_at is null and code_id is not null"),
        ),
        Index("ix_promotion_redemption_at", "promotion_id", "at"),
        Index("ix_promotion_redemption_of", "order_id", "released_at"),
    )
    promotion_id: int = Field(foreign_key="promotion.id", ondelete="CASCADE")
    order_id: int = Field(foreign_key="sales_order.id", ondelete="CASCADE")
    code_id: int | None = Field(default=None, foreign_key="promotion_code.id", ondelete="SET NULL")
    code: str = Field(max_length=40)
    account_id: int | None = Field(default=None, foreign_key="account.id", ondelete="SET NULL", index=True)
    contact_id: int | None = Field(default=None, foreign_key="contact.id", ondelete="SET NULL", index=True)
    campaign_id: int | None = Field(default=None, foreign_key="campaign.id", ondelete="SET NULL", index=True)
    amount_minor: int = Field(default=0, sa_type=BigInteger)
    at: datetime
    by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    via: Via = Field(default=Via.SCREEN, sa_type=choice_type(Via))
    from_shop: bool = False
    remark: str = Field(default="", max_length=300)
    released_at: datetime | None = None
    released_because: ReleaseReason | None = Field(default=None, sa_type=choice_type(ReleaseReason), nullable=True)


__all__ = ["Promotion", "PromotionCode", "Redemption"]
