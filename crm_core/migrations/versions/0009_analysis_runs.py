"""analysis runs, their tables, and the marks that they publish on records

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TEXT = sqlmodel.sql.sqltypes.AutoString
INSTANT = sqlmodel.sql.sqltypes.UTCDateTime


def _json() -> sa.types.TypeEngine:
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "analysis_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("updated_at", INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", TEXT(length=40), nullable=False),
        sa.Column("name", TEXT(length=120), nullable=False),
        sa.Column("params", _json(), nullable=False),
        sa.Column("key", TEXT(length=80), nullable=False),
        sa.Column("scope", TEXT(length=64), nullable=False),
        sa.Column("data_versions", _json(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("code_version", TEXT(length=60), nullable=False),
        sa.Column("requested_by", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("job_id", TEXT(length=200), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reliable", sa.String(length=32), nullable=True),
        sa.Column("result", _json(), nullable=False),
        sa.Column("warnings", _json(), nullable=False),
        sa.Column("started_at", INSTANT(), nullable=True),
        sa.Column("finished_at", INSTANT(), nullable=True),
        sa.Column("published_at", INSTANT(), nullable=True),
        sa.Column("archived_at", INSTANT(), nullable=True),
        sa.ForeignKeyConstraint(
            ["requested_by"], ["app_user.id"], name=op.f("fk_analysis_run_requested_by_app_user"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analysis_run")),
        sa.UniqueConstraint("key", name="uq_analysis_run_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_analysis_run_find", "analysis_run", ["kind", "scope", "state", "id"])
    op.create_index(op.f("ix_analysis_run_requested_by"), "analysis_run", ["requested_by"])
    op.create_table(
        "analysis_table",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("name", TEXT(length=60), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["analysis_run.id"], name=op.f("fk_analysis_table_run_id_analysis_run"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analysis_table")),
        sa.UniqueConstraint("run_id", "name", name="uq_analysis_table_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "analysis_mark",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", TEXT(length=40), nullable=False),
        sa.Column("entity", TEXT(length=40), nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Float(), nullable=True),
        sa.Column("label", TEXT(length=200), nullable=False),
        sa.Column("detail", _json(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("at", INSTANT(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["analysis_run.id"], name=op.f("fk_analysis_mark_run_id_analysis_run"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analysis_mark")),
        sa.UniqueConstraint("kind", "entity", "record_id", name="uq_analysis_mark_record"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_analysis_mark_number", "analysis_mark", ["kind", "entity", "number", "record_id"])
    op.create_index("ix_analysis_mark_label", "analysis_mark", ["kind", "entity", "label", "record_id"])
    op.create_index("ix_analysis_mark_run", "analysis_mark", ["run_id"])


def downgrade() -> None:
    for name in ("analysis_mark", "analysis_table", "analysis_run"):
        op.drop_table(name)
