"""a role may read, mask or hide a field; what was hidden stays hidden whatever other roles allow

Revision ID: 0044
Revises: 0043
"""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

LEVEL = sa.Enum("edit", "read", "masked", "hidden", name="fieldlevel", native_enum=False, length=32)


def upgrade() -> None:
    with op.batch_alter_table("role_field_mask") as batch:
        batch.add_column(sa.Column("level", LEVEL, nullable=False, server_default="hidden"))
        batch.add_column(sa.Column("strict", sa.Boolean(), nullable=False, server_default=sa.true()))
    with op.batch_alter_table("role_field_mask") as batch:
        batch.alter_column("level", server_default=None)
        batch.alter_column("strict", server_default=None)


def downgrade() -> None:
    op.execute("delete from role_field_mask where level = 'read'")
    with op.batch_alter_table("role_field_mask") as batch:
        batch.drop_column("strict")
        batch.drop_column("level")
