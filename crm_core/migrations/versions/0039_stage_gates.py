"""how strict a stage is with deals that lack what it asks for

Revision ID: 0039
Revises: 0038
"""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

STRICTNESS = sa.Enum("refuse", "warn", name="gatestrictness", native_enum=False, length=32)


def upgrade() -> None:
    op.add_column("stage", sa.Column("gate_strictness", STRICTNESS, nullable=False, server_default="refuse"))


def downgrade() -> None:
    op.drop_column("stage", "gate_strictness")
