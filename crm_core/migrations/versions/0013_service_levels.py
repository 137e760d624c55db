"""service levels: working hours, promises, their clocks, and the next due time on tickets

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
GRANTS = {"administrator": ("read", "manage"), "manager": ("read", "manage")}


def _record() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("updated_at", INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    ]


def _text(name: str, length: int) -> sa.Column:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=False)


def upgrade() -> None:
    op.create_table(
        "service_calendar",
        *_record(),
        _text("name", 80),
        _text("timezone", 64),
        sa.Column("week", JSON, nullable=False),
        sa.Column("exceptions", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_calendar")),
        sa.UniqueConstraint("name", name=op.f("uq_service_calendar_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sla_policy",
        *_record(),
        _text("name", 80),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("filter", JSON, nullable=True),
        sa.Column("calendar_id", sa.Integer(), nullable=True),
        sa.Column("targets", JSON, nullable=False),
        sa.Column("escalate_to_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["calendar_id"], ["service_calendar.id"], name=op.f("fk_sla_policy_calendar_id_service_calendar"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["escalate_to_id"], ["app_user.id"], name=op.f("fk_sla_policy_escalate_to_id_app_user"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sla_policy")),
        sa.UniqueConstraint("name", name=op.f("uq_sla_policy_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sla_clock",
        *_record(),
        sa.Column("ticket_id", sa.Integer(), nullable=False),
        sa.Column("target", sa.Enum("first", "next", "resolve", name="slatarget", native_enum=False, length=32), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("policy_id", sa.Integer(), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("started_at", INSTANT(), nullable=False),
        sa.Column("due_at", INSTANT(), nullable=False),
        sa.Column("paused_at", INSTANT(), nullable=True),
        sa.Column("paused_seconds", sa.Integer(), nullable=False),
        sa.Column("met_at", INSTANT(), nullable=True),
        sa.Column("cancelled_at", INSTANT(), nullable=True),
        sa.Column("breached_at", INSTANT(), nullable=True),
        sa.Column("warned_pct", sa.Integer(), nullable=False),
        sa.Column("next_warn_at", INSTANT(), nullable=True),
        sa.ForeignKeyConstraint(["policy_id"], ["sla_policy.id"], name=op.f("fk_sla_clock_policy_id_sla_policy"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name=op.f("fk_sla_clock_ticket_id_ticket"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sla_clock")),
        sa.UniqueConstraint("ticket_id", "target", "seq", name="uq_sla_clock"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sla_clock_warn", "sla_clock", ["next_warn_at", "id"])
    op.add_column("ticket", sa.Column("sla_due_at", INSTANT(), nullable=True))
    op.create_index("ix_ticket_due", "ticket", ["deleted_at", "sla_due_at", "id"])
    for role, actions in GRANTS.items():
        for action in actions:
            op.execute(
                sa.text(
                    "insert into role_permission (role_id, entity, action, scope) "
                    "select id, 'service_level', :action, 'all' from role where key = :role and not exists (select 1 from role_permission p "
                    "where p.role_id = role.id and p.entity = 'service_level' and p.action = :action)"
                ).bindparams(role=role, action=action)
            )


def downgrade() -> None:
    op.execute("delete from role_permission where entity = 'service_level'")
    op.drop_index("ix_ticket_due", table_name="ticket")
    op.drop_column("ticket", "sla_due_at")
    op.drop_table("sla_clock")
    op.drop_table("sla_policy")
    op.drop_table("service_calendar")
