"""dashboards with tiles, notes and undo; home pages; share links and who opened them; reports by mail

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dashboard",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=80), nullable=False),
        sa.Column("description", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("shown_to", sa.Enum("private", "role", "shared", name="shownto", native_enum=False, length=32), nullable=False),
        sa.Column("role_id", sa.Integer(), nullable=True),
        sa.Column("settings", sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"), nullable=False),
        sa.Column("deleted_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["app_user.id"], name=op.f("fk_dashboard_owner_id_app_user"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"], name=op.f("fk_dashboard_role_id_role"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dashboard")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_dashboard_owner", "dashboard", ["owner_id", "deleted_at"], unique=False)
    op.create_index(op.f("ix_dashboard_role_id"), "dashboard", ["role_id"], unique=False)
    op.create_table(
        "share_link",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("public_id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("kind", sa.Enum("dashboard", "run", name="sharekind", native_enum=False, length=32), nullable=False),
        sa.Column("target_id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("label", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
        sa.Column("filters", sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"), nullable=False),
        sa.Column("expires_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("revoked_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("password_hash", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=True),
        sa.Column("embeddable", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["app_user.id"], name=op.f("fk_share_link_owner_id_app_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_share_link")),
        sa.UniqueConstraint("public_id", name=op.f("uq_share_link_public_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_share_link_owner_id"), "share_link", ["owner_id"], unique=False)
    op.create_index("ix_share_link_target", "share_link", ["kind", "target_id"], unique=False)
    op.create_table(
        "dashboard_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dashboard_id", sa.Integer(), nullable=False),
        sa.Column("words", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
        sa.Column("tiles", sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.Column("at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["app_user.id"], name=op.f("fk_dashboard_change_by_id_app_user"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["dashboard_id"], ["dashboard.id"], name=op.f("fk_dashboard_change_dashboard_id_dashboard"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dashboard_change")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_dashboard_change_latest", "dashboard_change", ["dashboard_id", "id"], unique=False)
    op.create_table(
        "dashboard_note",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("dashboard_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("text", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["by_id"], ["app_user.id"], name=op.f("fk_dashboard_note_by_id_app_user"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["dashboard_id"], ["dashboard.id"], name=op.f("fk_dashboard_note_dashboard_id_dashboard"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dashboard_note")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_dashboard_note_day", "dashboard_note", ["dashboard_id", "day"], unique=False)
    op.create_table(
        "dashboard_tile",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("dashboard_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Enum("figure", "pivot", "text", name="tilekind", native_enum=False, length=32), nullable=False),
        sa.Column("title", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
        sa.Column("spec", sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(
            ["dashboard_id"], ["dashboard.id"], name=op.f("fk_dashboard_tile_dashboard_id_dashboard"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dashboard_tile")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_dashboard_tile_place", "dashboard_tile", ["dashboard_id", "position"], unique=False)
    op.create_table(
        "home_page",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("role_id", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("dashboard_id", sa.Integer(), nullable=True),
        sa.Column("page", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["dashboard_id"], ["dashboard.id"], name=op.f("fk_home_page_dashboard_id_dashboard"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"], name=op.f("fk_home_page_role_id_role"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_home_page_user_id_app_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_home_page")),
        sa.UniqueConstraint("role_id", name="uq_home_page_role"),
        sa.UniqueConstraint("user_id", name="uq_home_page_user"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_home_page_dashboard_id"), "home_page", ["dashboard_id"], unique=False)
    op.create_table(
        "report_schedule",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("dashboard_id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("every", sa.Enum("day", "week", "month", name="reportevery", native_enum=False, length=32), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("filters", sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("next_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("last_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("message", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
        sa.ForeignKeyConstraint(
            ["dashboard_id"], ["dashboard.id"], name=op.f("fk_report_schedule_dashboard_id_dashboard"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["app_user.id"], name=op.f("fk_report_schedule_owner_id_app_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_schedule")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_report_schedule_dashboard_id"), "report_schedule", ["dashboard_id"], unique=False)
    op.create_index("ix_report_schedule_due", "report_schedule", ["is_active", "next_at"], unique=False)
    op.create_index(op.f("ix_report_schedule_owner_id"), "report_schedule", ["owner_id"], unique=False)
    op.create_table(
        "share_view",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("link_id", sa.Integer(), nullable=False),
        sa.Column("at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column("address", sqlmodel.sql.sqltypes.AutoString(length=60), nullable=False),
        sa.Column("browser", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
        sa.ForeignKeyConstraint(["link_id"], ["share_link.id"], name=op.f("fk_share_view_link_id_share_link"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_share_view")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_share_view_link", "share_view", ["link_id", "id"], unique=False)
    op.create_table(
        "report_recipient",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("schedule_id", sa.Integer(), nullable=False),
        sa.Column("email", sqlmodel.sql.sqltypes.AutoString(length=254), nullable=False),
        sa.Column("email_key", sqlmodel.sql.sqltypes.AutoString(length=254), nullable=False),
        sa.Column("public_id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("unsubscribed_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["report_schedule.id"],
            name=op.f("fk_report_recipient_schedule_id_report_schedule"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_recipient")),
        sa.UniqueConstraint("public_id", name=op.f("uq_report_recipient_public_id")),
        sa.UniqueConstraint("schedule_id", "email_key", name="uq_report_recipient"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("report_recipient")
    op.drop_index("ix_share_view_link", table_name="share_view")
    op.drop_table("share_view")
    op.drop_index(op.f("ix_report_schedule_owner_id"), table_name="report_schedule")
    op.drop_index("ix_report_schedule_due", table_name="report_schedule")
    op.drop_index(op.f("ix_report_schedule_dashboard_id"), table_name="report_schedule")
    op.drop_table("report_schedule")
    op.drop_index(op.f("ix_home_page_dashboard_id"), table_name="home_page")
    op.drop_table("home_page")
    op.drop_index("ix_dashboard_tile_place", table_name="dashboard_tile")
    op.drop_table("dashboard_tile")
    op.drop_index("ix_dashboard_note_day", table_name="dashboard_note")
    op.drop_table("dashboard_note")
    op.drop_index("ix_dashboard_change_latest", table_name="dashboard_change")
    op.drop_table("dashboard_change")
    op.drop_index("ix_share_link_target", table_name="share_link")
    op.drop_index(op.f("ix_share_link_owner_id"), table_name="share_link")
    op.drop_table("share_link")
    op.drop_index(op.f("ix_dashboard_role_id"), table_name="dashboard")
    op.drop_index("ix_dashboard_owner", table_name="dashboard")
    op.drop_table("dashboard")
