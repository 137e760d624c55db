"""quotas, and how the pipeline stood on past days

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_CATEGORY = sa.Enum("omitted", "pipeline", "best_case", "commit", "closed", name="forecastcategory", native_enum=False, length=32)
_GRANTS = (
    ("administrator", "read", "all"), ("administrator", "manage", "all"), ("manager", "read", "subtree"), ("manager", "manage", "subtree"),
    ("sales_rep", "read", "own"), ("analyst", "read", "all"),
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "quota",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("month_on", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_quota_amount_not_negative")),
        sa.ForeignKeyConstraint(["owner_id"], ["app_user.id"], name=op.f("fk_quota_owner_id_app_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quota")),
        sa.UniqueConstraint("owner_id", "month_on", name="uq_quota_month"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_quota_month", "quota", ["month_on"], unique=False)
    op.create_table(
        "pipeline_snapshot",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("deal_id", sa.Integer(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=True),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("pipeline_id", sa.Integer(), nullable=False),
        sa.Column("stage_id", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("expected_close_on", sa.Date(), nullable=True),
        sa.Column("probability_pct", sa.Integer(), nullable=False),
        sa.Column("category", _CATEGORY, nullable=False),
        sa.Column("backfilled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["deal_id"], ["deal.id"], name=op.f("fk_pipeline_snapshot_deal_id_deal"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pipeline_snapshot")),
        sa.UniqueConstraint("deal_id", "from_on", name="uq_pipeline_snapshot_deal"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_pipeline_snapshot_until", "pipeline_snapshot", ["until_on", "from_on"], unique=False)
    op.create_table(
        "pipeline_snapshot_day",
        sa.Column("taken_on", sa.Date(), nullable=False),
        sa.Column("taken_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("deals", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("taken_on", name=op.f("pk_pipeline_snapshot_day")),
        sqlite_autoincrement=True,
    )
    _install()


def _install() -> None:
    """What the built-in roles of an existing workspace may do with quotas."""
    connection = op.get_bind()
    grant = sa.text(
        "insert into role_permission (role_id, entity, action, scope) select id, 'quota', :action, :scope from role where key = :key"
    )
    for key, action, scope in _GRANTS:
        connection.execute(grant, {"key": key, "action": action, "scope": scope})


def downgrade() -> None:
    op.execute("delete from role_permission where entity = 'quota'")
    op.drop_table("pipeline_snapshot_day")
    op.drop_index("ix_pipeline_snapshot_until", table_name="pipeline_snapshot")
    op.drop_table("pipeline_snapshot")
    op.drop_index("ix_quota_month", table_name="quota")
    op.drop_table("quota")
