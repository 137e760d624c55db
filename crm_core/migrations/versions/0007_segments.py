"""segments with their members, and what the built-in roles may do with them

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
_TEXT = sqlmodel.sql.sqltypes.AutoString
_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_ALL = ("read", "create", "edit", "delete", "export")
GRANTS = {
    "administrator": dict.fromkeys((*_ALL, "import"), "all"),
    "manager": {"read": "all", "create": "all", "edit": "own", "delete": "own", "export": "own"},
    "sales_rep": {"read": "all"},
    "marketer": dict.fromkeys(_ALL, "all"),
    "analyst": {"read": "all", "export": "all"},
}


def upgrade() -> None:
    op.create_table(
        "segment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", _INSTANT(), nullable=False),
        sa.Column("updated_at", _INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted_at", _INSTANT(), nullable=True),
        sa.Column("extra", _JSON, nullable=False),
        sa.Column("name", _TEXT(length=120), nullable=False),
        sa.Column("entity", _TEXT(length=32), nullable=False),
        sa.Column("kind", _TEXT(length=32), nullable=False),
        sa.Column("visibility", _TEXT(length=32), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("counted_at", _INSTANT(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("rule", _JSON, nullable=True),
        sa.Column("source", _JSON, nullable=True),
        sa.Column("progress", _JSON, nullable=False),
        sa.Column("member_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["app_user.id"], name=op.f("fk_segment_owner_id_app_user"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_segment_deleted_at"), "segment", ["deleted_at"], unique=False)
    op.create_index("ix_segment_list", "segment", ["deleted_at", "name"], unique=False)
    op.create_index(op.f("ix_segment_owner_id"), "segment", ["owner_id"], unique=False)
    op.create_table(
        "segment_member",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("segment_id", sa.Integer(), nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("entered_at", _INSTANT(), nullable=False),
        sa.Column("left_at", _INSTANT(), nullable=True),
        sa.Column("reason", _TEXT(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segment.id"], name=op.f("fk_segment_member_segment_id_segment"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment_member")),
        sqlite_autoincrement=True,
    )
    open_now = sa.text("left_at is null")
    op.create_index(
        "uq_segment_member_open", "segment_member", ["segment_id", "record_id"], unique=True, sqlite_where=open_now,
        postgresql_where=open_now,
    )  # fmt: skip
    op.create_index("ix_segment_member_history", "segment_member", ["segment_id", "entered_at", "left_at"], unique=False)
    op.create_index("ix_segment_member_record", "segment_member", ["record_id", "segment_id"], unique=False)
    _grant()


def _grant() -> None:
    """Workspaces that exist already: what an administrator has set since stays."""
    for role, verbs in GRANTS.items():
        for action, scope in verbs.items():
            op.execute(
                sa.text(
                    "insert into role_permission (role_id, entity, action, scope) "
                    "select id, 'segment', :action, :scope from role where key = :role and not exists (select 1 from role_permission p "
                    "where p.role_id = role.id and p.entity = 'segment' and p.action = :action)"
                ).bindparams(role=role, action=action, scope=scope)
            )


def downgrade() -> None:
    op.execute("delete from role_permission where entity = 'segment'")
    op.drop_table("segment_member")
    op.drop_table("segment")
