"""booking pages, what was booked, and guests of meetings; meetings say where they are

Revision ID: 0029
Revises: 0028
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
GRANTS = {
    **dict.fromkeys(("administrator", "manager"), (("read", "all"), ("manage", "all"))),
    **dict.fromkeys(("sales_rep", "marketer", "support_agent"), (("read", "all"), ("manage", "own"))),
}


def _text(*names: str, length: int) -> list[sa.Column]:
    return [sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=False) for name in names]


def _choice(name: str, enum: str, *values: str) -> sa.Column:
    return sa.Column(name, sa.Enum(*values, name=enum, native_enum=False, length=32), nullable=False)


def _int(*names: str, nullable: bool = False) -> list[sa.Column]:
    return [sa.Column(name, sa.Integer(), nullable=nullable) for name in names]


def _at(*names: str, nullable: bool = True) -> list[sa.Column]:
    return [sa.Column(name, INSTANT(), nullable=nullable) for name in names]


def _json(*names: str) -> list[sa.Column]:
    return [sa.Column(name, JSON, nullable=False) for name in names]


def _bool(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Boolean(), nullable=False) for name in names]


def _to(table: str, column: str, target: str, ondelete: str = "SET NULL") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}_{target}"), ondelete=ondelete)


def _table(name: str, *items: sa.schema.SchemaItem, indexed: tuple[str, ...] = ()) -> None:
    op.create_table(
        name,
        *_int("id"),
        *_at("created_at", "updated_at", nullable=False),
        *_int("version"),
        *items,
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        sqlite_autoincrement=True,
    )
    for column in indexed:
        op.create_index(op.f(f"ix_{name}_{column}"), name, [column], unique=False)


def upgrade() -> None:
    op.add_column("activity", sa.Column("place", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=True))
    _pages()
    _guests()
    _bookings()
    for role, grants in GRANTS.items():
        for action, scope in grants:
            op.execute(
                sa.text(
                    "insert into role_permission (role_id, entity, action, scope) "
                    "select id, 'booking', :action, :scope from role where key = :role and not exists (select 1 from role_permission p "
                    "where p.role_id = role.id and p.entity = 'booking' and p.action = :action)"
                ).bindparams(role=role, action=action, scope=scope)
            )


def _pages() -> None:
    _table(
        "booking_page",
        *_text("name", length=120),
        *_text("slug", length=60),
        *_text("intro", length=1000),
        *_int("owner_id", nullable=True),
        *_json("host_ids"),
        *_int("minutes", "step_minutes", "before_minutes", "after_minutes", "notice_hours", "ahead_days"),
        *_int("most_a_day", nullable=True),
        *_json("week"),
        *_text("timezone", length=64),
        *_int("calendar_id", nullable=True),
        _choice("place", "bookingplace", "phone", "video", "visit"),
        *_text("place_text", length=300),
        *_bool("ask_phone"),
        *_json("questions"),
        *_text("source", length=120),
        *_text("base_url", length=200),
        *_bool("remind", "is_active"),
        _to("booking_page", "owner_id", "app_user"),
        _to("booking_page", "calendar_id", "service_calendar"),
        sa.UniqueConstraint("slug", name=op.f("uq_booking_page_slug")),
        indexed=("owner_id", "calendar_id"),
    )


def _guests() -> None:
    _table(
        "meeting_guest",
        *_int("activity_id"),
        *_int("contact_id", "lead_id", nullable=True),
        *_text("name", length=200),
        *_text("email", "email_key", length=254),
        *_text("timezone", length=64),
        *_text("title", "link", length=300),
        _choice("state", "gueststate", "invited", "accepted", "tentative", "declined"),
        *_at("answered_at"),
        *_text("told", length=64),
        *_int("told_version"),
        *_at("removed_at"),
        _to("meeting_guest", "activity_id", "activity", "CASCADE"),
        _to("meeting_guest", "contact_id", "contact"),
        _to("meeting_guest", "lead_id", "lead"),
        sa.UniqueConstraint("activity_id", "email_key", name="uq_meeting_guest"),
        indexed=("contact_id", "lead_id", "email_key"),
    )


def _bookings() -> None:
    _table(
        "booking",
        *_int("page_id", nullable=True),
        *_int("user_id"),
        *_int("activity_id", "guest_id", "lead_id", "contact_id", nullable=True),
        *_text("name", length=200),
        *_text("email", "email_key", length=254),
        *_json("answers"),
        *_text("timezone", length=64),
        _choice("state", "bookingstate", "booked", "cancelled"),
        *_at("starts_at", nullable=False),
        *_text("source_hash", length=64),
        *_at("cancelled_at", "reminded_for"),
        *_int("moved"),
        _to("booking", "page_id", "booking_page"),
        _to("booking", "user_id", "app_user", "CASCADE"),
        _to("booking", "activity_id", "activity"),
        _to("booking", "guest_id", "meeting_guest"),
        _to("booking", "lead_id", "lead"),
        _to("booking", "contact_id", "contact"),
        indexed=("user_id", "activity_id", "guest_id", "lead_id", "contact_id"),
    )
    op.create_index("ix_booking_page", "booking", ["page_id", "state", "id"], unique=False)
    op.create_index("ix_booking_source", "booking", ["source_hash", "created_at"], unique=False)
    op.create_index("ix_booking_address", "booking", ["email_key", "id"], unique=False)


def downgrade() -> None:
    op.execute("delete from role_permission where entity = 'booking'")
    for table in ("booking", "meeting_guest", "booking_page"):
        op.drop_table(table)
    op.drop_column("activity", "place")
