"""records that an import created on the way; rows of an import by their record

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "import_link",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("entity", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("record_version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["import_run.id"], name=op.f("fk_import_link_run_id_import_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_link")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_import_link_run", "import_link", ["run_id", "entity", "record_id"], unique=False)
    op.create_index("ix_import_row_record", "import_row", ["run_id", "record_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_import_row_record", table_name="import_row")
    op.drop_index("ix_import_link_run", table_name="import_link")
    op.drop_table("import_link")
