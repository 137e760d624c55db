"""hand-overs with a checklist of items, their state on the account; the time zone of a person; categories out of use

Revision ID: 0011
Revises: 0010
"""

from datetime import UTC, datetime

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TEXT = sqlmodel.sql.sqltypes.AutoString
STATE = sa.Enum("pending", "accepted", "declined", "withdrawn", name="handoverstate", native_enum=False, length=32)
EDGE = sa.Enum(
    "sales_service", "sales_onboarding", "onboarding_service", "colleagues", name="handoveredge", native_enum=False, length=32
)
CHECK = sa.Enum("manual", "goals", "preferences", name="handovercheck", native_enum=False, length=32)


def upgrade() -> None:
    op.create_table(
        "handover_item",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("handover_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("label", TEXT(length=200), nullable=False),
        sa.Column("looks_at", CHECK, nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.Column("done_by_id", sa.Integer(), nullable=True),
        sa.Column("done_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["handover_id"], ["handover.id"], name=op.f("fk_handover_item_handover_id_handover"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["done_by_id"], ["app_user.id"], name=op.f("fk_handover_item_done_by_id_app_user"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handover_item")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_handover_item_handover", "handover_item", ["handover_id", "position"])
    _lines_to_items()
    with op.batch_alter_table("handover") as batch:
        batch.add_column(sa.Column("edge", EDGE, nullable=False, server_default="sales_service"))
        batch.add_column(sa.Column("reason", TEXT(length=1000), nullable=False, server_default=""))
        batch.drop_column("checklist")
    with op.batch_alter_table("handover") as batch:
        batch.alter_column("edge", server_default=None)
        batch.alter_column("reason", server_default=None)
    op.create_index(op.f("ix_handover_from_user_id"), "handover", ["from_user_id"])
    pending = sa.text("state = 'pending'")
    op.create_index(
        "uq_handover_pending", "handover", ["account_id"], unique=True, sqlite_where=pending, postgresql_where=pending
    )
    op.add_column("account", sa.Column("handover_state", STATE, nullable=True))
    op.add_column("account", sa.Column("handover_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    op.create_index(op.f("ix_account_handover_state"), "account", ["handover_state"])
    op.add_column("contact", sa.Column("timezone", TEXT(length=64), nullable=True))
    with op.batch_alter_table("product_category") as batch:
        batch.add_column(sa.Column("is_active", sa.Boolean(), nullable=False, server_default=sa.true()))
    with op.batch_alter_table("product_category") as batch:
        batch.alter_column("is_active", server_default=None)


def downgrade() -> None:
    op.drop_column("product_category", "is_active")
    op.drop_column("contact", "timezone")
    op.drop_index(op.f("ix_account_handover_state"), table_name="account")
    op.drop_column("account", "handover_at")
    op.drop_column("account", "handover_state")
    op.drop_index("uq_handover_pending", table_name="handover")
    op.drop_index(op.f("ix_handover_from_user_id"), table_name="handover")
    with op.batch_alter_table("handover") as batch:
        batch.add_column(sa.Column("checklist", TEXT(length=4000), nullable=False, server_default=""))
        batch.drop_column("reason")
        batch.drop_column("edge")
    with op.batch_alter_table("handover") as batch:
        batch.alter_column("checklist", server_default=None)
    _items_to_lines()
    op.execute("update handover set state = 'declined' where state = 'withdrawn'")
    op.drop_index("ix_handover_item_handover", table_name="handover_item")
    op.drop_table("handover_item")


def _lines_to_items() -> None:
    connection = op.get_bind()
    handover = sa.table("handover", sa.column("id"), sa.column("checklist"))
    item = sa.table("handover_item", *[sa.column(name) for name in (
        "created_at", "updated_at", "version", "handover_id", "position", "label", "looks_at", "required", "done")])  # fmt: skip
    now = datetime.now(UTC).replace(tzinfo=None)
    for row in connection.execute(sa.select(handover.c.id, handover.c.checklist)).all():
        for position, line in enumerate(text for text in row.checklist.splitlines() if text.strip()):
            values = {"created_at": now, "updated_at": now, "version": 1, "handover_id": row.id, "position": position}
            label = line.strip()[:200]
            connection.execute(item.insert().values(**values, label=label, looks_at="manual", required=False, done=False))


def _items_to_lines() -> None:
    connection = op.get_bind()
    handover = sa.table("handover", sa.column("id"), sa.column("checklist"))
    item = sa.table("handover_item", sa.column("handover_id"), sa.column("position"), sa.column("label"))
    lines: dict[int, list[str]] = {}
    for row in connection.execute(sa.select(item.c.handover_id, item.c.label).order_by(item.c.handover_id, item.c.position)):
        lines.setdefault(row.handover_id, []).append(row.label)
    for handover_id, found in lines.items():
        connection.execute(handover.update().where(handover.c.id == handover_id).values(checklist="\n".join(found)[:4000]))
