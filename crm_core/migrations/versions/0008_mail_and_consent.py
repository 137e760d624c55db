"""mail on its way out; consent, suppression, plans and wordings of campaigns

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outreach_rules",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("needs_consent", sa.Boolean(), nullable=False),
        sa.Column("cap_7_days", sa.Integer(), nullable=False),
        sa.Column("cap_30_days", sa.Integer(), nullable=False),
        sa.Column("quiet_from", sqlmodel.sql.sqltypes.AutoString(length=5), nullable=False),
        sa.Column("quiet_until", sqlmodel.sql.sqltypes.AutoString(length=5), nullable=False),
        sa.Column("quiet_weekends", sa.Boolean(), nullable=False),
        sa.Column("holdout_pct", sa.Integer(), nullable=False),
        sa.Column("postal_address", sqlmodel.sql.sqltypes.AutoString(length=500), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outreach_rules")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "suppression",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("address_key", sqlmodel.sql.sqltypes.AutoString(length=254), nullable=False),
        sa.Column("way", sa.Enum("email", "phone", "post", "ads", name="contactway", native_enum=False, length=32), nullable=False),
        sa.Column(
            "reason",
            sa.Enum("unsubscribed", "bounced", "complained", "manual", name="suppressionreason", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
        sa.Column("lifted_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["by_id"], ["app_user.id"], name=op.f("fk_suppression_by_id_app_user"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppression")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_suppression_open",
        "suppression",
        ["address_key", "way"],
        unique=True,
        sqlite_where=sa.text("lifted_at is null"),
        postgresql_where=sa.text("lifted_at is null"),
    )
    op.create_table(
        "campaign_plan",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("draft", "scheduled", "sending", "paused", "stopped", "done", name="planstate", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column(
            "outlet",
            sa.Enum("email", "call_list", "mail_merge", "ad_audience", "event", name="outlet", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column(
            "purpose", sa.Enum("marketing", "events", "research", name="purpose", native_enum=False, length=32), nullable=False
        ),
        sa.Column("segment_ids", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("exclude_ids", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("holdout_pct", sa.Integer(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("window_days", sa.Integer(), nullable=False),
        sa.Column("goal", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("expected_base_pct", sa.Float(), nullable=True),
        sa.Column("expected_lift_points", sa.Float(), nullable=True),
        sa.Column("send_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("launched_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("launched_by_id", sa.Integer(), nullable=True),
        sa.Column("finished_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("funnel", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("base_url", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
        sa.Column("message", sqlmodel.sql.sqltypes.AutoString(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_campaign_plan_campaign_id_campaign"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["launched_by_id"], ["app_user.id"], name=op.f("fk_campaign_plan_launched_by_id_app_user"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_plan")),
        sa.UniqueConstraint("campaign_id", name=op.f("uq_campaign_plan_campaign_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "campaign_variant",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("key", sqlmodel.sql.sqltypes.AutoString(length=1), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("subject", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_campaign_variant_campaign_id_campaign"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_variant")),
        sa.UniqueConstraint("campaign_id", "key", name="uq_campaign_variant"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tracked_link",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("url", sqlmodel.sql.sqltypes.AutoString(length=1000), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_tracked_link_campaign_id_campaign"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tracked_link")),
        sa.UniqueConstraint("campaign_id", "url", name="uq_tracked_link"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "consent",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=True),
        sa.Column("lead_id", sa.Integer(), nullable=True),
        sa.Column(
            "purpose", sa.Enum("marketing", "events", "research", name="purpose", native_enum=False, length=32), nullable=False
        ),
        sa.Column("way", sa.Enum("email", "phone", "post", "ads", name="contactway", native_enum=False, length=32), nullable=False),
        sa.Column("status", sa.Enum("granted", "withdrawn", name="consentstatus", native_enum=False, length=32), nullable=False),
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
        sa.Column("at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.Column("is_latest", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["app_user.id"], name=op.f("fk_consent_by_id_app_user"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_consent_contact_id_contact"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name=op.f("fk_consent_lead_id_lead"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_consent_contact", "consent", ["contact_id", "purpose", "way", "is_latest"], unique=False)
    op.create_index("ix_consent_lead", "consent", ["lead_id", "purpose", "way", "is_latest"], unique=False)
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
    op.add_column(
        "campaign_member",
        sa.Column(
            "step",
            sa.Enum("waiting", "queued", "skipped", "listed", "holdout", name="recipientstep", native_enum=False, length=32),
            nullable=True,
        ),
    )
    op.add_column("campaign_member", sa.Column("variant", sqlmodel.sql.sqltypes.AutoString(length=1), nullable=True))
    op.add_column("campaign_member", sa.Column("address", sqlmodel.sql.sqltypes.AutoString(length=254), nullable=True))
    op.add_column("campaign_member", sa.Column("skip_reason", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=True))
    op.add_column("campaign_member", sa.Column("due_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    op.add_column("campaign_member", sa.Column("mail_id", sa.Integer(), nullable=True))
    op.add_column("campaign_member", sa.Column("opened_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    op.add_column("campaign_member", sa.Column("clicked_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    op.add_column("campaign_member", sa.Column("unsubscribed_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    op.create_index(op.f("ix_campaign_member_mail_id"), "campaign_member", ["mail_id"], unique=False)
    op.create_index("ix_campaign_member_step", "campaign_member", ["campaign_id", "step", "due_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_campaign_member_step", table_name="campaign_member")
    op.drop_index(op.f("ix_campaign_member_mail_id"), table_name="campaign_member")
    op.drop_column("campaign_member", "unsubscribed_at")
    op.drop_column("campaign_member", "clicked_at")
    op.drop_column("campaign_member", "opened_at")
    op.drop_column("campaign_member", "mail_id")
    op.drop_column("campaign_member", "due_at")
    op.drop_column("campaign_member", "skip_reason")
    op.drop_column("campaign_member", "address")
    op.drop_column("campaign_member", "variant")
    op.drop_column("campaign_member", "step")
    op.drop_index(op.f("ix_mail_delivery_message_id"), table_name="mail_delivery")
    op.drop_index("ix_mail_delivery_list", table_name="mail_delivery")
    op.drop_index(op.f("ix_mail_delivery_lead_id"), table_name="mail_delivery")
    op.drop_index("ix_mail_delivery_due", table_name="mail_delivery")
    op.drop_index(op.f("ix_mail_delivery_contact_id"), table_name="mail_delivery")
    op.drop_index("ix_mail_delivery_batch", table_name="mail_delivery")
    op.drop_index("ix_mail_delivery_address", table_name="mail_delivery")
    op.drop_table("mail_delivery")
    op.drop_index("ix_consent_lead", table_name="consent")
    op.drop_index("ix_consent_contact", table_name="consent")
    op.drop_table("consent")
    op.drop_table("tracked_link")
    op.drop_table("campaign_variant")
    op.drop_table("campaign_plan")
    op.drop_index(
        "uq_suppression_open",
        table_name="suppression",
        sqlite_where=sa.text("lifted_at is null"),
        postgresql_where=sa.text("lifted_at is null"),
    )
    op.drop_table("suppression")
    op.drop_table("outreach_rules")
