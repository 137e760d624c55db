"""requests of persons about their data, hashes of erased addresses, and the right to work on both for administrators

Revision ID: 0068
Revises: 0067
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0068"
down_revision = "0067"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
STAMP = sqlmodel.sql.sqltypes.UTCDateTime
TEXT = sqlmodel.sql.sqltypes.AutoString
ACTIVE = sa.text("state in ('open', 'running')")

def _choice(name, *values):
    return sa.Enum(*values, name=name, native_enum=False, length=32)


def upgrade() -> None:
    op.create_table(
        "privacy_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", STAMP(), nullable=False),
        sa.Column("updated_at", STAMP(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", _choice("privacykind", "report", "erasure"), nullable=False),
        sa.Column("entity", TEXT(length=20), nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("state", _choice("privacystate", "open", "running", "done", "declined"), nullable=False),
        sa.Column("asked_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("reason", TEXT(length=1000), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.Column("done_at", STAMP(), nullable=True),
        sa.Column("job_id", TEXT(length=200), nullable=False),
        *(sa.Column(name, JSON, nullable=False) for name in ("people", "words", "cursor", "outcome")),
        sa.Column("file", TEXT(length=100), nullable=False),
        sa.Column("expires_at", STAMP(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_privacy_request")),
        sa.ForeignKeyConstraint(["by_id"], ["app_user.id"], name=op.f("fk_privacy_request_by_id_app_user"), ondelete="SET NULL"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_privacy_request_record", "privacy_request", ["entity", "record_id"])
    op.create_index("ix_privacy_request_state", "privacy_request", ["state", "due_on"])
    op.create_index(
        "uq_privacy_request_active", "privacy_request", ["kind", "entity", "record_id"], unique=True, sqlite_where=ACTIVE,
        postgresql_where=ACTIVE,
    )
    op.create_table(
        "erased_mark",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", _choice("pointkind", "email", "phone"), nullable=False),
        sa.Column("sha256", TEXT(length=64), nullable=False),
        sa.Column("request_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erased_mark")),
        sa.ForeignKeyConstraint(
            ["request_id"], ["privacy_request.id"], name=op.f("fk_erased_mark_request_id_privacy_request"), ondelete="SET NULL"
        ),
        sa.UniqueConstraint("kind", "sha256", name="uq_erased_mark"),
        sqlite_autoincrement=True,
    )
    for action in ("read", "manage"):
        op.execute(
            f"insert into role_permission (role_id, entity, action, scope) select id, 'privacy', '{action}', 'all' from role "  # noqa: S608
            "where key = 'administrator' and not exists (select 1 from role_permission p where p.role_id = role.id "
            f"and p.entity = 'privacy' and p.action = '{action}')"
        )


def downgrade() -> None:
    op.execute("delete from role_permission where entity = 'privacy'")
    op.execute("update suppression set reason = 'manual' where reason = 'erased'")
    op.drop_table("erased_mark")
    op.drop_table("privacy_request")
