"""tickets know the serial number of the piece that they are about

Revision ID: 0058
Revises: 0057
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

KNOWN = sa.text("serial_number IS NOT NULL")


def upgrade() -> None:
    op.add_column("ticket", sa.Column("serial_number", sqlmodel.sql.sqltypes.AutoString(length=80), nullable=True))
    op.create_index(op.f("ix_ticket_serial_number"), "ticket", ["serial_number"], sqlite_where=KNOWN, postgresql_where=KNOWN)


def downgrade() -> None:
    op.drop_index(op.f("ix_ticket_serial_number"), table_name="ticket")
    op.drop_column("ticket", "serial_number")
