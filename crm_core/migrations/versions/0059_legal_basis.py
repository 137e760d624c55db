"""a word about being contacted knows on which legal basis it rests

Revision ID: 0059
Revises: 0058
"""

import sqlalchemy as sa
from alembic import op

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

BASIS = sa.Enum(
    "consent", "contract", "legitimate_interest", "legal_obligation", name="legalbasis", native_enum=False, length=32
)


def upgrade() -> None:
    op.add_column("consent", sa.Column("basis", BASIS, nullable=False, server_default="consent"))


def downgrade() -> None:
    # what rests on a contract or a law was no agreement: it must not turn into one
    op.execute("UPDATE consent SET is_latest = false WHERE basis IN ('contract', 'legal_obligation')")
    op.drop_column("consent", "basis")
