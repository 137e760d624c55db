"""mail on its way out

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


def upgrade() -> None:
    op.create_table(
        "mail_delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("dedupe_key", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "pending",
                "sending",
                "handed",
                "sent",
                "failed",
                "bounced",
                "held",
                "cancelled",
                name="mailstate",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("batch", sqlmodel.sql.sqltypes.AutoString(length=80), nullable=True),
        sa.Column("address", sqlmodel.sql.sqltypes.AutoString(length=254), nullable=False),
        sa.Column("address_key", sqlmodel.sql.sqltypes.AutoString(length=254), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
        sa.Column("subject", sqlmodel.sql.sqltypes.AutoString(length=500), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("headers", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("message_id", sqlmodel.sql.sqltypes.AutoString(length=254), nullable=False),
        sa.Column("secret", sa.Boolean(), nullable=False),
        sa.Column("keep", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("claim", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=True),
        sa.Column("claimed_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("sent_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("file", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("message", sqlmodel.sql.sqltypes.AutoString(length=1000), nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=True),
        sa.Column("lead_id", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_mail_delivery_contact_id_contact"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name=op.f("fk_mail_delivery_lead_id_lead"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_mail_delivery_user_id_app_user"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_delivery")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_mail_delivery_dedupe_key")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_mail_delivery_address", "mail_delivery", ["address_key", "id"], unique=False)
    op.create_index("ix_mail_delivery_batch", "mail_delivery", ["batch", "state"], unique=False)
    op.create_index(op.f("ix_mail_delivery_contact_id"), "mail_delivery", ["contact_id"], unique=False)
    op.create_index("ix_mail_delivery_due", "mail_delivery", ["state", "next_at"], unique=False)
    op.create_index(op.f("ix_mail_delivery_lead_id"), "mail_delivery", ["lead_id"], unique=False)
    op.create_index("ix_mail_delivery_list", "mail_delivery", ["kind", "state", "id"], unique=False)
    op.create_index(op.f("ix_mail_delivery_message_id"), "mail_delivery", ["message_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_mail_delivery_message_id"), table_name="mail_delivery")
    op.drop_index("ix_mail_delivery_list", table_name="mail_delivery")
    op.drop_index(op.f("ix_mail_delivery_lead_id"), table_name="mail_delivery")
    op.drop_index("ix_mail_delivery_due", table_name="mail_delivery")
    op.drop_index(op.f("ix_mail_delivery_contact_id"), table_name="mail_delivery")
    op.drop_index("ix_mail_delivery_batch", table_name="mail_delivery")
    op.drop_index("ix_mail_delivery_address", table_name="mail_delivery")
    op.drop_table("mail_delivery")
