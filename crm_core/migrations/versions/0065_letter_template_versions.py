"""earlier versions of letter templates: what they said, who wrote it, and when

Revision ID: 0065
Revises: 0063
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0065"
down_revision = "0063"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
NAME = "letter_template_version"


def upgrade() -> None:
    op.create_table(
        NAME,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("updated_at", INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("template_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("use", sa.Enum("marketing", "sales", "service", name="letteruse", native_enum=False, length=32), nullable=False),
        sa.Column("subject", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Enum("private", "shared", name="visibility", native_enum=False, length=32), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=True),
        sa.Column("brought_back", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["template_id"], ["letter_template.id"], name=op.f(f"fk_{NAME}_template_id_letter_template"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["author_id"], ["app_user.id"], name=op.f(f"fk_{NAME}_author_id_app_user"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{NAME}")),
        sa.UniqueConstraint("template_id", "number", name="uq_letter_template_version"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f(f"ix_{NAME}_author_id"), NAME, ["author_id"])


def downgrade() -> None:
    op.drop_index(op.f(f"ix_{NAME}_author_id"), table_name=NAME)
    op.drop_table(NAME)
