"""lists of people to call

Revision ID: 0050
Revises: 0049
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=nullable)


def _choice(name: str, enum: str, *values: str, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Enum(*values, name=enum, native_enum=False, length=32), nullable=nullable)


def _int(*names: str, nullable: bool = False) -> list[sa.Column]:
    return [sa.Column(name, sa.Integer(), nullable=nullable) for name in names]


def _at(*names: str, nullable: bool = True) -> list[sa.Column]:
    return [sa.Column(name, INSTANT(), nullable=nullable) for name in names]


def _to(table: str, column: str, target: str, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}_{target}"), ondelete=ondelete)


def _table(name: str, *items: sa.schema.SchemaItem) -> None:
    op.create_table(
        name, *_int("id"), *_at("created_at", "updated_at", nullable=False), *_int("version"), *items,
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")), sqlite_autoincrement=True,
    )  # fmt: skip


def _index(name: str, table: str, *columns: str, where: str = "") -> None:
    kept = {f"{dialect}_where": sa.text(where) for dialect in ("sqlite", "postgresql")} if where else {}
    op.create_index(name, table, list(columns), **kept)


OUTCOMES = (
    "reached", "no_answer", "busy", "voicemail", "wrong_number", "call_back", "price", "not_interested", "do_not_call",
)  # fmt: skip


def upgrade() -> None:
    _table(
        "dial_list",
        _text("name", 120),
        *_int("owner_id", nullable=True),
        _choice("reach", "dialreach", "private", "team", "shared"),
        *_int("team_id", nullable=True),
        _choice("source", "dialsource", "segment", "view", "campaign", "filter"),
        *_int("source_id", nullable=True),
        *(_text(name, length) for name, length in (("source_name", 200), ("entity", 20), ("q", 200), ("order_by", 80))),
        sa.Column("filter", JSON, nullable=True),
        _choice("purpose", "purpose", "marketing", "events", "research", nullable=True),
        *_int("campaign_id", nullable=True),
        *_int("retry_hours", "max_attempts", "from_minute", "until_minute"),
        sa.Column("weekdays_only", sa.Boolean(), nullable=False),
        *_at("filled_at", "closed_at"),
        _to("dial_list", "owner_id", "app_user", "SET NULL"),
        _to("dial_list", "team_id", "team", "SET NULL"),
        _to("dial_list", "campaign_id", "campaign", "SET NULL"),
    )
    _index("ix_dial_list_owner", "dial_list", "owner_id", "closed_at")
    for column in ("team_id", "campaign_id"):
        _index(f"ix_dial_list_{column}", "dial_list", column, where=f"{column} IS NOT NULL")
    _entries()
    _attempts()


def _entries() -> None:
    _table(
        "dial_entry",
        *_int("list_id"),
        *_int("contact_id", "lead_id", nullable=True),
        *_int("rank"),
        sa.Column("value", sa.Float(), nullable=True),
        _choice("state", "dialstate", "waiting", "done", "left_out"),
        _choice("wait", "dialwait", "retry", "callback", "hours", "called", "later", nullable=True),
        *_at("due_at"),
        _text("left_out", 20),
        *_int("attempts"),
        _choice("outcome", "calloutcome", *OUTCOMES, nullable=True),
        *_at("last_at"),
        *_int("callback_by_id", "task_id", nullable=True),
        sa.UniqueConstraint("list_id", "contact_id", name="uq_dial_entry_contact"),
        sa.UniqueConstraint("list_id", "lead_id", name="uq_dial_entry_lead"),
        sa.CheckConstraint("(contact_id is null) <> (lead_id is null)", name=op.f("ck_dial_entry_one_person")),
        _to("dial_entry", "list_id", "dial_list", "CASCADE"),
        _to("dial_entry", "contact_id", "contact", "CASCADE"),
        _to("dial_entry", "lead_id", "lead", "CASCADE"),
        _to("dial_entry", "callback_by_id", "app_user", "SET NULL"),
        _to("dial_entry", "task_id", "task", "SET NULL"),
    )
    _index("ix_dial_entry_next", "dial_entry", "list_id", "state", "rank")
    for column in ("contact_id", "lead_id", "callback_by_id", "task_id"):
        _index(f"ix_dial_entry_{column}", "dial_entry", column, where=f"{column} IS NOT NULL")


def _attempts() -> None:
    _table(
        "dial_attempt",
        *_int("list_id", "entry_id"),
        *_int("user_id", nullable=True),
        *_at("at", nullable=False),
        _choice("outcome", "calloutcome", *OUTCOMES),
        *_int("activity_id", nullable=True),
        sa.Column("before", JSON, nullable=False),
        _text("submit_key", 64),
        sa.UniqueConstraint("submit_key", name=op.f("uq_dial_attempt_submit_key")),
        _to("dial_attempt", "list_id", "dial_list", "CASCADE"),
        _to("dial_attempt", "entry_id", "dial_entry", "CASCADE"),
        _to("dial_attempt", "user_id", "app_user", "SET NULL"),
        _to("dial_attempt", "activity_id", "activity", "SET NULL"),
    )
    _index("ix_dial_attempt_list", "dial_attempt", "list_id", "at")
    _index("ix_dial_attempt_entry_id", "dial_attempt", "entry_id")
    for column in ("user_id", "activity_id"):
        _index(f"ix_dial_attempt_{column}", "dial_attempt", column, where=f"{column} IS NOT NULL")
    op.create_table(
        "dial_claim",
        _text("person", 40),
        *_int("entry_id", "list_id", "user_id"),
        *_at("until", nullable=False),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_dial_claim")),
        _to("dial_claim", "entry_id", "dial_entry", "CASCADE"),
        _to("dial_claim", "list_id", "dial_list", "CASCADE"),
        _to("dial_claim", "user_id", "app_user", "CASCADE"),
        sqlite_autoincrement=False,
    )
    for column in ("entry_id", "list_id", "user_id"):
        _index(f"ix_dial_claim_{column}", "dial_claim", column)


def downgrade() -> None:
    for table in ("dial_claim", "dial_attempt", "dial_entry", "dial_list"):
        op.drop_table(table)
