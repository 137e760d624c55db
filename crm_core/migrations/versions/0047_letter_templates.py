"""letters that are kept to be written again, from which of them the letter of a campaign was copied, and who sees which of its parts

Revision ID: 0047
Revises: 0046
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
GRANTS = {
    "administrator": (("read", "all"), ("manage", "all")),
    "manager": (("read", "all"), ("manage", "all")),
    "marketer": (("read", "all"), ("manage", "all")),
    "sales_rep": (("read", "all"), ("manage", "own")),
    "support_agent": (("read", "all"), ("manage", "own")),
    "analyst": (("read", "all"),),
}


def _text(name: str, length: int) -> sa.Column:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=False)


def upgrade() -> None:
    op.create_table(
        "letter_template",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("updated_at", INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        _text("name", 80),
        _text("about", 300),
        sa.Column("use", sa.Enum("marketing", "sales", "service", name="letteruse", native_enum=False, length=32), nullable=False),
        _text("subject", 300),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Enum("private", "shared", name="visibility", native_enum=False, length=32), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("archived_at", INSTANT(), nullable=True),
        sa.Column("used_count", sa.Integer(), nullable=False),
        sa.Column("used_at", INSTANT(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["app_user.id"], name=op.f("fk_letter_template_owner_id_app_user"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_letter_template")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_letter_template_owner_id"), "letter_template", ["owner_id"])
    op.add_column("campaign_variant", sa.Column("template_id", sa.Integer(), nullable=True))
    op.add_column("campaign_member", sa.Column("inside", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=True))
    for role, verbs in GRANTS.items():
        for action, scope in verbs:
            op.execute(
                sa.text(
                    "insert into role_permission (role_id, entity, action, scope) "
                    "select id, 'letter_template', :action, :scope from role where key = :role and not exists (select 1 from role_permission p "
                    "where p.role_id = role.id and p.entity = 'letter_template' and p.action = :action)"
                ).bindparams(role=role, action=action, scope=scope)
            )


def downgrade() -> None:
    op.execute("delete from role_permission where entity = 'letter_template'")
    op.drop_column("campaign_member", "inside")
    op.drop_column("campaign_variant", "template_id")
    op.drop_index(op.f("ix_letter_template_owner_id"), table_name="letter_template")
    op.drop_table("letter_template")
