"""public lead forms and what was sent through them

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
DOORS = ("screen", "import", "api", "worker", "cli", "demo", "form")


def _record() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("updated_at", INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    ]


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "lead_form",
        *_record(),
        _text("name", 80),
        _text("slug", 60),
        _text("title", 200),
        _text("intro", 1000),
        _text("thanks", 1000),
        sa.Column("fields", JSON, nullable=False),
        sa.Column("defaults", JSON, nullable=False),
        sa.Column("ask_consent", sa.Boolean(), nullable=False),
        sa.Column("confirm_by_mail", sa.Boolean(), nullable=False),
        sa.Column("embed_hosts", JSON, nullable=False),
        _text("key_sha256", 64, nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lead_form")),
        sa.UniqueConstraint("name", name=op.f("uq_lead_form_name")),
        sa.UniqueConstraint("slug", name=op.f("uq_lead_form_slug")),
        sa.UniqueConstraint("key_sha256", name=op.f("uq_lead_form_key_sha256")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "form_submission",
        *_record(),
        sa.Column("form_id", sa.Integer(), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        _text("digest", 64),
        sa.Column("slot", sa.Integer(), nullable=False),
        _text("source_hash", 64),
        sa.Column("via", sa.Enum(*DOORS, name="via", native_enum=False, length=32), nullable=False),
        sa.Column("state", sa.Enum("lead", "known", "twice", "spam", "failed", name="submissionstate", native_enum=False, length=32), nullable=False),
        sa.Column("lead_id", sa.Integer(), nullable=True),
        _text("message", 500),
        _text("token_sha256", 64, nullable=True),
        sa.Column("token_until", INSTANT(), nullable=True),
        sa.Column("confirmed_at", INSTANT(), nullable=True),
        sa.ForeignKeyConstraint(["form_id"], ["lead_form.id"], name=op.f("fk_form_submission_form_id_lead_form"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name=op.f("fk_form_submission_lead_id_lead"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_form_submission")),
        sa.UniqueConstraint("form_id", "digest", "slot", name="uq_form_submission"),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_form_submission_token_sha256")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_form_submission_form", "form_submission", ["form_id", "id"])
    op.create_index("ix_form_submission_source", "form_submission", ["source_hash", "created_at"])
    op.create_index(op.f("ix_form_submission_lead_id"), "form_submission", ["lead_id"])
    for role in ("administrator", "marketer"):
        for action in ("read", "manage"):
            op.execute(
                sa.text(
                    "insert into role_permission (role_id, entity, action, scope) "
                    "select id, 'lead_form', :action, 'all' from role where key = :role and not exists (select 1 from role_permission p "
                    "where p.role_id = role.id and p.entity = 'lead_form' and p.action = :action)"
                ).bindparams(role=role, action=action)
            )


def downgrade() -> None:
    op.execute("delete from role_permission where entity = 'lead_form'")
    op.drop_table("form_submission")
    op.drop_table("lead_form")
