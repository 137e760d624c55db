"""a message knows what consent it needs, and an address can be blocked for several reasons at once

Revision ID: 0031
Revises: 0030
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

PURPOSE = sa.Enum("marketing", "events", "research", name="purpose", native_enum=False, length=32)
OPEN = sa.text("lifted_at is null")


def _unique(columns: list[str]) -> None:
    op.drop_index("uq_suppression_open", table_name="suppression")
    op.create_index("uq_suppression_open", "suppression", columns, unique=True, sqlite_where=OPEN, postgresql_where=OPEN)


def upgrade() -> None:
    op.add_column("mail_delivery", sa.Column("purpose", PURPOSE, nullable=True))
    op.execute("UPDATE mail_delivery SET purpose = 'research' WHERE kind = 'survey'")
    op.execute(
        "UPDATE mail_delivery SET purpose = coalesce((SELECT p.purpose FROM campaign_member m JOIN campaign_plan p ON p.campaign_id = m.campaign_id"
        " WHERE m.mail_id = mail_delivery.id), 'marketing') WHERE kind = 'campaign'"
    )
    # letters of automations: those with news and offers can be unsubscribed from
    op.execute("UPDATE mail_delivery SET purpose = 'marketing' WHERE kind = 'automation' AND CAST(headers AS TEXT) LIKE '%List-Unsubscribe%'")
    _unique(["address_key", "way", "reason"])


def downgrade() -> None:
    # one open row per address is all that the older shape holds: the first stays, as it would have
    op.execute(
        "UPDATE suppression SET lifted_at = updated_at WHERE lifted_at IS NULL AND id NOT IN"
        " (SELECT min(id) FROM suppression WHERE lifted_at IS NULL GROUP BY address_key, way)"
    )
    _unique(["address_key", "way"])
    op.drop_column("mail_delivery", "purpose")
