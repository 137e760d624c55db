"""help articles, whom they helped, and the public help centre

Revision ID: 0033
Revises: 0032
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
LANGUAGES = (
    "en", "de", "fr", "es", "it", "pt", "nl", "da", "sv", "no", "fi", "pl", "cs", "el", "tr", "uk", "ru", "ar", "hi", "ja", "ko", "zh",
)  # fmt: skip
CATEGORIES = ("Getting started", "How to", "Problems", "Orders and delivery", "Returns", "Billing", "Other")
_WRITE = (("read", "all"), ("create", "all"), ("edit", "all"), ("export", "all"))
GRANTS = (
    *(("administrator", "article", action, scope) for action, scope in (*_WRITE, ("delete", "all"), ("import", "all"))),
    *(("manager", "article", action, scope) for action, scope in (*_WRITE, ("delete", "all"), ("import", "all"))),
    *(("support_agent", "article", action, scope) for action, scope in (*_WRITE, ("delete", "own"))),
    *((role, "article", "read", "all") for role in ("sales_rep", "marketer", "analyst")),
    ("analyst", "article", "export", "all"),
    *((role, "help_centre", action, "all") for role in ("administrator", "manager") for action in ("read", "manage")),
    ("support_agent", "help_centre", "read", "all"),
)


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=nullable)


def _int(*names: str, nullable: bool = False) -> list[sa.Column]:
    return [sa.Column(name, sa.Integer(), nullable=nullable) for name in names]


def _at(*names: str, nullable: bool = True) -> list[sa.Column]:
    return [sa.Column(name, INSTANT(), nullable=nullable) for name in names]


def _bool(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Boolean(), nullable=False) for name in names]


def _choice(name: str, enum: str, *values: str) -> sa.Column:
    return sa.Column(name, sa.Enum(*values, name=enum, native_enum=False, length=32), nullable=False)


def _to(table: str, column: str, target: str, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}_{target}"), ondelete=ondelete)


def _table(name: str, *items: sa.schema.SchemaItem) -> None:
    op.create_table(
        name,
        *_int("id"),
        *_at("created_at", "updated_at", nullable=False),
        *_int("version"),
        *items,
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        sqlite_autoincrement=True,
    )


def upgrade() -> None:
    _articles()
    _figures()
    _table(
        "help_centre",
        *_bool("is_on", "indexed"),
        _text("title", 120),
        _text("intro", 500),
        *_int("form_id", nullable=True),
        _to("help_centre", "form_id", "lead_form", "SET NULL"),
    )
    for role, area, action, scope in GRANTS:
        op.execute(
            sa.text(
                "insert into role_permission (role_id, entity, action, scope) "
                "select id, :area, :action, :scope from role where key = :role and not exists (select 1 from role_permission p "
                "where p.role_id = role.id and p.entity = :area and p.action = :action)"
            ).bindparams(role=role, area=area, action=action, scope=scope)
        )
    _categories()


def _articles() -> None:
    _table(
        "article",
        *_at("deleted_at"),
        sa.Column("extra", JSON, nullable=False),
        _text("title", 200),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        _text("category", 120, nullable=True),
        _choice("language", "helplanguage", *LANGUAGES),
        _choice("state", "articlestate", "draft", "published", "archived"),
        *_int("owner_id", nullable=True),
        sa.Column("review_by", sa.Date(), nullable=True),
        sa.Column("reviewed_on", sa.Date(), nullable=True),
        *_at("published_at"),
        _text("slug", 90),
        sa.UniqueConstraint("slug", name=op.f("uq_article_slug")),
        _to("article", "owner_id", "app_user", "SET NULL"),
    )
    op.create_index(op.f("ix_article_owner_id"), "article", ["owner_id"], unique=False)
    op.create_index("ix_article_list", "article", ["deleted_at", "title", "id"], unique=False)
    op.create_index("ix_article_state", "article", ["state", "deleted_at", "review_by"], unique=False)
    _table(
        "article_product",
        *_int("article_id", "product_id"),
        _to("article_product", "article_id", "article", "CASCADE"),
        _to("article_product", "product_id", "product", "CASCADE"),
        sa.UniqueConstraint("article_id", "product_id", name="uq_article_product"),
    )
    op.create_index(op.f("ix_article_product_product_id"), "article_product", ["product_id"], unique=False)


def _figures() -> None:
    _table(
        "article_use",
        *_int("article_id", "message_id", "reopened_count"),
        *_int("user_id", nullable=True),
        *_at("at", nullable=False),
        _to("article_use", "article_id", "article", "CASCADE"),
        _to("article_use", "message_id", "ticket_message", "CASCADE"),
        _to("article_use", "user_id", "app_user", "SET NULL"),
        sa.UniqueConstraint("article_id", "message_id", name="uq_article_use"),
    )
    op.create_index(op.f("ix_article_use_message_id"), "article_use", ["message_id"], unique=False)
    _table(
        "article_vote",
        *_int("article_id"),
        _text("visitor_hash", 64),
        _text("source_hash", 64),
        *_bool("helped"),
        _to("article_vote", "article_id", "article", "CASCADE"),
        sa.UniqueConstraint("article_id", "visitor_hash", name="uq_article_vote"),
    )
    op.create_index("ix_article_vote_source", "article_vote", ["source_hash", "updated_at"], unique=False)


def _categories() -> None:
    """Where the workspace exists already; a new one gets them with everything else."""
    for position, value in enumerate(CATEGORIES):
        op.execute(
            sa.text(
                "insert into pick_option (created_at, updated_at, version, entity, field_key, value, position, active) "
                "select created_at, updated_at, 1, 'article', 'category', :value, :position, :yes from organisation "
                "where not exists (select 1 from pick_option p where p.entity = 'article' and p.value = :value) order by id limit 1"
            ).bindparams(value=value, position=position, yes=True)
        )


def downgrade() -> None:
    op.execute("delete from role_permission where entity in ('article', 'help_centre')")
    for table in ("search_document", "custom_field", "notification", "attachment"):  # the log stays whole: its seals chain over it
        op.execute(f"delete from {table} where entity = 'article'")  # noqa: S608  (names of ours)
    for table in ("help_centre", "article_vote", "article_use", "article_product", "article"):
        op.drop_table(table)
