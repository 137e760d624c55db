"""lists to call keep the holidays of working hours; a lead's number can be wrong; filing addresses can be renewed; macros
have an order

Revision ID: 0063
Revises: 0060
"""

import sqlalchemy as sa
from alembic import op

revision = "0063"
down_revision = "0060"
branch_labels = None
depends_on = None

ONLY_ONE = "UPDATE dial_list SET calendar_id = (SELECT min(id) FROM service_calendar) WHERE (SELECT count(*) FROM service_calendar) = 1"


AS_BEFORE = """UPDATE macro SET rank = (
    SELECT count(*) FROM macro AS other WHERE other.used_count > macro.used_count OR (other.used_count = macro.used_count AND other.id <= macro.id)
)"""


def upgrade() -> None:
    op.add_column("macro", sa.Column("rank", sa.Integer(), nullable=False, server_default="0"))
    op.execute(AS_BEFORE)
    op.add_column("lead", sa.Column("phone_invalid", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("app_user", sa.Column("filing_turn", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("dial_list") as batch:
        batch.add_column(sa.Column("calendar_id", sa.Integer(), nullable=True))
        batch.create_foreign_key(op.f("fk_dial_list_calendar_id_service_calendar"), "service_calendar", ["calendar_id"], ["id"], ondelete="SET NULL")
    op.execute(ONLY_ONE)


def downgrade() -> None:
    with op.batch_alter_table("dial_list") as batch:
        batch.drop_constraint(op.f("fk_dial_list_calendar_id_service_calendar"), type_="foreignkey")
        batch.drop_column("calendar_id")
    op.drop_column("macro", "rank")
    op.drop_column("app_user", "filing_turn")
    op.drop_column("lead", "phone_invalid")
