"""keys of programs, webhooks out, orders of shops in

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
KEYS = ("administrator", "manager", "sales_rep", "marketer", "support_agent", "analyst")


def _record() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("updated_at", INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    ]


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "api_key",
        *_record(),
        _text("name", 80),
        _text("prefix", 16),
        _text("sha256", 64),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("scopes", JSON, nullable=False),
        sa.Column("expires_at", INSTANT(), nullable=True),
        sa.Column("last_used_at", INSTANT(), nullable=True),
        sa.Column("revoked_at", INSTANT(), nullable=True),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["app_user.id"], name=op.f("fk_api_key_created_by_id_app_user"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_api_key_user_id_app_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("sha256", name=op.f("uq_api_key_sha256")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_api_key_user_id"), "api_key", ["user_id"], unique=False)
    op.create_table(
        "webhook",
        *_record(),
        _text("name", 80),
        _text("url", 1000),
        sa.Column("events", JSON, nullable=False),
        sa.Column("filter", JSON, nullable=True),
        _text("secret", 100),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        _text("off_reason", 300),
        sa.Column("since_at", INSTANT(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("delivered_at", INSTANT(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["app_user.id"], name=op.f("fk_webhook_owner_id_app_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
        sa.UniqueConstraint("name", name="uq_webhook_name"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_webhook_owner_id"), "webhook", ["owner_id"], unique=False)
    op.create_table(
        "api_call",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", INSTANT(), nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=True),
        _text("method", 8),
        _text("path", 200),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("ms", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_key.id"], name=op.f("fk_api_call_key_id_api_key"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_call")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_api_call_at", "api_call", ["at"], unique=False)
    op.create_index("ix_api_call_key", "api_call", ["key_id", "id"], unique=False)
    op.create_table(
        "api_replay",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=False),
        _text("key", 255),
        _text("fingerprint", 64),
        sa.Column("at", INSTANT(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", JSON, nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_key.id"], name=op.f("fk_api_replay_key_id_api_key"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_replay")),
        sa.UniqueConstraint("key_id", "key", name="uq_api_replay_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_api_replay_at", "api_replay", ["at"], unique=False)
    op.create_table(
        "shop",
        *_record(),
        _text("name", 80),
        sa.Column("kind", sa.Enum("shopify", "woocommerce", name="shopkind", native_enum=False, length=32), nullable=False),
        _text("token", 64),
        _text("secret", 200),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=True),
        sa.Column("create_products", sa.Boolean(), nullable=False),
        sa.Column("cart_minutes", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name=op.f("fk_shop_campaign_id_campaign"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["owner_id"], ["app_user.id"], name=op.f("fk_shop_owner_id_app_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop")),
        sa.UniqueConstraint("name", name="uq_shop_name"),
        sa.UniqueConstraint("token", name="uq_shop_token"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_shop_owner_id"), "shop", ["owner_id"], unique=False)
    op.create_table(
        "webhook_delivery",
        *_record(),
        sa.Column("webhook_id", sa.Integer(), nullable=False),
        _text("dedupe_key", 200),
        _text("type", 60),
        _text("entity", 40),
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Integer(), nullable=True),
        sa.Column("data", JSON, nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("waiting", "sending", "delivered", "failed", "skipped", name="hookstate", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", INSTANT(), nullable=False),
        _text("claim", 220, nullable=True),
        sa.Column("claimed_at", INSTANT(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("ms", sa.Integer(), nullable=True),
        _text("answer", 500),
        _text("message", 500),
        sa.Column("delivered_at", INSTANT(), nullable=True),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhook.id"], name=op.f("fk_webhook_delivery_webhook_id_webhook"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_delivery")),
        sa.UniqueConstraint("dedupe_key", name="uq_webhook_delivery_dedupe"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhook_delivery_due", "webhook_delivery", ["state", "next_at"], unique=False)
    op.create_index("ix_webhook_delivery_event", "webhook_delivery", ["event_id", "webhook_id"], unique=False)
    op.create_index("ix_webhook_delivery_webhook", "webhook_delivery", ["webhook_id", "id"], unique=False)
    op.create_table(
        "shop_link",
        *_record(),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        _text("kind", 16),
        _text("external_id", 80),
        sa.Column("record_id", sa.Integer(), nullable=True),
        _text("title", 300),
        sa.Column("changed_at", INSTANT(), nullable=True),
        sa.Column("facts", JSON, nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_shop_link_shop_id_shop"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop_link")),
        sa.UniqueConstraint("shop_id", "kind", "external_id", name="uq_shop_link"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_shop_link_record", "shop_link", ["kind", "record_id"], unique=False)
    op.create_table(
        "shop_delivery",
        *_record(),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        _text("delivery_key", 100),
        _text("topic", 60),
        _text("external_id", 80),
        sa.Column("payload", JSON, nullable=False),
        sa.Column(
            "state",
            sa.Enum("waiting", "done", "older", "ignored", "failed", name="shopstate", native_enum=False, length=32),
            nullable=False,
        ),
        _text("message", 500),
        sa.Column("order_id", sa.Integer(), nullable=True),
        sa.Column("done_at", INSTANT(), nullable=True),
        sa.ForeignKeyConstraint(
            ["order_id"], ["sales_order.id"], name=op.f("fk_shop_delivery_order_id_sales_order"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_shop_delivery_shop_id_shop"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop_delivery")),
        sa.UniqueConstraint("shop_id", "delivery_key", name="uq_shop_delivery_key"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_shop_delivery_order_id"), "shop_delivery", ["order_id"], unique=False)
    op.create_index("ix_shop_delivery_state", "shop_delivery", ["shop_id", "state", "id"], unique=False)
    for role in KEYS:
        _grant(role, "read")
    _grant("administrator", "manage")


def _grant(role: str, action: str) -> None:
    op.execute(
        sa.text(
            "insert into role_permission (role_id, entity, action, scope) "
            "select id, 'integration', :action, 'all' from role where key = :role and not exists (select 1 from role_permission p "
            "where p.role_id = role.id and p.entity = 'integration' and p.action = :action)"
        ).bindparams(role=role, action=action)
    )


def downgrade() -> None:
    op.execute("delete from role_permission where entity = 'integration'")
    for name in ("shop_delivery", "shop_link", "webhook_delivery", "shop", "api_replay", "api_call", "webhook", "api_key"):
        op.drop_table(name)
