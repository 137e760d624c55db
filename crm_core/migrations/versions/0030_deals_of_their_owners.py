"""figures of deals follow their owner, and what waits is found among the open ones alone

Revision ID: 0030
Revises: 0029
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

FIGURES = (
    "owner_id", "deleted_at", "outcome", "closed_on", "created_on", "pipeline_id", "product_id", "source", "stage_id", "probability_pct", "amount_minor",
)  # fmt: skip
WAITING = (
    "owner_id", "deleted_at", "outcome", "stage_id", "pipeline_id", "stage_since", "last_activity_at", "next_step_on", "next_step", "expected_close_on",
    "created_on", "account_id", "probability_pct", "amount_minor",
)  # fmt: skip


WIDER = (
    ("ix_deal_campaign_id", "deal", ["campaign_id"], "ix_deal_campaign", ["campaign_id", "deleted_at", "outcome", "amount_minor"]),
    ("ix_deal_product_id", "deal", ["product_id"], "ix_deal_product", ["product_id", "deleted_at", "expected_close_on", "id", "amount_minor"]),
    ("ix_order_line_product", "order_line", ["product_id"], "ix_order_line_product", ["product_id", "order_id", "quantity", "total_minor"]),
)  # fmt: skip
"""Name, table and columns of an index as it was, and as it is."""


def _exchange(drop: str, table: str, name: str, columns: list[str]) -> None:
    filled = sa.text(f"{columns[0]} IS NOT NULL")
    op.drop_index(drop, table_name=table)
    op.create_index(name, table, columns, sqlite_where=filled, postgresql_where=filled)


def upgrade() -> None:
    for was, table, _, name, columns in WIDER:
        _exchange(was, table, name, columns)
    is_open = sa.text("outcome = 'open'")
    op.create_index("ix_deal_owner_figures", "deal", list(FIGURES))
    op.create_index("ix_deal_waiting", "deal", list(WAITING), sqlite_where=is_open, postgresql_where=is_open)


def downgrade() -> None:
    op.drop_index("ix_deal_waiting", table_name="deal")
    op.drop_index("ix_deal_owner_figures", table_name="deal")
    for name, table, columns, now, _ in WIDER:
        _exchange(now, table, name, columns)
