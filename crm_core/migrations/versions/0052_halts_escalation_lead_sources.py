"""stopping everything, escalation of promises, and sources that leads are fetched from

Revision ID: 0052
Revises: 0051
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

UTC = sqlmodel.sql.sqltypes.UTCDateTime
TEXT = sqlmodel.sql.sqltypes.AutoString
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
PRIORITY = sa.Enum("low", "normal", "high", "urgent", name="priority", native_enum=False, length=32)
OPEN = sa.text("ended_at is null")


def _record(name: str, *columns: sa.Column, constraints: tuple = ()) -> None:
    op.create_table(
        name,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", UTC(), nullable=False),
        sa.Column("updated_at", UTC(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        *constraints,
        sqlite_autoincrement=True,
    )


def upgrade() -> None:
    _record(
        "halt",
        sa.Column("kind", sa.Enum("automations", "mail", name="haltkind", native_enum=False, length=32), nullable=False),
        sa.Column("reason", TEXT(length=300), nullable=False),
        sa.Column("at", UTC(), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.Column("ended_at", UTC(), nullable=True),
        sa.Column("ended_by_id", sa.Integer(), nullable=True),
        sa.Column("kept", sa.Boolean(), nullable=False),
        sa.Column("outcome", JSON, nullable=False),
        constraints=(_to("halt", "by_id", "app_user", "SET NULL"), _to("halt", "ended_by_id", "app_user", "SET NULL")),
    )
    op.create_index("uq_halt_open", "halt", ["kind"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN)
    with op.batch_alter_table("sla_policy") as batch:
        batch.add_column(sa.Column("escalation", JSON, nullable=False, server_default="[]"))
    with op.batch_alter_table("sla_policy") as batch:
        batch.alter_column("escalation", server_default=None)
    op.add_column("sla_clock", sa.Column("raised_to", PRIORITY, nullable=True))
    _record(
        "lead_source",
        sa.Column("name", TEXT(length=80), nullable=False),
        sa.Column("form_id", sa.Integer(), nullable=False),
        sa.Column("url", TEXT(length=1000), nullable=False),
        sa.Column("header", TEXT(length=60), nullable=False),
        sa.Column("secret_sealed", sa.Text(), nullable=False),
        *(sa.Column(name, TEXT(length=200), nullable=False) for name in ("items_path", "id_path", "consent_path")),
        sa.Column("mapping", JSON, nullable=False),
        sa.Column("cursor_param", TEXT(length=60), nullable=False),
        sa.Column("cursor_in", TEXT(length=10), nullable=False),
        sa.Column("cursor_path", TEXT(length=200), nullable=False),
        sa.Column("keeps_cursor", sa.Boolean(), nullable=False),
        sa.Column("cursor", TEXT(length=1000), nullable=False),
        sa.Column("every_minutes", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        *(sa.Column(name, UTC(), nullable=True) for name in ("next_pull_at", "lease_until", "last_pull_at", "last_good_at")),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("message", TEXT(length=500), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("new_count", "known_count", "failed_count", "new_total")),
        constraints=(_to("lead_source", "form_id", "lead_form", "CASCADE"), sa.UniqueConstraint("name", name=op.f("uq_lead_source_name"))),
    )
    op.create_index(op.f("ix_lead_source_form_id"), "lead_source", ["form_id"])
    with op.batch_alter_table("form_submission") as batch:
        batch.add_column(sa.Column("source_id", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("external_id", TEXT(length=200), nullable=True))
        batch.create_unique_constraint("uq_form_submission_external", ["source_id", "external_id"])
        batch.create_foreign_key(op.f("fk_form_submission_source_id_lead_source"), "lead_source", ["source_id"], ["id"], ondelete="SET NULL")


def _to(table: str, column: str, target: str, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}_{target}"), ondelete=ondelete)


def downgrade() -> None:
    with op.batch_alter_table("form_submission") as batch:
        batch.drop_constraint(op.f("fk_form_submission_source_id_lead_source"), type_="foreignkey")
        batch.drop_constraint("uq_form_submission_external", type_="unique")
        batch.drop_column("external_id")
        batch.drop_column("source_id")
    op.drop_table("lead_source")
    op.drop_column("sla_clock", "raised_to")
    op.drop_column("sla_policy", "escalation")
    op.drop_table("halt")
