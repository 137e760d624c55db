"""Other programs: their keys, what they asked, what is told to them, and what shops tell us."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text, UniqueConstraint
from sqlmodel import Field

from crm_core.models.base import Base, Json, Record, choice_type, table_args
from crm_core.vocabulary import HookState, ShopKind, ShopState


class ApiKey(Record, table=True):
    """One row per key of a program. It acts as ``user_id``, within ``scopes`` (``sales:read``); only a hash of it is kept."""

    __tablename__ = "api_key"
    name: str = Field(max_length=80)
    prefix: str = Field(max_length=16)
    sha256: str = Field(max_length=64, unique=True)
    user_id: int = Field(foreign_key="app_user.id", ondelete="CASCADE", index=True)
    created_by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    scopes: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


class ApiCall(Base, table=True):
    """One row per request to the API: what was asked and how it ended, never what was sent or answered."""

    __tablename__ = "api_call"
    __table_args__ = table_args(Index("ix_api_call_at", "at"), Index("ix_api_call_key", "key_id", "id"))
    id: int = Field(default=None, primary_key=True)
    at: datetime
    key_id: int | None = Field(default=None, foreign_key="api_key.id", ondelete="CASCADE")
    method: str = Field(max_length=8)
    path: str = Field(max_length=200)
    status: int
    ms: int


class ApiReplay(Base, table=True):
    """One row per idempotency key of a program: the answer that a repeated request gets again. ``status`` is 0 while the first one runs."""

    __tablename__ = "api_replay"
    __table_args__ = table_args(UniqueConstraint("key_id", "key", name="uq_api_replay_key"), Index("ix_api_replay_at", "at"))
    id: int = Field(default=None, primary_key=True)
    key_id: int = Field(foreign_key="api_key.id", ondelete="CASCADE")
    key: str = Field(max_length=255)
    fingerprint: str = Field(max_length=64)
    at: datetime
    status: int = 0
    answer: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)


class Webhook(Record, table=True):
    """One row per address that is told of events. ``owner_id``: whose eyes decide what is told. ``failures``: tries in a row that went wrong."""

    __table_args__ = table_args(UniqueConstraint("name", name="uq_webhook_name"))
    name: str = Field(max_length=80)
    url: str = Field(max_length=1000)
    events: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    filter: dict[str, Any] | None = Field(default=None, sa_type=Json)
    secret: str = Field(max_length=100)
    owner_id: int = Field(foreign_key="app_user.id", ondelete="CASCADE", index=True)
    is_active: bool = True
    off_reason: str = Field(default="", max_length=300)
    since_at: datetime
    failures: int = 0
    delivered_at: datetime | None = None


class WebhookDelivery(Record, table=True):
    """One row per message to a webhook. The same ``dedupe_key`` is the same message; ``payload`` is what was sent, the same at every try."""

    __tablename__ = "webhook_delivery"
    __table_args__ = table_args(
        UniqueConstraint("dedupe_key", name="uq_webhook_delivery_dedupe"),
        Index("ix_webhook_delivery_due", "state", "next_at"),
        Index("ix_webhook_delivery_webhook", "webhook_id", "id"),
        Index("ix_webhook_delivery_event", "event_id", "webhook_id"),
    )
    webhook_id: int = Field(foreign_key="webhook.id", ondelete="CASCADE")
    dedupe_key: str = Field(max_length=200)
    type: str = Field(max_length=60)
    entity: str = Field(default="", max_length=40)
    record_id: int = 0
    event_id: int | None = None
    data: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    payload: str = Field(default="", sa_type=Text)
    state: HookState = Field(default=HookState.WAITING, sa_type=choice_type(HookState))
    attempts: int = 0
    next_at: datetime
    claim: str | None = Field(default=None, max_length=220)
    claimed_at: datetime | None = None
    status: int | None = None
    ms: int | None = None
    answer: str = Field(default="", max_length=500)
    message: str = Field(default="", max_length=500)
    delivered_at: datetime | None = None


class Shop(Record, table=True):
    """One row per shop that sends its orders to us. ``token`` is the end of its address, ``secret`` signs what it sends, ``owner_id`` is who acts."""

    __table_args__ = table_args(UniqueConstraint("name", name="uq_shop_name"), UniqueConstraint("token", name="uq_shop_token"))
    name: str = Field(max_length=80)
    kind: ShopKind = Field(sa_type=choice_type(ShopKind))
    token: str = Field(max_length=64)
    secret: str = Field(max_length=200)
    owner_id: int = Field(foreign_key="app_user.id", ondelete="CASCADE", index=True)
    campaign_id: int | None = Field(default=None, foreign_key="campaign.id", ondelete="SET NULL")
    create_products: bool = True
    cart_minutes: int = 60
    is_active: bool = True


class ShopDelivery(Record, table=True):
    """One row per message of a shop. ``payload`` is kept while it waits or needs a look, and forgotten once it was taken in."""

    __tablename__ = "shop_delivery"
    __table_args__ = table_args(
        UniqueConstraint("shop_id", "delivery_key", name="uq_shop_delivery_key"),
        Index("ix_shop_delivery_state", "shop_id", "state", "id"),
    )
    shop_id: int = Field(foreign_key="shop.id", ondelete="CASCADE")
    delivery_key: str = Field(max_length=100)
    topic: str = Field(max_length=60)
    external_id: str = Field(default="", max_length=80)
    payload: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    state: ShopState = Field(default=ShopState.WAITING, sa_type=choice_type(ShopState))
    message: str = Field(default="", max_length=500)
    order_id: int | None = Field(default=None, foreign_key="sales_order.id", ondelete="SET NULL", index=True)
    done_at: datetime | None = None


class ShopLink(Record, table=True):
    """One row per thing of a shop that is known here: ``kind`` is order, product or cart; ``changed_at`` is the shop's own time of its last change."""

    __tablename__ = "shop_link"
    __table_args__ = table_args(
        UniqueConstraint("shop_id", "kind", "external_id", name="uq_shop_link"), Index("ix_shop_link_record", "kind", "record_id")
    )
    shop_id: int = Field(foreign_key="shop.id", ondelete="CASCADE")
    kind: str = Field(max_length=16)
    external_id: str = Field(max_length=80)
    record_id: int | None = None
    title: str = Field(default="", max_length=300)
    changed_at: datetime | None = None
    facts: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
