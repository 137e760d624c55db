"""promotions, their codes and who used them; what promotions take off the lines of orders; what offers of automations cost

Revision ID: 0060
Revises: 0059
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
OPEN = "released_at is null"
_WRITE = (("read", "all"), ("create", "all"), ("edit", "all"), ("export", "all"))
GRANTS = (
    *(("administrator", action, scope) for action, scope in (*_WRITE, ("delete", "all"), ("import", "all"))),
    *(("marketer", action, scope) for action, scope in (*_WRITE, ("delete", "all"), ("import", "all"))),
    *(("manager", action, scope) for action, scope in (*_WRITE, ("delete", "subtree"))),
    *((role, "read", "all") for role in ("sales_rep", "support_agent", "analyst")),
    ("analyst", "export", "all"),
)


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=nullable)


def _int(*names: str, nullable: bool = True) -> list[sa.Column]:
    return [sa.Column(name, sa.Integer(), nullable=nullable) for name in names]


def _money(*names: str, nullable: bool = True) -> list[sa.Column]:
    return [sa.Column(name, sa.BigInteger(), nullable=nullable) for name in names]


def _at(*names: str, nullable: bool = True) -> list[sa.Column]:
    return [sa.Column(name, INSTANT(), nullable=nullable) for name in names]


def _choice(name: str, enum: str, *values: str, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Enum(*values, name=enum, native_enum=False, length=32), nullable=nullable)


def _to(table: str, column: str, target: str, ondelete: str = "SET NULL") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}_{target}"), ondelete=ondelete)


def _table(name: str, *items: sa.schema.SchemaItem) -> None:
    op.create_table(
        name,
        *_int("id", nullable=False),
        *_at("created_at", "updated_at", nullable=False),
        *_int("version", nullable=False),
        *items,
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        sqlite_autoincrement=True,
    )


def _filled(table: str, *columns: str) -> None:
    """Indexes over references that may be empty hold only rows with a value."""
    for column in columns:
        where = sa.text(f"{column} IS NOT NULL")
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column], sqlite_where=where, postgresql_where=where)


def _once(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, unique=True, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    _promotions()
    _codes()
    _redemptions()
    op.add_column("order_line", sa.Column("promotion_minor", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("automation_step", sa.Column("amount_minor", sa.BigInteger(), nullable=True))
    op.add_column("campaign_plan", sa.Column("promotion_id", sa.Integer(), nullable=True))
    for role, action, scope in GRANTS:
        op.execute(
            sa.text(
                "insert into role_permission (role_id, entity, action, scope) "
                "select id, 'promotion', :action, :scope from role where key = :role and not exists (select 1 from role_permission p "
                "where p.role_id = role.id and p.entity = 'promotion' and p.action = :action)"
            ).bindparams(role=role, action=action, scope=scope)
        )


def _promotions() -> None:
    _table(
        "promotion",
        *_at("deleted_at"),
        sa.Column("extra", JSON, nullable=False),
        _text("name", 120),
        _choice("state", "promotionstate", "draft", "running", "paused", "ended"),
        _choice("effect", "promotioneffect", "percent", "amount"),
        sa.Column("percent_off", sa.Float(), nullable=True),
        *_money("amount_off_minor", "min_order_minor"),
        *_int("product_id", "category_id"),
        _choice("code_kind", "codekind", "shared", "single"),
        _text("code", 24, nullable=True),
        *(sa.Column(name, sa.Date(), nullable=True) for name in ("starts_on", "ends_on")),
        *_money("budget_minor"),
        *_int("max_redemptions", "per_customer", "segment_id", "campaign_id", "owner_id"),
        *_money("spent_minor", nullable=False),
        *_int("redeemed_count", nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        _text("rule_of", 20),
        sa.Column("rule", JSON, nullable=True),
        _choice("ended_because", "endreason", "hand", "date", "budget", "count", nullable=True),
        sa.CheckConstraint("spent_minor >= 0 and redeemed_count >= 0", name=op.f("ck_promotion_never_below_zero")),
        _to("promotion", "product_id", "product"),
        _to("promotion", "category_id", "product_category"),
        _to("promotion", "segment_id", "segment"),
        _to("promotion", "campaign_id", "campaign"),
        _to("promotion", "owner_id", "app_user"),
    )
    op.create_index("ix_promotion_list", "promotion", ["deleted_at", "name", "id"])
    op.create_index("ix_promotion_due", "promotion", ["state", "ends_on"])
    op.create_index(op.f("ix_promotion_owner_id"), "promotion", ["owner_id"])
    _filled("promotion", "product_id", "category_id", "segment_id", "campaign_id")
    _once("uq_promotion_shared_code", "promotion", ["code"], "code_kind = 'shared'")


def _codes() -> None:
    _table(
        "promotion_code",
        *_int("promotion_id", nullable=False),
        _text("code", 40),
        _text("draw_key", 60, nullable=True),
        *_at("given_at", nullable=False),
        _text("given_for", 120),
        *_int("campaign_id", "contact_id", "lead_id"),
        sa.UniqueConstraint("code", name=op.f("uq_promotion_code_code")),
        sa.UniqueConstraint("promotion_id", "draw_key", name=op.f("uq_promotion_code_draw")),
        _to("promotion_code", "promotion_id", "promotion", "CASCADE"),
        *(_to("promotion_code", f"{name}_id", name) for name in ("campaign", "contact", "lead")),
    )
    op.create_index("ix_promotion_code_list", "promotion_code", ["promotion_id", "id"])
    _filled("promotion_code", "campaign_id", "contact_id", "lead_id")


def _redemptions() -> None:
    name = "promotion_redemption"
    _table(
        name,
        *_int("promotion_id", "order_id", nullable=False),
        *_int("code_id"),
        _text("code", 40),
        *_int("account_id", "contact_id", "campaign_id"),
        *_money("amount_minor", nullable=False),
        *_at("at", nullable=False),
        *_int("by_id"),
        _choice(
            "via", "via", "screen", "import", "api", "worker", "cli", "demo", "form", "mail", "survey", "phone"
        ),
        sa.Column("from_shop", sa.Boolean(), nullable=False),
        _text("remark", 300),
        *_at("released_at"),
        _choice(
            "released_because", "releasereason", "taken_off", "cancelled", "deleted", "minimum", "products", "shop", "not_again",
            nullable=True,
        ),
        _to(name, "promotion_id", "promotion", "CASCADE"),
        _to(name, "order_id", "sales_order", "CASCADE"),
        _to(name, "code_id", "promotion_code"),
        *(_to(name, f"{one}_id", one) for one in ("account", "contact", "campaign")),
        _to(name, "by_id", "app_user"),
    )  # fmt: skip
    _once("uq_promotion_redemption_order", name, ["promotion_id", "order_id"], OPEN)
    _once("uq_promotion_redemption_code", name, ["code_id"], f"{OPEN} and code_id is not null")
    op.create_index("ix_promotion_redemption_at", name, ["promotion_id", "at"])
    op.create_index("ix_promotion_redemption_of", name, ["order_id", "released_at"])
    _filled(name, "account_id", "contact_id", "campaign_id")


def downgrade() -> None:
    op.execute("delete from role_permission where entity = 'promotion'")
    for table in ("search_document", "custom_field", "notification", "attachment", "follow"):  # the log stays whole: its seals chain over it
        op.execute(f"delete from {table} where entity = 'promotion'")  # noqa: S608  (names of ours)
    op.drop_column("campaign_plan", "promotion_id")
    op.drop_column("automation_step", "amount_minor")
    op.drop_column("order_line", "promotion_minor")
    for table in ("promotion_redemption", "promotion_code", "promotion"):
        op.drop_table(table)
